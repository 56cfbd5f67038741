"""Which files the readers want, and from files to packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from trustgate.scanning import Package
from trustgate_scanners.embedded.layers import KeptFile, Squashed
from trustgate_scanners.embedded.readers import apk, dpkg, golang, node, osrelease, python

Unreadable = ValueError
MAX_PACKAGES: Final = 200_000


@dataclass(frozen=True, slots=True)
class Inventory:
    """The installed packages, the release they belong to, and the files that could not be read."""

    os: osrelease.Release | None
    packages: tuple[Package, ...]
    problems: tuple[str, ...]


def wanted(path: str, size: int) -> bool:
    """Whether some reader wants the file. Large files are wanted as possible Go binaries only."""
    return (
        osrelease.wants(path)
        or dpkg.wants(path)
        or apk.wants(path)
        or python.wants(path)
        or node.wants(path)
        or golang.wants(path, size)
    )


def take_inventory(image: Squashed) -> Inventory:
    """Run every reader. A file that breaks its reader is a problem, and hides nothing else."""
    problems = list(image.problems)
    release = _release(image, problems)
    owned = dpkg.owned_paths(image.files) | apk.owned_paths(image.files)
    packages: dict[tuple[str, str, str], Package] = {}
    for file in image.files.values():
        for package in _packages_in(file, release, problems):
            is_system = package.ecosystem.partition(":")[0] in osrelease.DISTRIBUTIONS
            if not is_system and file.path in owned:
                continue  # the distribution's own advisories speak for files that it installed
            packages.setdefault((package.ecosystem, package.name, package.version), package)
            if len(packages) > MAX_PACKAGES:
                problems.append(f"more than {MAX_PACKAGES} packages")
                return Inventory(release, tuple(packages.values()), tuple(problems))
    return Inventory(release, tuple(packages.values()), tuple(problems))


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
    for wants, read in _readers(release):
        if not wants(file.path):
            continue
        try:
            yield from read(file)
        except ValueError as exc:
            problems.append(f"{file.path[-120:]!a}: {exc}")


def _readers(
    release: osrelease.Release | None,
) -> list[tuple[Callable[[str], bool], Callable[[KeptFile], Iterator[Package]]]]:
    system = release.ecosystem if release else ""
    return [
        (dpkg.is_database, lambda file: dpkg.read(file, system or "Debian")),
        (apk.is_database, lambda file: apk.read(file, system or "Alpine")),
        (python.wants, python.read),
        (node.wants, node.read),
        (golang.may_be_binary, golang.read),
    ]
