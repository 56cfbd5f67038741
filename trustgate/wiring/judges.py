"""Which code judges evidence: what it made of it is not believed by another."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import trustgate


@cache
def judges(root: Path = Path(trustgate.__file__).parent) -> str:
    """A fingerprint of this package's source and of every installed distribution's version, in hex.

    The release alone does not do: a server that is built from a checkout changes without it, and a library
    that was mended changes it never.
    """
    whole = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        source = path.read_bytes()
        whole.update(f"{path.relative_to(root)} {len(source)}\n".encode() + source)
    for installed in sorted(f"{one.name} {one.version}\n" for one in distributions()):
        whole.update(installed.encode())
    return whole.hexdigest()
