"""Files that a command makes: whole, or not there at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from trustgate.errors import ConfigInvalid

READABLE_BY_ALL = 0o644


def write_whole(path: Path, content: bytes, *, overwrite: bool, hint: str = "") -> None:
    """Without ``overwrite`` never over a file, even one that came up meanwhile. Raises ``ConfigInvalid``."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        draft = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, READABLE_BY_ALL)
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            if overwrite:
                draft.replace(path)
            else:
                path.hardlink_to(draft)  # fails when there is one
        finally:
            draft.unlink(missing_ok=True)
    except FileExistsError as exc:
        raise ConfigInvalid(f"{path} exists", hint="--force overwrites it") from exc
    except OSError as exc:
        raise ConfigInvalid(f"{path} can't be written: {exc.strerror}", hint=hint) from exc
