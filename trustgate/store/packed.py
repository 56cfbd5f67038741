"""JSON documents as the tables hold them: compressed bytes."""

from __future__ import annotations

import json
import zlib
from typing import Any

from trustgate.errors import StorageUnavailable


def pack(document: object) -> bytes:
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), level=6)


def unpack(body: bytes, *, what: str) -> Any:
    """Raises ``StorageUnavailable`` when the bytes are not what ``pack`` made."""
    try:
        return json.loads(zlib.decompress(body))
    except (zlib.error, ValueError) as exc:
        raise StorageUnavailable(
            f"the stored {what} can't be read: {exc}", hint="restore the database from a backup"
        ) from exc
