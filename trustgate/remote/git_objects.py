"""Policy files out of a git repository's object store: never from a work tree, never following anything.

No checkout takes place, so hooks, filters, symbolic links and submodules have no say. dulwich reads the
objects; who owns the folder does not matter to it.
"""

from __future__ import annotations

import re
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dulwich.errors import ChecksumMismatch, FileFormatException, NotGitRepository
from dulwich.objects import Blob, Commit, ObjectID, Tag, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo

from trustgate.errors import PolicySourceUnavailable
from trustgate.policy.layout import (
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_TOTAL_BYTES,
    TEST_FOLDER,
    belongs,
    in_our_folders,
)

MAX_TAG_CHAIN: Final = 8
MAX_TREE_ENTRIES: Final = 100_000
MAX_TREE_DEPTH: Final = 32
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_READ_ERRORS: Final = (
    KeyError,
    OSError,
    ValueError,
    AssertionError,
    EOFError,
    zlib.error,
    struct.error,
    FileFormatException,
    ChecksumMismatch,
)
"""What dulwich raises for objects that are missing, cut off or not what they claim to be."""


def commit_of(path: Path, ref: str) -> str:
    """The id of the commit that ``ref`` (or ``HEAD``, for an empty one) points to.

    Raises ``PolicySourceUnavailable``.
    """
    with _opened(path) as repo:
        return _commit(repo, path, ref).id.decode()


def files_at(path: Path, commit: str) -> dict[str, bytes]:
    """The policy files of that commit. Raises ``PolicySourceUnavailable``."""
    with _opened(path) as repo:
        try:
            return _Walk(repo, path, commit).files()
        except _READ_ERRORS as exc:
            raise PolicySourceUnavailable(
                f"commit {commit[:12]} of {path} can't be read: {type(exc).__name__}",
                hint="check the repository with git fsck",
            ) from exc


def _opened(path: Path) -> Repo:
    try:
        return Repo(str(path))
    except (NotGitRepository, OSError, ValueError) as exc:
        raise PolicySourceUnavailable(
            f"{path} is not a git repository that can be read: {type(exc).__name__}",
            hint="give the top folder of a work tree or a bare repository, or dir:PATH for plain files",
        ) from exc


def _commit(repo: Repo, path: Path, ref: str) -> Commit:
    try:
        found = repo.get_object(_resolve(repo, ref))
        for _ in range(MAX_TAG_CHAIN):
            if not isinstance(found, Tag):
                break
            found = repo.get_object(found.object[1])
    except _READ_ERRORS as exc:
        raise PolicySourceUnavailable(
            f"{ref or 'HEAD'} of {path} can't be resolved to a commit",
            hint="commit something first, or name a branch, tag or full commit id after #",
        ) from exc
    if not isinstance(found, Commit):
        raise PolicySourceUnavailable(f"{ref or 'HEAD'} of {path} is no commit")
    return found


def _resolve(repo: Repo, ref: str) -> ObjectID:
    if not ref:
        return repo.refs[Ref(b"HEAD")]
    if _COMMIT.fullmatch(ref):
        return ObjectID(ref.encode())
    name = ref.encode()
    for candidate in map(Ref, (name, b"refs/heads/" + name, b"refs/tags/" + name)):
        if candidate.startswith(b"refs/") and candidate in repo.refs:
            return repo.refs[candidate]
    raise KeyError(ref)


class _Walk:
    """One pass over a tree, with bounds on everything that its author chooses."""

    def __init__(self, repo: Repo, path: Path, commit: str) -> None:
        self._repo = repo
        self._where = f"commit {commit[:12]} of {path}"
        self._commit = commit
        self._entries = 0
        self._total = 0

    def files(self) -> dict[str, bytes]:
        commit = self._repo.get_object(ObjectID(self._commit.encode()))
        if not isinstance(commit, Commit):
            raise PolicySourceUnavailable(f"{self._where} is no commit")
        found: dict[str, bytes] = {}
        for path, blob in self._blobs(commit.tree, "", 0):
            found[path] = self._bytes(path, blob)
            if len(found) > MAX_FILES:
                raise self._refused(f"has more than {MAX_FILES} policy files")
        return found

    def _blobs(self, tree: ObjectID, prefix: str, depth: int) -> Iterator[tuple[str, ObjectID]]:
        node = self._repo.get_object(tree)
        if not isinstance(node, Tree) or depth > MAX_TREE_DEPTH:
            raise self._refused(f"has folders that can't be read below {prefix or '/'}")
        for entry in node.iteritems():
            self._entries += 1
            if self._entries > MAX_TREE_ENTRIES:
                raise self._refused(f"has more than {MAX_TREE_ENTRIES} files and folders")
            path = prefix + entry.path.decode("utf-8", "surrogateescape")
            if stat.S_ISDIR(entry.mode):
                yield from self._folder(entry.sha, path, depth)
            elif stat.S_ISREG(entry.mode):
                if belongs(path):
                    yield path, entry.sha
            elif belongs(path) or in_our_folders(path):
                raise self._refused(
                    f"has {path!r:.120}, a symbolic link or submodule; policy files stand in it as files"
                )

    def _folder(self, tree: ObjectID, path: str, depth: int) -> Iterator[tuple[str, ObjectID]]:
        if f"{path}/" != TEST_FOLDER:
            yield from self._blobs(tree, f"{path}/", depth + 1)

    def _bytes(self, path: str, blob: ObjectID) -> bytes:
        found = self._repo.get_object(blob)
        if not isinstance(found, Blob):
            raise self._refused(f"has {path!r:.120}, which is no file")
        raw = found.data
        self._total += len(raw)
        if len(raw) > MAX_FILE_BYTES:
            raise self._refused(f"has {path!r:.120} with {len(raw)} bytes, at most {MAX_FILE_BYTES} are read")
        if self._total > MAX_TOTAL_BYTES:
            raise self._refused(f"has more than {MAX_TOTAL_BYTES} bytes of policy files")
        return raw

    def _refused(self, what: str) -> PolicySourceUnavailable:
        return PolicySourceUnavailable(
            f"{self._where} {what}", hint="keep policies in a repository of their own"
        )
