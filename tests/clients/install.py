"""Install the real clients that the interop suite drives; see README.md beside this file.

    python3 tests/clients/install.py [--only NAME …] [--list]

Needs nothing but Python's standard library. Debian packages come from apt; Go programs are built from one
small module each, pinned by its go.mod and go.sum, into ``.clients/bin`` of the checkout.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BIN = ROOT / ".clients" / "bin"
STAMPS = ROOT / ".clients" / "stamps"
MIN_GO = (1, 26)
BUILD_TIMEOUT_S = 1800

DEBIAN: dict[str, str] = {
    "dockerd": "docker.io",
    "podman": "podman",
    "skopeo": "skopeo",
    "debootstrap": "debootstrap",
    "docker-compose": "docker-compose",
    "git": "git",
    "gpg": "gnupg",
    "notary": "notary",
    "notary-server": "notary",
    "pg_ctlcluster": "postgresql",
    "pkcs11-tool": "opensc",
    "softhsm2-util": "softhsm2",
}
"""A program, and the package that brings it."""


@dataclass(frozen=True)
class GoTool:
    """A module folder beside this file, and what it builds."""

    module: str
    packages: tuple[str, ...]
    version_flags: str = ""
    names: tuple[str, ...] = ()
    """The programs, where they are not called like their packages."""
    tags: str = ""

    @property
    def programs(self) -> dict[str, str]:
        """What is built, by the name that it gets."""
        own = (package.rpartition("/")[2] for package in self.packages)
        return dict(zip(self.names or own, self.packages, strict=True))


GO: tuple[GoTool, ...] = (
    GoTool("conformance", ("github.com/opencontainers/distribution-spec/conformance",)),
    GoTool(
        "crane",
        ("github.com/google/go-containerregistry/cmd/crane",),
        "-X github.com/google/go-containerregistry/cmd/crane/cmd.Version=0.22.1",
    ),
    GoTool("oras", ("oras.land/oras/cmd/oras",)),
    GoTool("regctl", ("github.com/regclient/regclient/cmd/regctl",)),
    GoTool("helm", ("helm.sh/helm/v3/cmd/helm",), "-X helm.sh/helm/v3/internal/version.version=v3.22.0"),
    GoTool("helm-cm-push", ("github.com/chartmuseum/helm-push/cmd/helm-cm-push",)),
    GoTool(
        "helm4",
        ("helm.sh/helm/v4/cmd/helm",),
        "-X helm.sh/helm/v4/internal/version.version=v4.3.1",
        names=("helm4",),
    ),
    GoTool(
        "cosign",
        ("github.com/sigstore/cosign/v3/cmd/cosign",),
        "-X sigs.k8s.io/release-utils/version.gitVersion=v3.1.2",
    ),
    GoTool(
        "notation",
        ("github.com/notaryproject/notation/cmd/notation",),
        "-X github.com/notaryproject/notation/internal/version.BuildMetadata=",
    ),
    GoTool(
        "containerd",
        ("github.com/containerd/containerd/v2/cmd/containerd", "github.com/containerd/containerd/v2/cmd/ctr"),
        "-X github.com/containerd/containerd/v2/version.Version=2.2.1",
    ),
    GoTool(
        "distribution",
        ("github.com/distribution/distribution/v3/cmd/registry",),
        "-X github.com/distribution/distribution/v3/version.version=v3.1.1",
    ),
    GoTool(
        "cosign2",
        ("github.com/sigstore/cosign/v2/cmd/cosign",),
        "-X sigs.k8s.io/release-utils/version.gitVersion=v2.6.2",
        names=("cosign2",),
    ),
    GoTool(
        "fulcio",
        ("github.com/sigstore/fulcio",),
        "-X sigs.k8s.io/release-utils/version.gitVersion=v1.8.5",
    ),
    GoTool(
        "rekor",
        ("github.com/sigstore/rekor/cmd/rekor-server",),
        "-X sigs.k8s.io/release-utils/version.gitVersion=v1.5.0",
    ),
    GoTool(
        "rekor-tiles",
        ("github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix",),
        "-X sigs.k8s.io/release-utils/version.gitVersion=v2.3.0",
        names=("rekor-tiles",),
    ),
    GoTool(
        "trillian",
        (
            "github.com/google/trillian/cmd/trillian_log_server",
            "github.com/google/trillian/cmd/trillian_log_signer",
            "github.com/google/trillian/cmd/createtree",
        ),
    ),
    GoTool("containers-image", (".",), names=("containers-image",), tags="containers_image_openpgp"),
    GoTool("ct-server", ("github.com/google/certificate-transparency-go/trillian/ctfe/ct_server",)),
    GoTool(
        "timestamp-server",
        ("github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server",),
        "-X sigs.k8s.io/release-utils/version.gitVersion=v2.0.4",
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", help="only these Go modules")
    parser.add_argument("--list", action="store_true", help="say what would be installed, and stop")
    arguments = parser.parse_args()
    wanted = [tool for tool in GO if not arguments.only or tool.module in arguments.only]
    if arguments.list:
        for tool in wanted:
            print(f"{tool.module:<14} {' '.join(tool.packages)}")
        print(f"{'debian':<14} {' '.join(sorted(set(DEBIAN.values())))}")
        return 0
    problems = [] if arguments.only else install_debian()
    problems += build_all(wanted)
    for problem in problems:
        print(f"FAILED  {problem}", file=sys.stderr)
    print("clients are in .clients/bin" if not problems else f"{len(problems)} client(s) are missing")
    return 1 if problems else 0


def install_debian() -> list[str]:
    """Packages whose programs are not there yet."""
    missing = sorted({package for program, package in DEBIAN.items() if not _on_path(program)})
    if not missing:
        return []
    apt = shutil.which("apt-get")
    if apt is None:
        return [f"{package}: install it with your system's packages" for package in missing]
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    command = f"sudo apt-get install {' '.join(missing)}"
    if sudo and shutil.which("sudo") is None:
        return [f"as root: {command}"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*sudo, apt, "update", "-qq"], env=environment, check=False, stdout=subprocess.DEVNULL)
    problems = []
    for package in missing:
        done = _timed(
            package,
            [*sudo, apt, "install", "-y", "-qq", "--no-install-recommends", package],
            ROOT,
            environment,
        )
        if done:
            problems.append(f"{package}: {done} (try: {command})")
    return problems


def build_all(tools: list[GoTool]) -> list[str]:
    """Each tool that is not up to date; one that fails does not keep the others."""
    go = shutil.which("go")
    if go is None:
        need = f"Go {MIN_GO[0]}.{MIN_GO[1]} or newer (https://go.dev/dl, or golang-go from backports)"
        return [f"{tool.module}: needs {need}" for tool in tools if not _built(tool, "")]
    version = subprocess.run(
        [go, "env", "GOVERSION"], capture_output=True, text=True, check=True
    ).stdout.strip()
    BIN.mkdir(parents=True, exist_ok=True)
    STAMPS.mkdir(parents=True, exist_ok=True)
    return [problem for tool in tools if (problem := _build(go, version, tool))]


def _build(go: str, version: str, tool: GoTool) -> str:
    if _built(tool, version):
        print(f"{tool.module:<14} up to date", flush=True)
        return ""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    for name, package in tool.programs.items():
        target = BIN / name
        flags = f"-s -w {tool.version_flags}".strip()
        command = [go, "build", "-trimpath", f"-tags={tool.tags}", f"-ldflags={flags}"]
        command += ["-o", str(target), package]
        problem = _timed(target.name, command, HERE / tool.module, environment)
        if problem:
            return f"{tool.module}: {problem}"
    (STAMPS / tool.module).write_text(_stamp(tool, version))
    return ""


def _built(tool: GoTool, version: str) -> bool:
    stamp = STAMPS / tool.module
    there = all((BIN / name).exists() for name in tool.programs)
    return there and stamp.exists() and (not version or stamp.read_text() == _stamp(tool, version))


def _stamp(tool: GoTool, version: str) -> str:
    running = hashlib.sha256(f"{version}\n{tool.version_flags}\n".encode())
    folder = HERE / tool.module
    for file in (folder / "go.mod", folder / "go.sum", *sorted(folder.glob("*.go"))):
        running.update(file.read_bytes())
    return running.hexdigest()


def _timed(name: str, command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run, print one line with the seconds; an empty string when it went well."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"took more than {BUILD_TIMEOUT_S} s"
    took = time.monotonic() - began
    print(f"{name:<14} {'ok' if done.returncode == 0 else 'FAILED':<7} {took:6.1f} s", flush=True)
    return "" if done.returncode == 0 else done.stderr.strip()[-800:] or f"exit code {done.returncode}"


def _on_path(program: str) -> bool:
    return any(shutil.which(program, path=place) for place in (None, "/usr/sbin:/sbin:/usr/local/sbin"))


if __name__ == "__main__":
    sys.exit(main())
