"""A base image out of Debian's packages, for builds where no image registry can be reached."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.clients.catalog import require
from tests.interop.world import ROOT

ARCHIVE = ROOT / ".clients" / "base-bookworm.tar"
PACKAGES = "python3,python3-venv,git,ca-certificates,openssh-client"
OF_THIS_MACHINE = ("etc/ssl/certs/ca-certificates.crt", "etc/pip.conf")
"""How packages are fetched here is also how they are fetched in the build."""
_NOT_NEEDED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man")
DEBOOTSTRAP_TIMEOUT_S = 900


def base_archive() -> Path:
    """Made once (a minute), then kept beside the other clients."""
    program = require("debootstrap").path
    if ARCHIVE.exists():
        return ARCHIVE
    with tempfile.TemporaryDirectory(prefix="trustgate-base-") as folder:
        root = Path(folder) / "root"
        command = [str(program), "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DEBOOTSTRAP_TIMEOUT_S, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:]
        for name in _NOT_NEEDED:
            shutil.rmtree(root / name, ignore_errors=True)
        draft = ARCHIVE.with_suffix(f".{os.getpid()}")
        draft.parent.mkdir(exist_ok=True)
        subprocess.run(["tar", "-C", str(root), "-cf", str(draft), "."], check=True)
        draft.rename(ARCHIVE)
    return ARCHIVE


def build_base(docker: Path, environment: dict[str, str], name: str, folder: Path) -> None:
    """The base, with this machine's certificates and pip settings, as the image ``name``."""
    environment = {**environment, "DOCKER_BUILDKIT": "0"}
    plain, context = f"{name}-plain", folder / "base"
    context.mkdir()
    lines = [f"FROM {plain}"]
    for path in OF_THIS_MACHINE:
        if Path("/", path).exists():
            shutil.copy(Path("/", path), context / Path(path).name)
            lines.append(f"COPY {Path(path).name} /{path}")
    (context / "Dockerfile").write_text("\n".join(lines))
    for command in (["import", str(base_archive()), plain], ["build", "-t", name, str(context)]):
        subprocess.run([str(docker), *command], env=environment, check=True, capture_output=True)
