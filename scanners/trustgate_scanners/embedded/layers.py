"""Read image layers as a stream and keep the few files that readers want, as the squashed image has them.

Nothing is extracted. Layers are foreign input: every dimension has a limit, and what breaks one ends the
reading of that layer with a reason, so that the report says "partial" and not "clean".
"""

from __future__ import annotations

import gzip
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import IO, Final

MAX_MEMBERS: Final = 1_000_000
MAX_UNPACKED_BYTES: Final = 20 * 1024**3
MAX_RATIO: Final = 400
"""Unpacked to packed bytes; real layers stay under 100. Counted after the first 64 MiB."""
RATIO_FREE_BYTES: Final = 64 * 1024**2
MAX_PATH_CHARACTERS: Final = 4096
MAX_KEPT_FILE_BYTES: Final = 96 * 1024**2
MAX_KEPT_BYTES: Final = 512 * 1024**2
MAX_LINK_HOPS: Final = 8
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class LayerProblem(Exception):
    """A layer could not be read to its end. The message says why."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of the squashed image that a reader wants."""

    path: str
    content: bytes = field(repr=False)
    layer: str


@dataclass(slots=True)
class Squashed:
    """The wanted files and the links of the image, after all layers; and what went wrong on the way."""

    files: dict[str, KeptFile] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def find(self, path: str) -> KeptFile | None:
        """The file at ``path``, links inside the image followed."""
        for _ in range(MAX_LINK_HOPS):
            if path in self.files:
                return self.files[path]
            target = self.links.get(path)
            if target is None:
                return None
            path = target
        return None


@dataclass(slots=True)
class _Budget:
    """What is left for the whole image."""

    deadline: float
    members: int = MAX_MEMBERS
    unpacked: int = MAX_UNPACKED_BYTES
    kept: int = MAX_KEPT_BYTES


def squash(
    layers: Iterable[tuple[str, Path]], wanted: Callable[[str, int], bool], *, deadline_s: float
) -> Squashed:
    """Read layers from the lowest to the highest. ``wanted`` is asked with a path and a size in bytes."""
    result = Squashed()
    budget = _Budget(deadline=monotonic() + deadline_s)
    for name, path in layers:
        layer = _Layer(name)
        try:
            layer.read(path, wanted, budget)
        except LayerProblem as exc:
            result.problems.append(f"layer {name[:19]}: {exc}")
        layer.put_over(result)
    return result


class _Layer:
    """One layer's wanted files, and what it hides of those below: order inside a layer never matters."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._files: dict[str, KeptFile] = {}
        self._links: dict[str, str] = {}
        self._hidden: set[str] = set()
        self._opaque: set[str] = set()
        self._present: set[str] = set()

    def read(self, path: Path, wanted: Callable[[str, int], bool], budget: _Budget) -> None:
        with _opened(path, budget) as stream:
            for member in _members(stream, budget):
                self._take(member[1], member[0], wanted, budget)

    def _take(
        self,
        member: tarfile.TarInfo,
        archive: tarfile.TarFile,
        wanted: Callable[[str, int], bool],
        budget: _Budget,
    ) -> None:
        path = clean_path(member.name)
        if path is None:
            return
        folder, name = posixpath.split(path)
        if name == _OPAQUE:
            self._opaque.add(folder)
        elif name.startswith(_WHITEOUT):
            self._hidden.add(posixpath.join(folder, name.removeprefix(_WHITEOUT)))
        elif member.issym() or member.islnk():
            self._hidden.add(path)
            target = _link_target(member, folder)
            if target is not None:
                self._links[path] = target
        elif member.isreg():
            self._hidden.add(path)
            if wanted(path, member.size):
                self._keep(path, member, archive, budget)

    def _keep(self, path: str, member: tarfile.TarInfo, archive: tarfile.TarFile, budget: _Budget) -> None:
        if member.size > MAX_KEPT_FILE_BYTES or member.size > budget.kept:
            raise LayerProblem(f"{path[-80:]!a} has {member.size} bytes, more than is read")
        file = archive.extractfile(member)
        content = file.read(member.size) if file else b""
        budget.kept -= len(content)
        self._files[path] = KeptFile(path, content, self._name)

    def put_over(self, below: Squashed) -> None:
        """Hide what this layer hides, then add what it brings."""
        for table in (below.files, below.links):
            for path in [path for path in table if self._hides(path)]:
                del table[path]
        below.files.update(self._files)
        below.links.update(self._links)

    def _hides(self, path: str) -> bool:
        """A whiteout, or a file or link in its place, hides a path and all below it."""
        if path in self._hidden:
            return True
        folder = posixpath.dirname(path)
        while True:
            if folder in self._hidden or folder in self._opaque:
                return True
            if not folder:
                return False
            folder = posixpath.dirname(folder)


def clean_path(name: str) -> str | None:
    """The path inside the image; ``None`` for one that leaves it or is absurdly long."""
    if len(name) > MAX_PATH_CHARACTERS or "\0" in name:
        return None
    path = posixpath.normpath(name.lstrip("/"))
    if path.startswith("../") or path == "..":
        return None
    return "" if path == "." else path


def _link_target(member: tarfile.TarInfo, folder: str) -> str | None:
    if member.islnk() or member.linkname.startswith("/"):
        return clean_path(member.linkname)
    return clean_path(posixpath.join(folder, member.linkname))


def _members(stream: IO[bytes], budget: _Budget) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    try:
        with tarfile.open(fileobj=stream, mode="r|", errorlevel=0, bufsize=256 * 1024) as archive:
            for member in archive:
                budget.members -= 1
                if budget.members < 0:
                    raise LayerProblem(f"more than {MAX_MEMBERS} files")
                if monotonic() > budget.deadline:
                    raise LayerProblem("reading took too long")
                yield archive, member
                archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every header otherwise
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, OSError, ValueError) as exc:
        raise LayerProblem(f"not a sound archive: {type(exc).__name__}") from exc


@contextmanager
def _opened(path: Path, budget: _Budget) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
            raw.seek(0)
            if magic.startswith(_GZIP_MAGIC):
                yield _Metered(gzip.GzipFile(fileobj=raw), raw, budget)  # type: ignore[misc]  # a reader is all tarfile needs
            elif magic == _ZSTD_MAGIC:
                raise LayerProblem("zstd layers are not read by this version")
            else:
                yield _Metered(raw, raw, budget)  # type: ignore[misc]  # as above
    except FileNotFoundError as exc:
        raise LayerProblem("its bytes are not here (a foreign layer?)") from exc
    except (OSError, EOFError, zlib.error) as exc:
        raise LayerProblem(f"not a sound archive: {type(exc).__name__}") from exc


class _Metered:
    """Counts unpacked bytes against the budget and against the packed ones."""

    def __init__(self, source: IO[bytes] | gzip.GzipFile, packed: IO[bytes], budget: _Budget) -> None:
        self._source = source
        self._packed = packed
        self._budget = budget
        self._unpacked = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read(size)
        self._unpacked += len(piece)
        self._budget.unpacked -= len(piece)
        if self._budget.unpacked < 0:
            raise LayerProblem(f"the layers unpack to more than {MAX_UNPACKED_BYTES} bytes")
        if self._unpacked > RATIO_FREE_BYTES and self._unpacked > MAX_RATIO * max(1, self._packed.tell()):
            raise LayerProblem(f"it unpacks to more than {MAX_RATIO} times its size")
        return piece
