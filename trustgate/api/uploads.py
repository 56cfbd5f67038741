"""Uploads: bodies flow to the blob store while they arrive; the answer follows what is durable."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from trustgate.api.exchange import Exchange
from trustgate.api.paths import Route
from trustgate.errors import BlobTooLarge, BlobUploadInvalid, DigestInvalid, NameUnknown, SizeInvalid
from trustgate.flows.push import PushFlow
from trustgate.flows.upload_session import UploadSession
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.ports import Upload, UploadId

T = TypeVar("T")

GATHER_BYTES = 1024 * 1024
"""Body bytes gathered before they go to a thread for hashing and writing."""
_CONTENT_RANGE = re.compile(r"(?:bytes )?(\d{1,18})-(\d{1,18})(?:/(?:\d+|\*))?")


class UploadRoutes:
    """Handlers; each is called by an actor that may push in the repository."""

    def __init__(self, push: PushFlow, pool: Executor) -> None:
        self._push = push
        self._pool = pool

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def begin(self, exchange: Exchange, found: Route) -> None:
        """POST: a mount, a whole blob in one request, or a new upload."""
        name = _repository(found)
        mounted, whole = exchange.asked("mount"), exchange.asked("digest")
        digest = Digest(whole) if whole is not None and mounted is None else None
        if mounted is not None and await self._mount(exchange, name, mounted):
            return
        upload = await self._call(lambda: self._push.begin(name, exchange.actor))
        if digest is not None:
            await self._take_whole(exchange, upload, digest)
            return
        await exchange.reply(202, _upload_headers(upload))

    async def status(self, exchange: Exchange, found: Route) -> None:
        name, upload = _repository(found), UploadId(found.rest)
        current = await self._call(lambda: self._push.status(name, upload))
        await exchange.reply(204, _upload_headers(current))

    async def append(self, exchange: Exchange, found: Route) -> None:
        """PATCH: a chunk with its place, or a stream without."""
        name, upload = _repository(found), UploadId(found.rest)
        current = await self._take_chunk(exchange, name, upload)
        await exchange.reply(202, _upload_headers(current))

    async def finish(self, exchange: Exchange, found: Route) -> None:
        """PUT: the last chunk, if there is one, and the digest of the whole."""
        name, upload = _repository(found), UploadId(found.rest)
        digest = Digest(exchange.asked("digest") or "")
        await self._take_chunk(exchange, name, upload)
        await self._finish(exchange, name, upload, digest)

    async def cancel(self, exchange: Exchange, found: Route) -> None:
        name, upload = _repository(found), UploadId(found.rest)
        await self._call(lambda: self._push.cancel(name, upload))
        await exchange.reply(204)

    async def _mount(self, exchange: Exchange, name: RepositoryName, mounted: str) -> bool:
        digest = Digest(mounted)
        source = exchange.asked("from")
        wanted = RepositoryName(source) if source else None
        blob = await self._call(lambda: self._push.mount(name, digest, wanted, exchange.actor))
        if blob is not None:
            await exchange.reply(201, _blob_headers(name, digest))
        return blob is not None

    async def _take_whole(self, exchange: Exchange, upload: Upload, digest: Digest) -> None:
        """Nobody knows this upload's address: when its body fails, it ends."""
        name = upload.repository
        try:
            await self._take_body(exchange, name, upload.id)
        except BaseException:
            await self._call(lambda: self._push.cancel(name, upload.id))
            raise
        await self._finish(exchange, name, upload.id, digest)

    async def _finish(
        self, exchange: Exchange, name: RepositoryName, upload: UploadId, digest: Digest
    ) -> None:
        try:
            await self._call(lambda: self._push.finish(name, upload, digest))
        except DigestInvalid:
            await self._call(lambda: self._push.cancel(name, upload))
            raise
        await exchange.reply(201, _blob_headers(name, digest))

    async def _take_chunk(self, exchange: Exchange, name: RepositoryName, upload: UploadId) -> Upload:
        """An upload that became too large can't go on: it ends, and its bytes go."""
        try:
            return await self._take_body(exchange, name, upload)
        except BlobTooLarge:
            await self._call(lambda: self._push.cancel(name, upload))
            raise

    async def _take_body(self, exchange: Exchange, name: RepositoryName, upload: UploadId) -> Upload:
        """Append the request's body. What has arrived is kept, also when the client goes away."""
        start, length = _announced(exchange)
        chunk = self._push.chunk(name, upload, start=start, length=length)
        session = await self._call(chunk.__enter__)
        try:
            await self._pump(exchange, session)
            session.ended()
        except BaseException as exc:
            await self._call(partial(chunk.__exit__, type(exc), exc, exc.__traceback__))
            raise
        await self._call(partial(chunk.__exit__, None, None, None))
        return session.upload

    async def _pump(self, exchange: Exchange, session: UploadSession) -> None:
        """Body to store, in pieces that are worth a thread; the next one arrives while one is written."""
        gathered: list[bytes] = []
        size = 0
        writing: asyncio.Future[None] | None = None
        more = True
        try:
            while more:
                piece, more = await exchange.body_chunk()
                gathered.append(piece)
                size += len(piece)
                if size >= GATHER_BYTES:
                    if writing is not None:
                        await _written(writing)
                    writing, gathered, size = self._write(session, gathered), [], 0
        finally:  # what has arrived is kept, also when the client goes away
            if writing is not None:
                await _written(writing)
            if gathered:
                await _written(self._write(session, gathered))

    def _write(self, session: UploadSession, pieces: list[bytes]) -> asyncio.Future[None]:
        def write() -> None:
            for piece in pieces:
                session.write(piece)

        return asyncio.get_running_loop().run_in_executor(self._pool, write)


async def _written(writing: asyncio.Future[None]) -> None:
    """Wait for a thread, also when the request is cancelled: the file must not be closed under its write."""
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise


def _announced(exchange: Exchange) -> tuple[int | None, int | None]:
    """(where the chunk begins, its length), from ``Content-Range``; the specification has no unit in it."""
    text = exchange.header("content-range")
    if not text:
        return None, None
    found = _CONTENT_RANGE.fullmatch(text.strip())
    if found is None:
        raise BlobUploadInvalid(f"Content-Range is {text[:60]!a}, expected START-END")
    start, end = int(found[1]), int(found[2])
    length = exchange.header("content-length")
    if end < start or (length.isdigit() and int(length) != end - start + 1):
        raise SizeInvalid(f"Content-Range {text[:60]!a} does not fit a body of {length or 'unknown'} bytes")
    return start, end - start + 1


def _repository(found: Route) -> RepositoryName:
    if found.repository is None:
        raise NameUnknown("the path names no repository")
    return found.repository


def _upload_headers(upload: Upload) -> list[tuple[str, str]]:
    return [
        ("location", f"/v2/{upload.repository}/blobs/uploads/{upload.id}"),
        ("range", f"0-{max(0, upload.offset - 1)}"),
        ("docker-upload-uuid", upload.id),
    ]


def _blob_headers(name: RepositoryName, digest: Digest) -> list[tuple[str, str]]:
    return [("location", f"/v2/{name}/blobs/{digest}"), ("docker-content-digest", str(digest))]
