"""Policy files become a ``PolicySet``: whole, or not at all, with every problem told at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from trustgate.policy.attestors import build_attestors
from trustgate.policy.building import build_no_match, build_policy
from trustgate.policy.layout import (
    LATER_FOLDERS,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_TOTAL_BYTES,
    OUR_MARK,
    POLICY_FOLDER,
    ROOT_FILE,
    TEST_FOLDER,
    TRUST_FOLDER,
    is_document,
    is_yaml,
)
from trustgate.policy.policy_set import PolicySet
from trustgate.policy.problems import START, Code, Problems
from trustgate.policy.reading import Document, read
from trustgate.policy.rules import Exemption, NoMatch, Rule
from trustgate.policy.schema import PolicyDocument, RootDocument
from trustgate.policy.scopes import Site, build_exemption
from trustgate.policy.trust_schema import TrustStoreDocument

__all__ = ["PolicySet", "load"]
NO_ROOTS: Final[Mapping[str, bytes]] = {}


def load(
    files: Mapping[str, bytes], *, revision: str, known_roots: Mapping[str, bytes] = NO_ROOTS
) -> PolicySet:
    """Read a whole set. ``files`` maps paths with ``/`` to bytes; ``tests/`` is never read.

    ``known_roots`` are trusted roots that a trust store may name without defining them.
    Raises ``PolicyInvalid`` with all problems. The format is described in ``policies/README.md``.
    """
    problems = Problems()
    _check_limits(files, problems)
    problems.raise_any()
    documents: list[Document] = []
    for path in sorted(files):
        if is_document(path):
            documents += read(path, files[path], problems)
        else:
            _check_place(path, files[path], problems)
    built = _build(documents, files, revision, problems, known_roots)
    problems.raise_any()
    if built is None:  # without a root there is a problem, see _root
        raise AssertionError("a set without problems has a root")
    return built


def _check_limits(files: Mapping[str, bytes], problems: Problems) -> None:
    if len(files) > MAX_FILES:
        problems.add(ROOT_FILE, START, Code.LAYOUT, f"{len(files)} files, at most {MAX_FILES} are read")
    total = sum(map(len, files.values()))
    if total > MAX_TOTAL_BYTES:
        problems.add(ROOT_FILE, START, Code.LAYOUT, f"{total} bytes, at most {MAX_TOTAL_BYTES} are read")
    for path in sorted(files):
        size = len(files[path])
        if size > MAX_FILE_BYTES and not path.startswith(TEST_FOLDER):
            message = f"the file has {size} bytes, at most {MAX_FILE_BYTES} are read"
            problems.add(path, START, Code.LAYOUT, message)


def _check_place(path: str, raw: bytes, problems: Problems) -> None:
    """A policy in a file that is not read would be a gate that stands open."""
    if path.startswith(TEST_FOLDER) or not is_yaml(path):
        return
    if path.startswith(LATER_FOLDERS):
        folder = path.partition("/")[0]
        problems.add(path, START, Code.NOT_SUPPORTED, f"{folder}/ is not supported by this version")
    elif path.startswith((TRUST_FOLDER, POLICY_FOLDER)) or path == "trustgate.yml":
        problems.add(path, START, Code.LAYOUT, "files with policies end in .yaml; rename it")
    elif OUR_MARK in raw:
        message = (
            f"policies are read from {ROOT_FILE}, {TRUST_FOLDER} and {POLICY_FOLDER} only; move the file"
        )
        problems.add(path, START, Code.LAYOUT, message)


def _build(
    documents: list[Document],
    files: Mapping[str, bytes],
    revision: str,
    problems: Problems,
    known_roots: Mapping[str, bytes],
) -> PolicySet | None:
    attestors = build_attestors(documents, files, problems, known_roots=known_roots)
    site = _root(documents, files, problems)
    on_error = "deny"
    no_match: NoMatch | None = None
    exemptions: tuple[Exemption, ...] = ()
    if site is not None and isinstance(site.document.model, RootDocument):
        root = site.document.model
        on_error = root.defaults.on_error
        no_match = build_no_match(root, site)
        exemptions = tuple(
            build_exemption(entry, site.at("exempt", at)) for at, entry in enumerate(root.exempt)
        )
    rules: list[Rule] = []
    for policy, here in _policies(documents, problems):
        rules += build_policy(policy, here, attestors, on_error=on_error)
    if no_match is None:
        return None
    return PolicySet(
        revision,
        _trust_revision(documents, {**files, **_as_files(known_roots)}),
        tuple(attestors.values()),
        tuple(rules),
        exemptions,
        no_match,
    )


def _as_files(known_roots: Mapping[str, bytes]) -> dict[str, bytes]:
    """Under names that no file of a set has: a release with another root is another trust store."""
    return {f"{TRUST_FOLDER}//{name}": raw for name, raw in known_roots.items()}


def _trust_revision(documents: list[Document], files: Mapping[str, bytes]) -> str:
    """Over the whole folder, and over every other file in which a trust store stands."""
    stores = {one.path for one in documents if isinstance(one.model, TrustStoreDocument)}
    running = hashlib.sha256()
    for path in sorted(files):
        if path.startswith(TRUST_FOLDER) or path in stores:
            for part in (path.encode(), files[path]):
                running.update(len(part).to_bytes(8, "big") + part)
    return running.hexdigest()


def _policies(documents: list[Document], problems: Problems) -> Iterable[tuple[PolicyDocument, Site]]:
    """Every policy, with names checked to be unique."""
    seen: dict[str, str] = {}
    for document in documents:
        if not isinstance(document.model, PolicyDocument):
            continue
        site = Site(document, problems)
        name = document.model.metadata.name
        here = site.at("metadata", "name")
        if name in seen:
            here.complain(Code.NOT_UNIQUE, f'policy "{name[:60]}" is defined twice (also at {seen[name]})')
        seen.setdefault(name, here.where)
        yield document.model, site


def _root(documents: list[Document], files: Mapping[str, bytes], problems: Problems) -> Site | None:
    """The one root, which stands in ``trustgate.yaml``."""
    roots = [one for one in documents if isinstance(one.model, RootDocument)]
    for extra in roots:
        if extra.path != ROOT_FILE or extra is not roots[0]:
            message = f"a set has one Root, and it stands in {ROOT_FILE}"
            problems.add(extra.path, extra.root.place, Code.NO_ROOT, message)
    if roots:
        return Site(roots[0], problems)
    if ROOT_FILE not in files:
        message = f"there is no {ROOT_FILE}: write a Root that says what happens where no policy speaks"
        problems.add(ROOT_FILE, START, Code.NO_ROOT, message)
    elif not problems:
        problems.add(ROOT_FILE, START, Code.NO_ROOT, "the file holds no document of kind Root")
    return None
