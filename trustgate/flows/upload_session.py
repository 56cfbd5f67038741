"""One request's chunk of an upload, and who may write to it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from trustgate.errors import BlobTooLarge, RangeInvalid, SizeInvalid
from trustgate.ports import BlobWriter, Upload, UploadId


class UploadSession:
    """One request's chunk: written while it arrives, recorded when it is durable."""

    def __init__(self, upload: Upload, writer: BlobWriter, length: int | None, *, max_bytes: int) -> None:
        self.upload = upload
        self._writer = writer
        self._end = None if length is None else upload.offset + length
        self._max_bytes = max_bytes

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. Raises ``SizeInvalid`` before a byte beyond the announced end is kept; ``BlobTooLarge``."""
        if self._writer.offset + len(data) > self._max_bytes:
            raise BlobTooLarge(
                f"the upload goes on beyond {self._max_bytes} bytes, the most that is taken as one blob",
                hint="split the content into several layers, or ask the operator to raise max-blob-bytes",
            )
        if self._end is not None and self._writer.offset + len(data) > self._end:
            raise SizeInvalid(
                f"the chunk is longer than announced: it was to end at {self._end} of the upload",
                hint="ask for the upload's status and go on from there",
            )
        self._writer.write(data)

    def ended(self) -> None:
        """The body is over. Raises ``SizeInvalid`` when it was shorter than announced."""
        if self._end is not None and self._writer.offset != self._end:
            raise SizeInvalid(
                f"the chunk is shorter than announced: the upload stands at {self._writer.offset}, "
                f"it was to end at {self._end}",
                hint="ask for the upload's status and go on from there",
            )


class OneAtATime:
    """Two writers on one staged file would mix their bytes, and a finished one must not be written to.

    One process holds the data directory, so its memory is the place to keep them apart.
    """

    def __init__(self) -> None:
        self._busy: set[UploadId] = set()
        self._lock = Lock()

    @contextmanager
    def __call__(self, upload: UploadId) -> Iterator[None]:
        with self._lock:
            if upload in self._busy:
                raise RangeInvalid(
                    f"another request is writing to upload {upload[:80]!a} now",
                    hint="wait until it has ended, ask for the upload's status, and go on from there",
                )
            self._busy.add(upload)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(upload)
