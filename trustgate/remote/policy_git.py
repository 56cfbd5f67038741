"""Where policies come from (port ``PolicySource``): git here or elsewhere, a folder, the starter set."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trustgate.errors import ConfigInvalid, PolicySourceUnavailable
from trustgate.policy.layout import (
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_TOTAL_BYTES,
    TEST_FOLDER,
    belongs,
    in_our_folders,
)
from trustgate.policy.starter import starter_files
from trustgate.ports import Clock, PolicyFiles, PolicySource
from trustgate.remote.git_fetch import (
    FETCH_TIMEOUT_S,
    KEPT_REF,
    check_ref,
    check_url,
    fetch,
    is_git_url,
    without_password,
)
from trustgate.remote.git_objects import commit_of, files_at

STARTER: Final = "starter"
FOLDER_PREFIX: Final = "dir:"


def parse_source(
    text: str, *, data_dir: Path, clock: Clock, timeout_s: float = FETCH_TIMEOUT_S
) -> PolicySource:
    """What ``--policy`` says: ``PATH[#REF]``, ``URL[#REF]``, ``dir:PATH``, or ``starter``.

    Raises ``ConfigInvalid``; whether something is there is found out by ``fetch``.
    """
    if not text.strip() or "\0" in text:
        raise ConfigInvalid("the policy source is empty", hint="give a git repository, dir:PATH, or starter")
    if text == STARTER:
        return StarterSource(clock)
    if text.startswith(FOLDER_PREFIX):
        return FolderSource(Path(text.removeprefix(FOLDER_PREFIX)), clock)
    place, _, ref = text.partition("#")
    if ref:
        check_ref(ref)
    if is_git_url(place):
        check_url(place)
        name = hashlib.sha256(place.encode()).hexdigest()[:16]
        return RemoteGitSource(place, ref, data_dir / "policy-git" / f"{name}.git", clock, timeout_s)
    return LocalGitSource(Path(place), ref, clock)


@dataclass(frozen=True, slots=True)
class LocalGitSource:
    """A work tree or bare repository on this machine, read at a commit and never from the work tree."""

    path: Path
    ref: str
    clock: Clock

    def fetch(self, *, known: str) -> PolicyFiles | None:
        """Raises ``PolicySourceUnavailable``."""
        commit = commit_of(self.path, self.ref)
        if commit == known:
            return None
        return PolicyFiles(commit, files_at(self.path, commit), self.describe(), self.clock.now())

    def describe(self) -> str:
        return f"{self.path} ({self.ref or 'HEAD'})"


@dataclass(frozen=True, slots=True)
class RemoteGitSource:
    """A repository that is fetched into a private clone in the data directory."""

    url: str
    ref: str
    clone: Path
    clock: Clock
    timeout_s: float = FETCH_TIMEOUT_S

    def fetch(self, *, known: str) -> PolicyFiles | None:
        """Raises ``PolicySourceUnavailable``."""
        fetch(self.url, self.ref, self.clone, timeout_s=self.timeout_s)
        commit = commit_of(self.clone, KEPT_REF)
        if commit == known:
            return None
        return PolicyFiles(commit, files_at(self.clone, commit), self.describe(), self.clock.now())

    def describe(self) -> str:
        return f"{without_password(self.url)} ({self.ref or 'HEAD'})"


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A folder as it stands, for development: no history, nobody's review."""

    path: Path
    clock: Clock

    def fetch(self, *, known: str) -> PolicyFiles | None:
        """Raises ``PolicySourceUnavailable``."""
        try:
            files = _read_folder(self.path)
        except OSError as exc:
            raise PolicySourceUnavailable(
                f"the policy folder {self.path} can't be read: {exc.strerror}", hint="dir: takes a folder"
            ) from exc
        return _unless_known(files, "dir", known, self.describe(), self.clock)

    def describe(self) -> str:
        return f"{FOLDER_PREFIX}{self.path} (files as they are, for development)"


@dataclass(frozen=True, slots=True)
class StarterSource:
    """The set that comes with trustgate."""

    clock: Clock

    def fetch(self, *, known: str) -> PolicyFiles | None:
        return _unless_known(starter_files(), STARTER, known, self.describe(), self.clock)

    def describe(self) -> str:
        return "the built-in starter set"


def _unless_known(
    files: Mapping[str, bytes], prefix: str, known: str, origin: str, clock: Clock
) -> PolicyFiles | None:
    revision = f"{prefix}:{_digest(files)}"
    return None if revision == known else PolicyFiles(revision, files, origin, clock.now())


def _digest(files: Mapping[str, bytes]) -> str:
    """Names and contents, each with its length, so that no two sets of files look alike."""
    whole = hashlib.sha256()
    for path in sorted(files):
        name = path.encode("utf-8", "surrogateescape")
        whole.update(b"%d:%d:" % (len(name), len(files[path])) + name + files[path])
    return whole.hexdigest()


def _read_folder(root: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    total = 0
    for path in _paths(root, ""):
        raw = _read_file(root / path)
        total += len(raw)
        if len(found) >= MAX_FILES or total > MAX_TOTAL_BYTES:
            raise PolicySourceUnavailable(
                f"{root} holds more than {MAX_FILES} policy files or {MAX_TOTAL_BYTES} bytes",
                hint="keep policies in a folder of their own",
            )
        found[path] = raw
    return found


def _paths(root: Path, prefix: str) -> Iterator[str]:
    with os.scandir(root / prefix) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        path = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            if f"{path}/" != TEST_FOLDER and belongs(f"{path}/policy.yaml"):
                yield from _paths(root, f"{path}/")
        elif entry.is_symlink() and (in_our_folders(path) or belongs(path)):
            raise PolicySourceUnavailable(f"{root / path} is a symbolic link, which is not followed")
        elif belongs(path):
            yield path


def _read_file(path: Path) -> bytes:
    """Never through a link, never from a pipe or device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PolicySourceUnavailable(f"{path} is no regular file")
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise PolicySourceUnavailable(f"{path} has more than {MAX_FILE_BYTES} bytes")
    return raw
