"""Files that a trust store names: inside its folder, beside the document, or written inline."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trustgate.errors import KeyUnreadable
from trustgate.policy.layout import TRUST_FOLDER

_INLINE: Final = "-----BEGIN "


@dataclass(frozen=True, slots=True)
class TrustFiles:
    """The files of a set, as a document at ``path`` names them."""

    path: str
    files: Mapping[str, bytes]

    def read(self, name: str) -> bytes:
        """The content itself when it is written inline, else the file. Raises ``KeyUnreadable``."""
        if name.lstrip().startswith(_INLINE):
            return name.encode()
        target = posixpath.normpath(posixpath.join(posixpath.dirname(self.path), name))
        if name.startswith("/") or not target.startswith(TRUST_FOLDER):
            raise KeyUnreadable(
                f"{name[:80]!r} leads out of {TRUST_FOLDER}",
                hint="key files lie beside the trust store, in trust/",
            )
        if target not in self.files:
            raise KeyUnreadable(
                f"there is no file {target[:120]}", hint="paths are relative to this file's folder"
            )
        return self.files[target]
