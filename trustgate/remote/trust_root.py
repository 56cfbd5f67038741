"""Trusted roots that come with the ``sigstore`` package: the public-good instance's, and its staging's."""

from __future__ import annotations

from importlib import resources
from typing import Final

PUBLIC_GOOD_URL: Final = "https://tuf-repo-cdn.sigstore.dev"
PUBLIC_GOOD: Final = "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev"
STAGING: Final = "https%3A%2F%2Ftuf-repo-cdn.sigstage.dev"


def bundled_trusted_root(instance: str = PUBLIC_GOOD) -> bytes:
    """``trusted_root.json`` as it was when the package was made: good for what was signed until then."""
    store = resources.files("sigstore._store")
    return store.joinpath(instance, "trusted_root.json").read_bytes()


def bundled_tuf_root(instance: str = PUBLIC_GOOD) -> bytes:
    """``root.json`` of the repository that the trusted root is published in: where an update begins."""
    return resources.files("sigstore._store").joinpath(instance, "root.json").read_bytes()


def bundled_roots() -> dict[str, bytes]:
    """Trusted roots that a trust store may name without defining them."""
    return {"public-good": bundled_trusted_root()}
