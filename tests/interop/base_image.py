"""A base image out of Debian's packages, for builds where no image registry can be reached."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.clients.catalog import require
from tests.interop.world import ROOT, run

SUITE = "bookworm"
PACKAGES = "python3,python3-venv,git,gpg,ca-certificates,openssh-client"
FILES_OF_THIS_MACHINE = ("etc/ssl/certs/ca-certificates.crt", "etc/pip.conf")
SETTINGS_OF_THIS_MACHINE = (
    "PIP_DEFAULT_TIMEOUT",
    "PIP_EXTRA_INDEX_URL",
    "PIP_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
)
"""How packages are fetched here is also how they are fetched in the build."""
_NOT_NEEDED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man")
DEBOOTSTRAP_TIMEOUT_S = 900


def base_archive() -> Path:
    """Made once (a minute or two), then kept beside the other clients."""
    contents = hashlib.sha256(f"{SUITE} {PACKAGES} {_NOT_NEEDED}".encode()).hexdigest()
    archive = ROOT / ".clients" / f"base-{SUITE}-{contents[:8]}.tar"
    if not archive.exists():
        program = require("debootstrap").path
        archive.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="trustgate-base-") as folder:
            _make(program, Path(folder) / "root", archive)
    return archive


def _make(debootstrap: Path, root: Path, archive: Path) -> None:
    command = [str(debootstrap), "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEBOOTSTRAP_TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-1000:]}"
    for name in _NOT_NEEDED:
        shutil.rmtree(root / name, ignore_errors=True)
    draft = archive.with_suffix(f".{os.getpid()}")
    subprocess.run(["tar", "-C", str(root), "-cf", str(draft), "."], check=True)
    draft.rename(archive)


def build_base(docker: Path, environment: Mapping[str, str], name: str, folder: Path) -> None:
    """The base, with this machine's certificates and pip settings, as the image ``name``."""
    plain, context = f"{name}-plain", folder / "base"
    context.mkdir()
    lines = [f"FROM {plain}"]
    for path in FILES_OF_THIS_MACHINE:
        if Path("/", path).exists():
            shutil.copy(Path("/", path), context / Path(path).name)
            lines.append(f"COPY {Path(path).name} /{path}")
    lines += [f'ENV {key}="{os.environ[key]}"' for key in SETTINGS_OF_THIS_MACHINE if os.environ.get(key)]
    (context / "Dockerfile").write_text("\n".join(lines))
    for command in (["import", str(base_archive()), plain], ["build", "-t", name, str(context)]):
        run([str(docker), *command], environment, folder)
