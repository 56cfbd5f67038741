"""Whose certificates connections believe: read once, and not by each client that never speaks TLS."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from typing import Final

import httpx

_NAMES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def context(*, trust_env: bool = True) -> ssl.SSLContext:
    """As a client of httpx has it; one and the same, as long as the environment names the same places."""
    return _context(trust_env, tuple(os.environ.get(name) for name in _NAMES) if trust_env else ())


@lru_cache(maxsize=4)
def _context(trust_env: bool, _named: tuple[str | None, ...]) -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=trust_env)
