"""One SQLite database: who may write, when it is durable, and what its errors mean.

WAL with ``synchronous=FULL``: what was acknowledged survives a power cut. Writers take turns behind one
lock and ``BEGIN IMMEDIATE``; readers have a connection each and never wait for a writer. This is the
only file of the store that knows which database it talks to.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock, local
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from trustgate.errors import StorageFull, StorageUnavailable

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5000
READ_CACHE_KIB = 8192


class Database:
    """``read`` and ``write`` run a function on a connection, each call one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = _engine(path)
        self._threads = local()
        self._opened: list[Connection] = []
        self._writing = RLock()
        with _translated(path):
            self._writer = self._engine.connect()

    def read(self, question: Callable[[Connection], T]) -> T:
        """Answer ``question`` from one consistent snapshot.

        Raises ``StorageUnavailable``.
        """
        with _translated(self.path):
            connection = self._reader()
            try:
                return question(connection)
            finally:
                connection.rollback()

    def write(self, change: Callable[[Connection], T]) -> T:
        """Run ``change`` in one transaction; when this returns, it is durable.

        Raises ``StorageFull`` or ``StorageUnavailable``, and whatever ``change`` raises: nothing is
        written then.
        """
        with self._writing, _translated(self.path):
            connection = self._writer
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                result = change(connection)
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
            return result

    def close(self) -> None:
        with self._writing:
            for connection in (self._writer, *self._opened):
                connection.close()
            self._engine.dispose()

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._engine.connect()
            self._threads.connection = connection
            self._opened.append(connection)
        return connection


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            f"cache_size=-{READ_CACHE_KIB}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """SQLite's errors in the house's words, told apart by their code and not by their text."""
    try:
        yield
    except DBAPIError as exc:
        raise translate(exc.orig, path) from exc
    except sqlite3.Error as exc:
        raise translate(exc, path) from exc


def translate(error: BaseException | None, path: Path) -> StorageFull | StorageUnavailable:
    """The error to raise for a failure of the database at ``path``."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name == "SQLITE_FULL":
        return StorageFull(
            f"the disk that holds {path} is full", hint="free some room; nothing was half written"
        )
    hints = {
        "SQLITE_READONLY": "make the data directory writable for the user that runs trustgate",
        "SQLITE_CANTOPEN": "check that the data directory exists and is writable",
        "SQLITE_BUSY": "another process holds the database; one server may use a data directory",
        "SQLITE_CORRUPT": "restore the data directory from a backup",
        "SQLITE_NOTADB": "the file is not a database; was the right --data directory given?",
    }
    hint = next((text for prefix, text in hints.items() if name.startswith(prefix)), "")
    return StorageUnavailable(f"the database {path} can't be used: {error} ({name or 'no code'})", hint=hint)
