"""Which files the readers want, and from files to packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from trustgate.scanning import Package
from trustgate_scanners.embedded.layers import KeptFile, Squashed, Want, Wishes
from trustgate_scanners.embedded.readers import apk, dpkg, golang, node, osrelease, python

MAX_PACKAGES: Final = 200_000
MAX_NAME_CHARACTERS: Final = 512
_PATH_SHOWN_CHARACTERS = 120
_UNREAD_SYSTEMS = (
    ("var/lib/rpm/", "RPM"),
    ("usr/lib/sysimage/rpm/", "RPM"),
    ("usr/share/rpm/", "RPM"),
    ("var/lib/pacman/local/", "pacman"),
    ("var/db/pkg/", "Portage"),
)
"""Package databases of distributions that no reader here knows: an image with one is never "clean"."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """The installed packages, the release they belong to, and the files that could not be read."""

    os: osrelease.Release | None
    packages: tuple[Package, ...]
    problems: tuple[str, ...]
    unread_system: str
    """The ecosystem whose packages were not found although there must be some; empty for none."""


def want(path: str, size: int) -> Want:
    """What some reader wants of the file. Any file may be a Go program, whatever its name."""
    if any(reader(path) for reader in (osrelease.wants, dpkg.wants, apk.wants, python.wants, node.wants)):
        return Want.WHOLE
    if path.startswith(tuple(prefix for prefix, _name in _UNREAD_SYSTEMS)):
        return Want.PRESENCE
    return Want.EXTRACT if size >= golang.MIN_BINARY_BYTES else Want.NOTHING


WISHES: Final = Wishes(
    want=want,
    extract=golang.extract,
    fixed_paths=(*osrelease.PATHS, dpkg.STATUS, *apk.DATABASES),
)


def take_inventory(image: Squashed) -> Inventory:
    """Run every reader. A file that breaks its reader is a problem, and hides nothing else."""
    problems = list(image.problems)
    release = _release(image, problems)
    owned = dpkg.owned_paths(image.files) | apk.owned_paths(image.files)
    packages: dict[tuple[str, str, str], Package] = {}
    for file in image.files.values():
        for package in _packages_in(file, release, problems):
            if not is_system(package) and file.path in owned:
                continue  # the distribution's own advisories speak for files that it installed
            if len(packages) >= MAX_PACKAGES:
                problems.append(f"more than {MAX_PACKAGES} packages")
                break
            packages.setdefault((package.ecosystem, package.name, package.version), package)
    found = tuple(packages.values())
    unread = _unread_system(image, release, found, problems)
    return Inventory(release, found, tuple(problems), unread)


def is_system(package: Package) -> bool:
    """Whether the package was installed by the distribution."""
    return package.ecosystem.partition(":")[0] in osrelease.DISTRIBUTIONS


def _unread_system(
    image: Squashed,
    release: osrelease.Release | None,
    packages: tuple[Package, ...],
    problems: list[str],
) -> str:
    """An image of a distribution without a single package of it was not understood."""
    named = release.ecosystem if release else ""
    for prefix, name in _UNREAD_SYSTEMS:
        if any(path.startswith(prefix) for path in image.files):
            problems.append(f"{name} packages are not read by this version")
            return named or f"{osrelease.UNKNOWN}:{name.lower()}"
    return "" if any(is_system(package) for package in packages) else named


def _release(image: Squashed, problems: list[str]) -> osrelease.Release | None:
    for path in osrelease.PATHS:
        file = image.find(path)
        if file is not None:
            try:
                return osrelease.read(file.content)
            except ValueError as exc:
                problems.append(f"{path}: {exc}")
    return None


def _packages_in(file: KeptFile, release: osrelease.Release | None, problems: list[str]) -> Iterator[Package]:
    where = repr(file.path[-_PATH_SHOWN_CHARACTERS:])
    try:
        for package in _reader_of(file, release)(file):
            if _is_sound(package):
                yield package
            else:
                problems.append(f"{where}: a package's name or version is absurd")
    except ValueError as exc:
        problems.append(f"{where}: {exc}")


def _is_sound(package: Package) -> bool:
    words = (package.name, package.version, package.source_name, package.source_version)
    return all(len(word) <= MAX_NAME_CHARACTERS and word.isprintable() for word in words)


def _reader_of(file: KeptFile, release: osrelease.Release | None) -> Callable[[KeptFile], Iterator[Package]]:
    path = file.path
    if dpkg.is_database(path):
        return lambda file: dpkg.read(file, _ecosystem(release, "debian"))
    if apk.is_database(path):
        return lambda file: apk.read(file, _ecosystem(release, "alpine"))
    if python.wants(path):
        return python.read
    if node.wants(path):
        return node.read
    return golang.read if want(path, golang.MIN_BINARY_BYTES) is Want.EXTRACT else _nothing


def _ecosystem(release: osrelease.Release | None, family: str) -> str:
    """Without a release nobody can say which advisories apply: never a family's bare name."""
    return release.ecosystem if release else f"{osrelease.UNKNOWN}:{family}"


def _nothing(_file: KeptFile) -> Iterator[Package]:
    return iter(())
