"""Uploads in every way that the specification has, and in the ways that it has not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic, sleep

import pytest

from tests.unit.api.registry.conftest import Open
from tests.unit.api.registry.rig import REPOSITORY, WAIT_S, Wire
from trustgate.api.uploads import GATHER_BYTES, UploadRoutes
from trustgate.errors import StorageFull
from trustgate.flows.upload_session import UploadSession
from trustgate.oci.digest import Digest

MIB = 1024 * 1024


def test_a_whole_blob_in_one_request(wire: Wire) -> None:
    content = b"whole" * 300_000
    digest = wire.blob(content)
    answer = wire.ask("GET", f"/v2/{REPOSITORY}/blobs/{digest}")
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["docker-content-digest"] == digest


def test_a_stream_without_lengths(wire: Wire) -> None:
    upload = wire.begin()
    content = [b"x" * 700_000, b"y" * 700_000, b"z"]
    answer = wire.ask("PATCH", upload, body=iter(content))
    assert (answer.status, answer.headers["range"]) == (202, "0-1400000")
    digest = Digest.of(b"".join(content))
    done = wire.ask("PUT", f"{upload}?digest={digest}")
    assert (done.status, done.headers["location"]) == (201, f"/v2/{REPOSITORY}/blobs/{digest}")


def test_chunks_with_their_places_and_a_last_one_in_the_put(wire: Wire) -> None:
    upload = wire.begin()
    assert wire.ask("PATCH", upload, headers={"content-range": "0-3"}, body=b"abcd").status == 202
    digest = Digest.of(b"abcdef", "sha512")
    done = wire.ask("PUT", f"{upload}?digest={digest}", headers={"content-range": "4-5"}, body=b"ef")
    assert done.status == 201
    assert wire.ask("GET", f"/v2/{REPOSITORY}/blobs/{digest}").body == b"abcdef"


def test_an_empty_blob(wire: Wire) -> None:
    digest = wire.blob(b"")
    answer = wire.ask("GET", f"/v2/{REPOSITORY}/blobs/{digest}")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("place", ["2-3", "8-11"])
def test_a_chunk_out_of_order_is_refused_and_nothing_is_lost(wire: Wire, place: str) -> None:
    upload = wire.begin()
    wire.ask("PATCH", upload, headers={"content-range": "0-3"}, body=b"abcd")
    first, last = map(int, place.split("-"))
    for method, path in (("PATCH", upload), ("PUT", f"{upload}?digest={Digest.of(b'x')}")):
        answer = wire.ask(method, path, headers={"content-range": place}, body=b"x" * (last - first + 1))
        assert (answer.status, answer.error["code"]) == (416, "BLOB_UPLOAD_INVALID")
    assert wire.offset(upload) == "0-3"


def test_a_content_range_that_does_not_fit_its_body(wire: Wire) -> None:
    upload = wire.begin()
    answer = wire.ask("PATCH", upload, headers={"content-range": "0-9"}, body=b"abcd")
    assert (answer.status, answer.error["code"]) == (400, "SIZE_INVALID")
    answer = wire.ask("PATCH", upload, headers={"content-range": "bananas"}, body=b"abcd")
    assert (answer.status, answer.error["code"]) == (400, "BLOB_UPLOAD_INVALID")
    assert wire.offset(upload) == "0-0"


def test_a_stream_longer_than_its_range_keeps_nothing_past_the_end(wire: Wire) -> None:
    upload = wire.begin()
    wire.ask("PATCH", upload, body=b"0123")
    answer = wire.ask("PATCH", upload, headers={"content-range": "4-5"}, body=iter([b"456789"]))
    assert (answer.status, answer.error["code"]) == (400, "SIZE_INVALID")
    assert wire.offset(upload) == "0-3"


def test_a_stream_shorter_than_its_range_keeps_what_came(wire: Wire) -> None:
    upload = wire.begin()
    answer = wire.ask("PATCH", upload, headers={"content-range": "0-9"}, body=iter([b"0123"]))
    assert (answer.status, answer.error["code"]) == (400, "SIZE_INVALID")
    assert wire.offset(upload) == "0-3"


def test_a_body_that_breaks_off_keeps_what_came(wire: Wire) -> None:
    upload = wire.begin()
    head = _head("PATCH", upload, wire, "content-length: 2000000")
    wire.raw(head + b"x" * 1_500_000)
    kept = _settled(wire, upload)
    assert 1_000_000 < kept <= 1_500_000
    wire.ask("PATCH", upload, headers={"content-range": f"{kept}-{kept + 1}"}, body=b"yy")
    digest = Digest.of(b"x" * kept + b"yy")
    assert wire.ask("PUT", f"{upload}?digest={digest}").status == 201


def test_a_body_longer_than_its_length_is_no_part_of_the_blob(wire: Wire) -> None:
    upload = wire.begin()
    got = wire.raw(_head("PATCH", upload, wire, "content-length: 4") + b"abcdEXTRA\r\n\r\n")
    statuses = {line.split(b" ")[1] for line in got.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")}
    assert b"400" in statuses <= {b"202", b"400"}
    assert wire.offset(upload) in {"0-0", "0-3"}


def test_a_wrong_digest_stores_nothing(wire: Wire, uploads_left: Callable[[], int]) -> None:
    before = uploads_left()
    other = Digest.of(b"what was promised")
    for answer in (
        wire.ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/?digest={other}", body=b"what came"),
        wire.ask("PUT", f"{wire.begin()}?digest={other}", body=b"what came"),
    ):
        assert (answer.status, answer.error["code"]) == (400, "DIGEST_INVALID")
    assert wire.ask("HEAD", f"/v2/{REPOSITORY}/blobs/{other}").status == 404
    assert wire.ask("HEAD", f"/v2/{REPOSITORY}/blobs/{Digest.of(b'what came')}").status == 404
    assert uploads_left() == before


@pytest.mark.parametrize("digest", ["", "sha256:12", "md5:0"])
def test_a_digest_that_is_none_begins_nothing(
    wire: Wire, digest: str, uploads_left: Callable[[], int]
) -> None:
    before = uploads_left()
    answer = wire.ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/?digest={digest}", body=b"x")
    assert (answer.status, answer.error["code"]) == (400, "DIGEST_INVALID")
    assert uploads_left() == before
    upload = wire.begin()
    assert wire.ask("PUT", upload).error["code"] == "DIGEST_INVALID"
    assert wire.offset(upload) == "0-0"


def test_a_cancelled_upload_is_gone(wire: Wire) -> None:
    upload = wire.begin()
    assert wire.ask("DELETE", upload).status == 204
    for method in ("GET", "PATCH", "DELETE"):
        answer = wire.ask(method, upload)
        assert (answer.status, answer.error["code"]) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_an_upload_belongs_to_its_repository(wire: Wire) -> None:
    upload = wire.begin().replace(REPOSITORY, "shop/other")
    assert wire.ask("PATCH", upload, body=b"x").error["code"] == "BLOB_UPLOAD_UNKNOWN"
    assert wire.ask("GET", f"/v2/{REPOSITORY}/blobs/uploads/..").status == 404


def test_a_body_that_stops_coming_is_given_up_and_kept(opened: Open) -> None:
    wire = opened(body_idle_s=0.3)
    upload = wire.begin()
    got = wire.raw(_head("PATCH", upload, wire, "transfer-encoding: chunked") + b"4\r\nabcd\r\n", end=False)
    assert got.startswith(b"HTTP/1.1 400")
    assert b"SIZE_INVALID" in got
    assert b"connection: close" in got.lower()
    assert wire.offset(upload) == "0-3"


def test_a_manifest_that_stops_coming_is_given_up(opened: Open) -> None:
    wire = opened(body_idle_s=0.3)
    head = _head("PUT", f"/v2/{REPOSITORY}/manifests/1", wire, "transfer-encoding: chunked")
    assert wire.raw(head + b"1\r\n{\r\n", end=False).startswith(b"HTTP/1.1 400")


def test_two_requests_never_write_one_upload(wire: Wire) -> None:
    """The second is refused while the first is open, and the first one's bytes stand."""
    upload = wire.begin()
    answers = []

    def body() -> Iterator[bytes]:
        yield b"a" * MIB
        yield b"b" * MIB
        answers.append(wire.ask("PATCH", upload, body=b"intruder"))
        answers.append(wire.ask("PUT", f"{upload}?digest={Digest.of(b'')}"))
        answers.append(wire.ask("DELETE", upload))
        yield b"c"

    assert wire.ask("PATCH", upload, body=body()).status == 202
    assert [answer.status for answer in answers] == [416, 416, 416]
    digest = Digest.of(b"a" * MIB + b"b" * MIB + b"c")
    assert wire.ask("PUT", f"{upload}?digest={digest}").status == 201


def test_a_large_body_is_never_held_whole(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    real, sizes = UploadSession.write, list[int]()

    def write(session: UploadSession, data: bytes) -> None:
        sizes.append(len(data))
        real(session, data)

    monkeypatch.setattr(UploadSession, "write", write)
    wire.blob(b"large" * 2 * MIB)
    assert sum(sizes) == 10 * MIB
    assert max(sizes) < 2 * MIB


@pytest.mark.parametrize("whole", [False, True])
def test_a_body_that_never_ends_does(opened: Open, whole: bool) -> None:
    """What was staged goes with it: an upload that nobody can finish is not kept for a day."""
    wire = opened(max_blob_bytes=1024 * 1024)
    upload = f"/v2/{REPOSITORY}/blobs/uploads/?digest={Digest.of(b'x')}" if whole else wire.begin()
    name, _, port = wire.host.rpartition(":")
    with socket.create_connection((name, int(port)), timeout=10) as line:
        line.sendall(_head("POST" if whole else "PATCH", upload, wire, "transfer-encoding: chunked"))
        with contextlib.suppress(ConnectionError):  # it answers and hangs up while we still talk
            for _ in range(1000):
                line.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
        got = line.recv(65536)
    assert got.startswith(b"HTTP/1.1 413")
    assert b"max-blob-bytes" in got
    assert not list(wire.inside.store.blob_store._uploads.iterdir())
    if not whole:
        assert wire.ask("GET", upload).status == 404


def test_a_full_disk_in_the_middle_keeps_what_was_durable(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = wire.begin()
    wire.ask("PATCH", upload, body=b"durable")

    def full(*_: object) -> None:
        raise StorageFull("no space left in /var/lib/secret-place")

    with monkeypatch.context() as patch:
        patch.setattr(UploadSession, "write", full)
        answer = wire.ask("PATCH", upload, body=b"too much")
    assert (answer.status, answer.error["code"]) == (507, "UNAVAILABLE")
    assert wire.offset(upload) == "0-6"
    assert wire.ask("PUT", f"{upload}?digest={Digest.of(b'durable')}").status == 201


def test_a_mount_from_a_named_repository(wire: Wire) -> None:
    digest = wire.blob(b"to be mounted", "shop/source")
    path = "/v2/other/target/blobs/uploads/"
    answer = wire.ask("POST", f"{path}?mount={digest}&from=shop/source")
    assert (answer.status, answer.headers["location"]) == (201, f"/v2/other/target/blobs/{digest}")
    assert wire.ask("GET", f"/v2/other/target/blobs/{digest}").body == b"to be mounted"


def test_a_mount_without_a_source_finds_one(wire: Wire) -> None:
    digest = wire.blob(b"to be found", "shop/source")
    assert wire.ask("POST", f"/v2/other/target2/blobs/uploads/?mount={digest}").status == 201


@pytest.mark.parametrize("source", ["&from=secret/source", "", "&from=secret/none"])
def test_what_the_caller_may_not_see_is_not_mounted(wire: Wire, source: str) -> None:
    secret = b"secret" + source.encode()
    digest = Digest.of(secret)
    wire.ask("POST", f"/v2/secret/source/blobs/uploads/?digest={digest}", by="Basic admin", body=secret)
    answer = wire.ask("POST", f"/v2/other/target/blobs/uploads/?mount={digest}{source}")
    assert answer.status == 202
    assert wire.ask("HEAD", f"/v2/other/target/blobs/{digest}").status == 404


def test_a_narrow_token_is_asked_for_the_source_too(wire: Wire) -> None:
    digest = wire.blob(b"across scopes", "other/source")
    for source in ("&from=other/source", ""):
        answer = wire.ask(
            "POST",
            f"/v2/{REPOSITORY}/blobs/uploads/?mount={digest}{source}",
            by="Bearer shop/web:pull,push",
        )
        assert answer.status == 401
        wanted = f"repository:{REPOSITORY}:pull,push repository:other/source:pull"
        assert f'scope="{wanted}"' in answer.headers["www-authenticate"]


def _settled(wire: Wire, upload: str) -> int:
    """Where the upload stands once the server has noticed that its client went away."""
    deadline = monotonic() + WAIT_S
    while (place := wire.offset(upload)) == "0-0":
        assert monotonic() < deadline
        sleep(0.02)
    return int(place.removeprefix("0-")) + 1


def _head(method: str, path: str, wire: Wire, header: str) -> bytes:
    lines = (f"{method} {path} HTTP/1.1", f"host: {wire.host}", "authorization: Basic pusher", header)
    return "\r\n".join((*lines, "", "")).encode()


def test_a_cancelled_request_waits_for_the_thread_that_writes() -> None:
    """Else the file would be closed under the write, which could then land in another one."""
    begun, may_end, log = Event(), Event(), []

    class Session:
        def write(self, _data: bytes) -> None:
            begun.set()
            assert may_end.wait(WAIT_S)
            log.append("written")

    class Body:
        async def body_chunk(self) -> tuple[bytes, bool]:
            return bytes(GATHER_BYTES), True

    async def cancelled() -> None:
        with ThreadPoolExecutor(1) as pool:
            routes = UploadRoutes(None, pool)  # type: ignore[arg-type]  # nothing is asked of the flow
            task = asyncio.create_task(routes._pump(Body(), Session()))  # type: ignore[arg-type]  # as much as is used
            await asyncio.to_thread(begun.wait, WAIT_S)
            task.cancel()
            asyncio.get_running_loop().call_later(0.1, may_end.set)
            with pytest.raises(asyncio.CancelledError):
                await task
            log.append("ended")

    asyncio.run(cancelled())
    assert log[-1] == "ended"
    assert "written" in log
