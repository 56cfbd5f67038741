"""A blob's bytes: whole, in ranges, and not again."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.unit.api.registry.rig import PULLER, REPOSITORY, Wire
from trustgate.api.blob_body import send_blob
from trustgate.api.exchange import Exchange
from trustgate.flows.access import Actor
from trustgate.flows.pull import ServedBlob
from trustgate.oci.digest import Digest
from trustgate.policy.model import Caller
from trustgate.ports import StorageKey, StoredBlob

CONTENT = bytes(range(256)) * 4096
SIZE = len(CONTENT)


@pytest.fixture(scope="module")
def path(wire: Wire) -> str:
    return f"/v2/{REPOSITORY}/blobs/{wire.blob(CONTENT)}"


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1048000-", 1048000, SIZE),
        ("bytes=-5", SIZE - 5, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
        (f"bytes=5-{SIZE * 2}", 5, SIZE),
        ("bytes=1-900000", 1, 900_001),
    ],
)
def test_one_range(wire: Wire, path: str, wanted: str, start: int, end: int) -> None:
    answer = wire.ask("GET", path, by=PULLER, headers={"range": wanted})
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.body == CONTENT[start:end]


@pytest.mark.parametrize("wanted", [f"bytes={SIZE}-", "bytes=-0", "bytes=9-3"])
def test_a_range_that_is_not_there(wire: Wire, path: str, wanted: str) -> None:
    answer = wire.ask("GET", path, headers={"range": wanted})
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{SIZE}"
    assert answer.error["code"]


@pytest.mark.parametrize("wanted", ["bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=a-b", "bytes=0-1;"])
def test_what_is_no_single_range_brings_the_whole(wire: Wire, path: str, wanted: str) -> None:
    answer = wire.ask("GET", path, headers={"range": wanted})
    assert (answer.status, len(answer.body)) == (200, SIZE)


def test_a_range_of_what_changed_brings_the_whole(wire: Wire, path: str) -> None:
    stale = wire.ask("GET", path, headers={"range": "bytes=0-1", "if-range": '"other"'})
    assert (stale.status, len(stale.body)) == (200, SIZE)
    fresh = {"range": "bytes=0-1", "if-range": wire.ask("HEAD", path).headers["etag"]}
    assert wire.ask("GET", path, headers=fresh).status == 206


def test_head_has_the_headers_of_get_and_no_ranges(wire: Wire, path: str) -> None:
    head, get = (wire.ask(method, path) for method in ("HEAD", "GET"))
    assert head.body == b""
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}
    assert wire.ask("HEAD", path, headers={"range": "bytes=0-1"}).status == 200


def test_what_the_client_has_is_not_sent_again(wire: Wire, path: str) -> None:
    tag = wire.ask("HEAD", path).headers["etag"]
    assert wire.ask("GET", path, headers={"if-none-match": tag}).status == 304


def test_bytes_that_are_gone_are_unknown_and_no_surprise(wire: Wire) -> None:
    digest = wire.blob(b"soon gone")
    folder: Path = wire.inside.store.blob_store._blobs
    for file in folder.glob(f"sha256/*/{digest.hex}/*"):
        file.unlink()
    answer = wire.ask("GET", f"/v2/{REPOSITORY}/blobs/{digest}")
    assert (answer.status, answer.error["code"]) == (404, "BLOB_UNKNOWN")
    assert "push the blob again" in answer.error["message"]
    assert wire.ask("HEAD", f"/v2/{REPOSITORY}/blobs/{digest}").status == 404
    wire.blob(b"soon gone", "other/place")
    for repository in (REPOSITORY, "other/place"):
        assert wire.ask("GET", f"/v2/{repository}/blobs/{digest}").body == b"soon gone"


def test_a_server_that_sends_files_is_let_to(tmp_path: Path) -> None:
    file = tmp_path / "blob"
    file.write_bytes(b"content")
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"method": "GET", "headers": [], "extensions": {"http.response.pathsend": {}}}
    blob = StoredBlob(Digest.of(b"content"), 7, StorageKey("key"))
    exchange = Exchange(scope, send, send, "", [], Actor(Caller("x")))  # type: ignore[arg-type]  # never read from
    with ThreadPoolExecutor(1) as pool:
        asyncio.run(send_blob(exchange, ServedBlob(blob, file), pool))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.pathsend"]
    assert sent[1]["path"] == str(file)
