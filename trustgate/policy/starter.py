"""The starter set: what a registry without a policy repository of its own begins with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

FOLDER: Final = "starter_set"


def starter_files() -> Mapping[str, bytes]:
    """Path to bytes, as ``load`` takes them; the same files as ``policies/starter/`` in the repository."""
    return dict(_files(resources.files("trustgate.policy").joinpath(FOLDER), ""))


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".yaml"):
            yield prefix + entry.name, entry.read_bytes()
