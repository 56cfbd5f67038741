"""notation's trust store folder, read whole: ``x509/{ca,signingAuthority,tsa}/NAME/certificate files``.

trust-store-trust-policy.md, "Trust Store": no symbolic links; folders below a named store are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trustgate.errors import InvalidInput
from trustgate.evidence.notation.trust import MAX_STORE_FILE_BYTES, STORES
from trustgate.evidence.notation.trust_policy import STORE_FOLDER

MAX_FILES: Final = 1024


def read_trust_store(folder: Path) -> dict[str, bytes]:
    """Every certificate file by its path below ``folder``, as ``statement_trust`` wants them.

    ``folder`` is the one that holds ``x509``, or notation's configuration with ``truststore`` in it.
    Raises ``InvalidInput``.
    """
    root = folder / "truststore" if (folder / "truststore" / STORE_FOLDER).is_dir() else folder
    if not (root / STORE_FOLDER).is_dir():
        raise InvalidInput(
            f"{folder} is no trust store: it has no folder {STORE_FOLDER}",
            hint=f"certificates lie in DIR/{STORE_FOLDER}/ca/NAME/*.crt",
        )
    found: dict[str, bytes] = {}
    for path in _files(root / STORE_FOLDER):
        if len(found) == MAX_FILES:
            raise InvalidInput(f"{folder} holds more than {MAX_FILES} certificate files")
        found[path.relative_to(root).as_posix()] = _content(path)
    return found


def _files(x509: Path) -> Iterator[Path]:
    for kind in STORES:
        for store in _entries(x509 / kind):
            _refuse_link(store)
            for path in _entries(store):
                _refuse_link(path)
                if path.is_file():
                    yield path


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as exc:
        raise InvalidInput(f"{folder} can't be read: {exc.strerror}") from exc


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise InvalidInput(
            f"{path} is a symbolic link, which a trust store must not hold", hint="copy the file there"
        )


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_STORE_FILE_BYTES + 1)
    except OSError as exc:
        raise InvalidInput(f"{path} can't be read: {exc.strerror}") from exc
    if len(content) > MAX_STORE_FILE_BYTES:
        raise InvalidInput(f"{path} has more than {MAX_STORE_FILE_BYTES} bytes")
    return content
