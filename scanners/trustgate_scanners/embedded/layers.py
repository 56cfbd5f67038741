"""Read image layers as a stream and keep the few files that readers want, as the squashed image has them.

Nothing is extracted. Layers are foreign input: every dimension has a limit, and what breaks one ends the
reading of that layer with a reason, so that the report says "partial" and not "clean".
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path
from time import monotonic
from typing import Final

from trustgate_scanners.embedded.tar_stream import Kind, Member, TarStream
from trustgate_scanners.embedded.unpack import Budget, LayerProblem, unpacked

MAX_PATH_CHARACTERS: Final = 4096
MAX_PATH_DEPTH: Final = 128
MAX_KEPT_FILE_BYTES: Final = 96 * 1024**2
MAX_LINKS: Final = 200_000
MAX_LINK_HOPS: Final = 16
MAX_PROBLEMS: Final = 100
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_LAYER_SHOWN_CHARACTERS = 19

Read = Callable[[int], bytes]


class Want(Enum):
    """What a reader needs of a file."""

    NOTHING = auto()
    PRESENCE = auto()
    WHOLE = auto()
    EXTRACT = auto()
    """What ``Wishes.extract`` finds in it, if anything."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the readers ask of an image."""

    want: Callable[[str, int], Want]
    """By path and size in bytes."""
    extract: Callable[[Read], bytes | None]
    """Reads a file from its beginning, and returns the part that is worth keeping."""
    fixed_paths: Collection[str] = ()
    """Paths that are looked up through links of folders too."""


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
        real = self.resolve(path)
        return None if real is None else self.files.get(real)

    def resolve(self, path: str) -> str | None:
        """The path without symbolic links; ``None`` when they leave the image or turn in a circle."""
        hops, done, left = 0, "", path.split("/")
        while left:
            here = posixpath.join(done, left.pop(0))
            target = self.links.get(here)
            if target is None:
                done = here
                continue
            hops += 1
            if hops > MAX_LINK_HOPS:
                return None
            done, left = "", [*target.split("/"), *left]
        return done


def squash(layers: Sequence[tuple[str, Path]], wishes: Wishes, *, deadline_s: float) -> Squashed:
    """Read layers from the lowest to the highest, and once more for files that links lead to."""
    budget = Budget(deadline=monotonic() + deadline_s)
    result = _squash(layers, wishes, budget)
    missing = _linked_and_missing(result, wishes)
    if missing:
        targets = frozenset(missing.values())
        again = _squash(layers, replace(wishes, want=_only(targets)), budget)
        for path, target in missing.items():
            if target in again.files:
                result.files[path] = replace(again.files[target], path=path)
        result.problems += [problem for problem in again.problems if problem not in result.problems]
    del result.problems[MAX_PROBLEMS:]
    return result


def _squash(layers: Sequence[tuple[str, Path]], wishes: Wishes, budget: Budget) -> Squashed:
    result = Squashed()
    for name, path in layers:
        layer = _Layer(name, path, wishes, budget)
        layer.read()
        layer.put_over(result)
    return result


def _only(paths: Collection[str]) -> Callable[[str, int], Want]:
    return lambda path, _size: Want.WHOLE if path in paths else Want.NOTHING


def _linked_and_missing(image: Squashed, wishes: Wishes) -> dict[str, str]:
    """Wanted paths that are links to files that nobody wanted by their own names."""
    found: dict[str, str] = {}
    for path in (*wishes.fixed_paths, *image.links):
        if path not in image.files and wishes.want(path, 0) is Want.WHOLE:
            real = image.resolve(path)
            if real is not None and real != path and real not in image.files:
                found[path] = real
    return found


class _Layer:
    """One layer's wanted files, and what it hides of those below: order inside a layer never matters."""

    def __init__(self, name: str, path: Path, wishes: Wishes, budget: Budget) -> None:
        self._name = name
        self._path = path
        self._wishes = wishes
        self._budget = budget
        self._files: dict[str, KeptFile] = {}
        self._links: dict[str, str] = {}
        self._hard_links: dict[str, str] = {}
        self._hidden: set[str] = set()
        self._folders: set[str] = set()
        self._opaque: set[str] = set()
        self._problems: list[str] = []

    def read(self) -> None:
        """Never raises for what is in the layer: that is a problem of the report."""
        try:
            stream = TarStream(unpacked(self._path, self._budget), self._budget)
            for member in stream:
                self._take(member, stream.read)
            self._read_link_targets()
        except LayerProblem as exc:
            self._add_problem(str(exc))

    def _add_problem(self, problem: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(f"layer {self._name[:_LAYER_SHOWN_CHARACTERS]}: {problem}")

    def _take(self, member: Member, read: Read) -> None:
        path = clean_path(member.name)
        if path is None:
            if _is_absurd(member.name):
                self._add_problem("a path is longer or deeper than is read")
            return
        folder, name = posixpath.split(path)
        if name == _OPAQUE:
            self._opaque.add(folder)
        elif name.startswith(_WHITEOUT):
            self._hidden.add(posixpath.join(folder, name.removeprefix(_WHITEOUT)))
        else:
            self._replace(path, member, read)

    def _replace(self, path: str, member: Member, read: Read) -> None:
        """The last member of a name counts, as when the archive is unpacked."""
        for table in (self._files, self._links, self._hard_links):
            table.pop(path, None)
        if member.kind is Kind.FOLDER:
            self._folders.add(path)
            return
        self._hidden.add(path)
        if member.kind is Kind.FILE:
            self._keep(path, member, read)
        elif member.kind in {Kind.SYMLINK, Kind.HARD_LINK}:
            self._link(path, member)

    def _link(self, path: str, member: Member) -> None:
        if len(self._links) + len(self._hard_links) >= MAX_LINKS:
            raise LayerProblem(f"more than {MAX_LINKS} links")
        if member.kind is Kind.HARD_LINK:
            target = clean_path(member.target)
            if target is not None:
                self._hard_links[path] = target
            return
        text = member.target
        target = clean_path(text if text.startswith("/") else posixpath.join(posixpath.dirname(path), text))
        if target is not None:
            self._links[path] = target

    def _keep(self, path: str, member: Member, read: Read) -> None:
        want = self._wishes.want(path, member.size)
        if want is Want.NOTHING:
            return
        content: bytes | None = b""
        if want is Want.EXTRACT:
            content = self._wishes.extract(read)
        elif want is Want.WHOLE:
            if member.sparse or member.size > min(MAX_KEPT_FILE_BYTES, self._budget.kept):
                self._add_problem(f"{path[-80:]!a} is sparse or has more bytes than are read ({member.size})")
                return
            content = read(member.size)
            if len(content) != member.size:
                raise LayerProblem("the archive is cut off")
        if content is None:
            return
        self._budget.kept -= len(content)
        if self._budget.kept < 0:
            raise LayerProblem("its package databases have more bytes than are kept")
        self._files[path] = KeptFile(path, content, self._name)

    def _read_link_targets(self) -> None:
        """A hard link may be wanted by its name while the file that it shares was not, by its own."""
        missing = {
            target
            for path, target in self._hard_links.items()
            if target not in self._files and self._wishes.want(path, 0) is Want.WHOLE
        }
        extra = _Layer(self._name, self._path, replace(self._wishes, want=_only(missing)), self._budget)
        if missing:
            stream = TarStream(unpacked(self._path, self._budget), self._budget)
            for member in stream:
                extra._take(member, stream.read)
        for path, target in self._hard_links.items():
            shared = self._files.get(target) or extra._files.get(target)
            if shared is not None:
                self._files[path] = replace(shared, path=path)

    def put_over(self, below: Squashed) -> None:
        """Hide what this layer hides, then add what it brings."""
        for path, target in self._hard_links.items():
            shared = below.files.get(target)
            if path not in self._files and shared is not None:
                self._files[path] = replace(shared, path=path)
        for table in (below.files, below.links):
            for path in [path for path in table if self._hides(path)]:
                del table[path]
        below.files.update(self._files)
        below.links.update(self._links)
        below.problems += self._problems

    def _hides(self, path: str) -> bool:
        """A whiteout, or a file or link in its place, hides a path and all below it."""
        if path in self._hidden or path in self._folders:
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
    if _is_absurd(name) or "\0" in name:
        return None
    path = posixpath.normpath(name.lstrip("/"))
    if path.startswith("../") or path == "..":
        return None
    return "" if path == "." else path


def _is_absurd(name: str) -> bool:
    return len(name) > MAX_PATH_CHARACTERS or name.count("/") > MAX_PATH_DEPTH
