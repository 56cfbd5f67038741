"""Trusted roots that come with the ``sigstore`` package: the public-good instance's, and its staging's."""

from __future__ import annotations

from importlib import resources
from typing import Final

PUBLIC_GOOD: Final = "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev"
STAGING: Final = "https%3A%2F%2Ftuf-repo-cdn.sigstage.dev"


def bundled_trusted_root(instance: str = PUBLIC_GOOD) -> bytes:
    """``trusted_root.json`` as it was when the package was made: good for what was signed until then."""
    store = resources.files("sigstore._store")
    return store.joinpath(instance, "trusted_root.json").read_bytes()


def bundled_roots() -> dict[str, bytes]:
    """Trusted roots that a trust store may name without defining them."""
    return {"public-good": bundled_trusted_root()}
