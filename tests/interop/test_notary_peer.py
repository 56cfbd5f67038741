"""The same uploads to ``notary-server`` itself: we refuse what it refuses; each difference has a reason."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.clients.catalog import require
from tests.interop.world import START_TIMEOUT_S, free_port
from tests.unit.api.test_notary import BOUNDARY, multipart
from tests.unit.evidence.notary import scene as sc
from tests.unit.evidence.notary import test_update as updates
from trustgate.evidence.notary.keys import read_key
from trustgate.evidence.notary.metadata import RoleKeys

pytestmark = pytest.mark.interop

STRICTER: Mapping[str, str] = {
    "root takes targets keys away": "the published targets would stand there signed by nobody",
    "duplicate keys": "Go reads the last, others the first: one document would be two",
    "no files": "an upload of nothing is a mistake, not an order to sign anew",
    "only a timestamp": "it is never taken from a client, so nothing is left to publish",
    "a role twice": "which of the two is meant is not said",
    "more roles than are kept": "a limit",
}
OTHER_WORDS: Mapping[str, tuple[str, str]] = {
    "root version 2^63": ("MALFORMED_JSON", ""),
    "too many files": ("INVALID_UPDATE", "ErrBadTargets"),
}
"""Refused by both, here with another code: what the peer says."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Debian's notary-server, in memory, without accounts."""

    url: str

    def ask(self, method: str, name: str, body: bytes | None = None) -> tuple[int, bytes]:
        url = f"{self.url}/v2/{sc.GUN}/_trust/tuf/{name}"
        request = urllib.request.Request(url, method=method, data=body)
        if body is not None:
            request.add_header("content-type", f"multipart/form-data; boundary={BOUNDARY}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read()

    def begin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Empty, then the first publish, with this server's keys."""
        self.ask("DELETE", "")
        keys = {
            role: RoleKeys((read_key(json.loads(self.ask("GET", f"{role}.key")[1]), role),), 1)
            for role in ("snapshot", "timestamp")
        }
        usual = sc.root_roles
        monkeypatch.setattr(sc, "root_roles", lambda **changed: {**usual(), **keys, **changed})
        alice = sc.delegation("targets/releases", sc.signer("alice"))
        first = [updates.root_file(), updates.targets_file(1, alice)]
        assert self.ask("POST", "", multipart(first))[0] == 200


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    program = require("notary-server").path
    port = free_port()
    config = tmp_path_factory.mktemp("peer") / "server.json"
    document = {
        "server": {"http_addr": f"127.0.0.1:{port}"},
        "trust_service": {"type": "local", "hostname": "", "port": "", "key_algorithm": "ecdsa"},
        "storage": {"backend": "memory"},
        "logging": {"level": "error"},
    }
    config.write_text(json.dumps(document))
    with subprocess.Popen(
        [program, "-config", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        made = Peer(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                made.ask("GET", "root.json")
                break
            except urllib.error.URLError:
                assert time.monotonic() < deadline, "notary-server did not start"
                time.sleep(0.05)
        yield made
        process.terminate()


@pytest.mark.parametrize("name", updates.REFUSED)
def test_what_we_refuse_and_what_notary_server_says(
    name: str, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.begin(monkeypatch)
    monkeypatch.setattr(updates, "NOW", datetime.now(UTC) - timedelta(seconds=5))  # the peer has a real clock
    send, code, kind, _reason = updates.REFUSED[name]
    status, body = peer.ask("POST", "", multipart(send(updates.Desk())))
    if name in STRICTER:
        assert status == 200, "the peer refuses this too now: take it from the table"
        return
    assert status == 400, body
    (error,) = json.loads(body)["errors"]
    detail = error.get("detail")
    said = error["code"], detail["Name"] if isinstance(detail, dict) and "Name" in detail else ""
    assert said == OTHER_WORDS.get(name, (code, kind))


def test_every_difference_has_a_case() -> None:
    assert {*STRICTER, *OTHER_WORDS} <= set(updates.REFUSED)
