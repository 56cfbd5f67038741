"""Digests of content: ``sha256`` and ``sha512``, as the OCI image specification registers them."""

from __future__ import annotations

import hashlib
import re
from typing import Self

from trustgate.errors import DigestInvalid

HEX_LENGTH = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+")
_SHOWN_CHARACTERS = 160


class Digest(str):
    """``algorithm:hex``, checked when it is made: a ``Digest`` is always well formed.

    Raises ``DigestInvalid``. Specification: image-spec descriptor.md, "Digests".
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        algorithm, colon, encoded = text.partition(":")
        length = HEX_LENGTH.get(algorithm)
        if not colon or length is None or len(encoded) != length or not _HEX.fullmatch(encoded):
            raise DigestInvalid(
                f"{text[:_SHOWN_CHARACTERS]!r} is not a digest: expected sha256:<64 hex> or sha512:<128 hex>",
                hint="digests are lower-case hexadecimal; copy the whole value",
            )
        return super().__new__(cls, text)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Self:
        """The digest of ``content``."""
        return cls(f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}")

    @property
    def algorithm(self) -> str:
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """For people: ``sha256:9f3c1a2b04de``."""
        return f"{self.algorithm}:{self.hex[:12]}"
