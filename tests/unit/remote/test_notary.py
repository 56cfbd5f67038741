"""The client of Notary v1 servers: what it asks, what it believes, and how much it reads."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.simulators.registry import Answer, Loopback, Seen
from tests.unit.evidence.notary import scene as sc
from trustgate.api.multipart import read_files
from trustgate.errors import ConfigInvalid, NotFound, Unauthorized, UpstreamFailed, UpstreamRefused
from trustgate.evidence.notary.signing import sign_metadata
from trustgate.remote import notary
from trustgate.remote.notary import NotaryClient, server_host, server_url

TUF = f"/v2/{sc.GUN}/_trust/tuf/"


class SimulatedNotary(Loopback):
    """Files by name, and what was published."""

    def __init__(self) -> None:
        super().__init__()
        self.built = built = sc.scene().build()
        self.files = {
            "root": built.roots[-1],
            "timestamp": built.timestamp,
            "snapshot": built.snapshot,
            **built.targets,
        }

    def respond(self, seen: Seen) -> Answer:
        if seen.method == "POST":
            return Answer(200, {}, b"")
        raw = self.files.get(seen.path.removeprefix(TUF).removesuffix(".json"))
        missing = b'{"errors":[{"code":"METADATA_NOT_FOUND","message":"none"}]}'
        return Answer(200, {}, raw) if raw is not None else Answer(404, {}, missing)


@pytest.fixture
def server() -> Iterator[SimulatedNotary]:
    with SimulatedNotary() as made:
        yield made


@pytest.fixture
def client(server: SimulatedNotary) -> Iterator[NotaryClient]:
    with NotaryClient(f"http://{server.host}", sc.GUN, None) as made:
        yield made


def test_everything_that_stands(server: SimulatedNotary, client: NotaryClient) -> None:
    found = client.metadata(["targets/releases", "targets/alice"])
    assert found == server.built
    assert [seen.path for seen in server.asked("alice")] == [f"{TUF}targets/alice.json"]


def test_roots_oldest_first_and_a_gap_is_left(server: SimulatedNotary, client: NotaryClient) -> None:
    newest = json.loads(server.files["root"])["signed"]
    newest["version"] = 3
    server.files["root"] = sign_metadata(newest, [sc.root()])
    server.files["2.root"] = b"two"
    assert client.metadata([]).roots == (b"two", server.files["root"])


@pytest.mark.parametrize("name", ["root", "timestamp", "snapshot", "targets"])
def test_a_base_role_that_is_missing_is_no_empty_one(
    server: SimulatedNotary, client: NotaryClient, name: str
) -> None:
    del server.files[name]
    with pytest.raises(NotFound):
        client.metadata([])


def test_a_root_that_is_none_or_of_too_many(server: SimulatedNotary, client: NotaryClient) -> None:
    newest = json.loads(server.files["root"])["signed"]
    newest["version"] = notary.MAX_ROOTS + 1
    server.files["root"] = sign_metadata(newest, [sc.root()])
    with pytest.raises(UpstreamFailed, match="129 roots"):
        client.metadata([])
    assert not server.asked("[0-9].root")
    server.files["root"] = b"<html>"
    with pytest.raises(UpstreamFailed, match="makes no sense"):
        client.metadata([])


def test_a_file_without_end_is_not_read_to_its_end(
    server: SimulatedNotary, client: NotaryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notary, "MAX_FILE_BYTES", 10_000)
    server.files["targets"] = b" " * 10_001
    with pytest.raises(UpstreamFailed, match="more than 10000 bytes"):
        client.metadata([])


def test_what_is_published(server: SimulatedNotary, client: NotaryClient) -> None:
    files = {"targets/alice": b'{"a":1}', "targets/releases": b"\r\n--x\r\n"}
    client.publish(files)
    (seen,) = server.asked("POST")
    headers = {name.lower(): value for name, value in seen.headers.items()}
    assert seen.path == TUF
    assert dict(read_files(headers["content-type"], seen.body)) == files


@pytest.mark.parametrize(
    ("status", "expected", "said"),
    [
        (400, UpstreamRefused, "INVALID_UPDATE: old version"),
        (401, Unauthorized, "old version"),
        (500, UpstreamFailed, "old version"),
    ],
)
def test_a_refusal_is_told_in_the_servers_words(
    server: SimulatedNotary, client: NotaryClient, status: int, expected: type[Exception], said: str
) -> None:
    body = b'{"errors":[{"code":"INVALID_UPDATE","message":"old version"}]}'
    server.rig("POST", Answer(status, {}, body))
    with pytest.raises(expected, match=said):
        client.publish({"targets/alice": b"{}"})


def test_a_redirect_does_not_take_what_is_published_along(
    server: SimulatedNotary, client: NotaryClient
) -> None:
    server.rig("POST", Answer(307, {"location": "/elsewhere"}, b""))
    with pytest.raises(UpstreamRefused):
        client.publish({"targets/alice": b"{}"})
    assert len(server.asked("POST")) == 1


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("notary.test", "https://notary.test"),
        ("localhost:5080", "http://localhost:5080"),
        ("https://notary.test:4443/", "https://notary.test:4443"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
    ],
)
def test_addresses(text: str, url: str) -> None:
    assert server_url(text) == url
    assert server_host(text) == url.partition("://")[2]


@pytest.mark.parametrize(
    "text", ["http://notary.test", "ftp://a", "https://", "https://me@notary.test", "https://a?b", "//"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigInvalid, match="not the address"):
        server_url(text)
