"""Ratios against Distribution v3.1.1, in one run on one machine.

    python -m tests.bench.run [--quick]

trustgate has its gate and its login on, under an enforced signature rule; Distribution has neither.
What counts is the server's own CPU a request (the kernel's accounting, the whole process tree), since the
wall clock of a shared machine says little; both are printed, and every ratio is of this run.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.load import Figure, download, requests, upload
from tests.clients.catalog import find
from tests.interop.world import add_image, free_port, make_world
from trustgate.flows.transfer import copy_image
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.remote.docker_config import Credential
from trustgate.remote.layout import LayoutSource
from trustgate.remote.registry import RegistryClient

REPOSITORY = "shop/web"
SMALL_BYTES = 20_000
LARGE_BYTES = 2**30
ACCEPT = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Peer:
    """One server under load."""

    name: str
    host: str
    pid: int
    pull: dict[str, str]
    push: dict[str, str]


def main() -> int:
    quick = "--quick" in sys.argv
    seconds, turns = (0.5, 1) if quick else (2.0, 3)
    large = LARGE_BYTES // 16 if quick else LARGE_BYTES
    if find("registry") is None:
        print("Distribution is not here: run 'make clients'")
        return 1
    with tempfile.TemporaryDirectory(prefix="trustgate-bench-") as name:
        folder = Path(name)
        blobs = _blobs(folder, large)
        with _trustgate(folder, blobs) as ours, _distribution(folder, blobs) as theirs:
            _compare(ours, theirs, blobs, seconds, turns)
    return 0


def _compare(ours: Peer, theirs: Peer, blobs: dict[str, Path], seconds: float, turns: int) -> None:
    print(f"{'':<34} {'trustgate':>22} {'Distribution':>22} {'ratio':>16}")
    print(f"{'':<34} {'CPU a unit   rate':>22} {'CPU a unit   rate':>22} {'CPU      wall':>16}")
    for method in ("GET", "HEAD"):
        for connections in (1, 8, 64):
            _row(
                f"manifest {method} by tag, {connections} conn.",
                ours,
                theirs,
                lambda peer, m=method, c=connections: requests(
                    peer.host, peer.pid, _head(m, "manifests/1", peer), c, seconds
                ),
                turns,
            )
    small = _digest(blobs["small"])
    _row(
        "blob GET 20 kB, 8 conn.",
        ours,
        theirs,
        lambda peer: requests(peer.host, peer.pid, _head("GET", f"blobs/{small}", peer), 8, seconds),
        turns,
    )
    large, size = _digest(blobs["large"]), blobs["large"].stat().st_size
    _row(
        f"blob GET {size / 2**30:.2f} GiB (CPU a GiB)",
        ours,
        theirs,
        lambda peer: download(peer.host, peer.pid, _head("GET", f"blobs/{large}", peer), size),
        turns,
    )
    _row(
        f"push {size / 2**30:.2f} GiB, durable (CPU a GiB)",
        ours,
        theirs,
        lambda peer: upload(peer.host, peer.pid, "open/bench", blobs["large"], peer.push),
        turns,
    )


def _row(what: str, ours: Peer, theirs: Peer, measure: Callable[[Peer], Figure], turns: int) -> None:
    """In turn, so that a machine that slows down slows both; medians."""
    pairs = [(measure(ours), measure(theirs)) for _ in range(turns)]
    mine, other = ([pair[side] for pair in pairs] for side in (0, 1))
    cells = []
    for figures in (mine, other):
        cpu = median(f.cpu_us for f in figures)
        shown = f"{cpu:8.0f} us" if cpu < 1e5 else f"{cpu / 1e6:8.2f} s "
        cells.append(f"{shown} {median(f.rate for f in figures):9.1f}/s")
    cpu_ratio = median(b.cpu_us / a.cpu_us for a, b in pairs)
    wall_ratio = median(a.rate / b.rate for a, b in pairs)
    print(f"{what:<34} {cells[0]:>22} {cells[1]:>22} {cpu_ratio:7.1f}x {wall_ratio:7.1f}x", flush=True)


def _head(method: str, path: str, peer: Peer) -> bytes:
    lines = [f"{method} /v2/{REPOSITORY}/{path} HTTP/1.1", f"host: {peer.host}", f"accept: {ACCEPT}"]
    lines += [f"{name}: {value}" for name, value in peer.pull.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _blobs(folder: Path, large: int) -> dict[str, Path]:
    paths = {"small": folder / "small", "large": folder / "large"}
    paths["small"].write_bytes(os.urandom(SMALL_BYTES))
    with paths["large"].open("wb") as file:
        for _ in range(large // 2**20):
            file.write(os.urandom(2**20))
    return paths


def _digest(path: Path) -> Digest:
    import hashlib

    with path.open("rb") as file:
        return Digest(f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")


def _layout(folder: Path, blobs: dict[str, Path]) -> LayoutSource:
    """An image whose layers are the two blobs."""
    layout = LayoutSource(folder / "layout", create=True)
    digest, _size = add_image(layout, "plain", "bench")
    document = json.loads(layout.manifest(digest).raw)
    for path in blobs.values():
        size, name = path.stat().st_size, _digest(path)
        layout.put_blob(name, _pieces(path), size)
        document["layers"].append(
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": str(name), "size": size}
        )
    layout.put_manifest(json.dumps(document).encode(), ACCEPT, Tag("image"))
    return layout


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(2**20):
            yield piece


def _fill(layout: LayoutSource, client: RegistryClient) -> None:
    with client:
        copy_image(layout, Tag("image"), client, Tag("1"), progress=lambda *_: None)


@contextmanager
def _trustgate(folder: Path, blobs: dict[str, Path]) -> Iterator[Peer]:
    world = make_world(folder)
    try:
        logins = {who: _basic(world.configs[who], world.host) for who in ("ci", "prod")}
        name, _colon, secret = base64.b64decode(logins["ci"]).decode().partition(":")
        credential = Credential(name, secret, "bench")
        _fill(_layout(folder, blobs), RegistryClient(world.host, RepositoryName(REPOSITORY), credential))
        world.trustgate("ci", "sign", "--key", world.key_file, f"{world.host}/{REPOSITORY}:1")
        token = _token(world.host, logins["prod"], f"repository:{REPOSITORY}:pull")
        yield Peer(
            "trustgate",
            world.host,
            world.server.process.pid,
            pull={"authorization": f"Bearer {token}"},
            push={"authorization": f"Basic {logins['ci']}"},
        )
    finally:
        world.server.kill()


def _basic(config: Path, host: str) -> str:
    found: str = json.loads((config / "config.json").read_text())["auths"][host]["auth"]
    return found


def _token(host: str, basic: str, scope: str) -> str:
    connection = http.client.HTTPConnection(host)
    connection.request("GET", f"/token?scope={scope}", headers={"authorization": f"Basic {basic}"})
    token: str = json.loads(connection.getresponse().read())["token"]
    return token


@contextmanager
def _distribution(folder: Path, blobs: dict[str, Path]) -> Iterator[Peer]:
    client = find("registry")
    assert client is not None
    port = free_port()
    config = folder / "distribution.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'distribution'}}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    process = subprocess.Popen(
        [client.path, "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    host = f"localhost:{port}"
    try:
        _wait(host)
        _fill(LayoutSource(folder / "layout"), RegistryClient(host, RepositoryName(REPOSITORY), None))
        yield Peer("Distribution", host, process.pid, pull={}, push={})
    finally:
        process.kill()
        process.wait()


def _wait(host: str) -> None:
    for _ in range(100):
        try:
            connection = http.client.HTTPConnection(host, timeout=1)
            connection.request("GET", "/v2/")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{host} did not start")


if __name__ == "__main__":
    sys.exit(main())
