"""Kill the server with -9 at every stage of a push, and look at what is left.

    python -m tests.crash.kill [ROUNDS]

After each kill the server starts again on the same data, and then: every push that was acknowledged is
there, byte for byte; whatever was not acknowledged is there whole or not at all; uploads can go on.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.interop.world import Server, free_port, start_server
from trustgate.oci import media
from trustgate.oci.digest import Digest

ROUNDS = 200
LAYER_BYTES = 300_000
REPOSITORY = "crash/image"
STAGES = (
    "before the upload begins",
    "after the upload began",
    "in the middle of a chunk",
    "while a chunk is being answered",
    "after a chunk was acknowledged",
    "while the blob is being finished",
    "after the blob was acknowledged",
    "in the middle of a manifest",
    "while the manifest is being answered",
    "after the manifest was acknowledged",
)


class Killed(Exception):
    """The server is gone: the round is over for the client."""


@dataclass
class Acknowledged:
    """What the server said yes to, over all rounds."""

    blobs: dict[Digest, bytes] = field(default_factory=dict)
    manifests: dict[Digest, bytes] = field(default_factory=dict)
    tags: dict[str, Digest] = field(default_factory=dict)
    attempted: dict[str, Digest] = field(default_factory=dict)


class Pusher:
    """Pushes one image by hand, request by request, and pulls the trigger at one stage."""

    def __init__(
        self, server: Server, password: str, kept: Acknowledged, stage: str, chance: random.Random
    ) -> None:
        self._server = server
        self._kept = kept
        self._stage = stage
        self._chance = chance
        login = base64.b64encode(f"admin:{password}".encode()).decode()
        self._headers = {"authorization": f"Basic {login}"}

    def push(self, tag: str) -> None:
        layer = self._chance.randbytes(LAYER_BYTES)
        config = json.dumps({"architecture": "amd64", "os": "linux", "n": self._chance.random()}).encode()
        for blob in (config, layer):
            self._blob(blob, armed=blob is layer)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": media.OCI_MANIFEST,
                "config": {"mediaType": media.OCI_CONFIG, "digest": Digest.of(config), "size": len(config)},
                "layers": [
                    {"mediaType": media.OCI_LAYER_TAR_GZIP, "digest": Digest.of(layer), "size": len(layer)}
                ],
            }
        ).encode()
        digest = Digest.of(manifest)
        self._kept.attempted[tag] = digest
        headers = {"content-type": media.OCI_MANIFEST}
        path = f"/v2/{REPOSITORY}/manifests/{tag}"
        self._ask("PUT", path, manifest, headers, middle=STAGES[7], during=STAGES[8])
        self._kept.manifests[digest] = manifest
        self._kept.tags[tag] = digest
        self._at(STAGES[9])

    def _blob(self, blob: bytes, *, armed: bool) -> None:
        self._at(STAGES[0] if armed else "")
        answer = self._ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/", b"", {})
        self._at(STAGES[1] if armed else "")
        place = answer.getheader("location") or ""
        stages = {"middle": STAGES[2], "during": STAGES[3]} if armed else {}
        answer = self._ask("PATCH", place, blob, {}, **stages)
        self._at(STAGES[4] if armed else "")
        place = answer.getheader("location") or place
        digest = Digest.of(blob)
        during = {"during": STAGES[5]} if armed else {}
        self._ask("PUT", f"{place}?digest={digest}", b"", {}, **during)
        self._kept.blobs[digest] = blob
        self._at(STAGES[6] if armed else "")

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
        *,
        middle: str = "",
        during: str = "",
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self._server.host, timeout=20)
        try:
            connection.putrequest(method, path)
            for name, value in {**self._headers, **headers, "content-length": str(len(body))}.items():
                connection.putheader(name, value)
            connection.endheaders()
            half = len(body) // 2
            connection.send(body[:half])
            self._at(middle)
            if during and during == self._stage:
                delay = self._chance.random() * 0.02
                threading.Timer(delay, self._server.kill).start()
            connection.send(body[half:])
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as exc:
            raise Killed from exc
        finally:
            connection.close()
        if answer.status >= 300:
            raise AssertionError(f"{method} {path}: {answer.status}")
        return answer

    def _at(self, stage: str) -> None:
        if stage and stage == self._stage:
            self._server.kill()
            raise Killed


def check(server: Server, password: str, kept: Acknowledged) -> None:
    """Everything acknowledged is there; nothing is half there."""
    headers = {"authorization": "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()}
    listed = json.loads(_get(server, f"/v2/{REPOSITORY}/tags/list", headers) or b'{"tags": []}')["tags"]
    for tag in kept.tags:
        assert tag in listed, f"acknowledged tag {tag} is lost"
    for tag in listed:
        raw = _get(server, f"/v2/{REPOSITORY}/manifests/{tag}", headers)
        assert raw is not None, f"tag {tag} is listed and has no manifest"
        assert Digest.of(raw) == kept.attempted[tag], f"tag {tag} has other bytes"
        document = json.loads(raw)
        for descriptor in (document["config"], *document["layers"]):
            blob = _get(server, f"/v2/{REPOSITORY}/blobs/{descriptor['digest']}", headers)
            assert blob is not None, f"{tag} is visible and lacks {descriptor['digest']}"
            assert Digest.of(blob) == descriptor["digest"]
    for digest in kept.blobs:
        assert _get(server, f"/v2/{REPOSITORY}/blobs/{digest}", headers) is not None, f"blob {digest} is lost"


def _get(server: Server, path: str, headers: dict[str, str]) -> bytes | None:
    connection = http.client.HTTPConnection(server.host, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return body if answer.status == 200 else None


def rounds(number: int, folder: Path, seed: int) -> Iterator[str]:
    """Kill ``number`` times; yields the stage of each kill, after the check."""
    chance = random.Random(seed)
    kept = Acknowledged()
    port = free_port()
    server = start_server(folder / "data", port=port)
    password = server.admin_password
    for round_number in range(number):
        stage = STAGES[round_number % len(STAGES)]
        with contextlib.suppress(Killed):
            Pusher(server, password, kept, stage, chance).push(f"t{round_number}")
        if server.process.poll() is None:
            time.sleep(0.03)  # a timer may still be about to fire
            server.kill()
        server = start_server(folder / "data", port=port)
        last = Acknowledged(
            blobs=dict(list(kept.blobs.items())[-6:]),
            manifests=kept.manifests,
            tags=kept.tags,
            attempted=kept.attempted,
        )
        check(server, password, kept if round_number == number - 1 else last)
        yield stage
    server.stop()


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="trustgate-crash-") as folder:
        for done, stage in enumerate(rounds(number, Path(folder), seed=number), start=1):
            if done % 10 == 0:
                print(f"{done} kills, the last {stage}  ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{number} kills: every acknowledged push is whole, nothing is half visible")


if __name__ == "__main__":
    main()
