"""The registry client against a registry that lies, stalls and never ends: an error with a way out, soon."""

from __future__ import annotations

import gzip
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from tests.signing_world import image
from tests.simulators.places import client_of
from tests.simulators.registry import (
    Answer,
    SimulatedRegistry,
    as_json,
    drip,
    endless,
    error,
    index,
    redirect,
    silence,
)
from trustgate.errors import DigestInvalid, NotFound, TrustgateError, UpstreamFailed, UpstreamRefused
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import MAX_MANIFEST_BYTES, Descriptor
from trustgate.oci.names import RepositoryName, Tag
from trustgate.remote.registry import RegistryClient

pytestmark = pytest.mark.usefixtures("impatient")
IMAGE = image()
BLOB = b"a blob of some bytes"
DIGEST = Digest.of(BLOB)
JSON = {"Content-Type": media.OCI_INDEX}
SOON_S = 5


@pytest.fixture
def client(simulator: SimulatedRegistry) -> Iterator[RegistryClient]:
    simulator.add(IMAGE.raw, media.OCI_MANIFEST, "1")
    simulator.blobs[DIGEST] = BLOB
    with client_of(simulator) as made:
        yield made


def whole(client: RegistryClient, size: int = len(BLOB)) -> bytes:
    return b"".join(client.stream(Descriptor("a/b", DIGEST, size)))


def failure(ask: Callable[[], object], kind: type[TrustgateError]) -> TrustgateError:
    """The error of a failing question, which must come soon, in words and with a way out."""
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        ask()
    assert time.monotonic() - began < SOON_S
    assert caught.value.message
    assert caught.value.hint
    return caught.value


def test_what_is_there_is_read(client: RegistryClient) -> None:
    digest = IMAGE.manifest.digest
    assert client.manifest(Tag("1")).digest == digest
    assert client.manifest(digest).raw == IMAGE.raw
    assert client.manifest(Tag("1")).media_type == media.OCI_MANIFEST
    assert (client.blob(DIGEST, max_bytes=100), whole(client)) == (BLOB, BLOB)


def test_sha512_is_verified_as_sha512(client: RegistryClient, simulator: SimulatedRegistry) -> None:
    digest = Digest.of(IMAGE.raw, "sha512")
    simulator.manifests[digest] = (IMAGE.raw, media.OCI_MANIFEST)
    assert client.manifest(digest).digest == digest
    simulator.manifests[digest] = (IMAGE.raw + b" ", media.OCI_MANIFEST)
    failure(lambda: client.manifest(digest), DigestInvalid)


def test_other_bytes_than_the_digest_asked_for(client: RegistryClient, simulator: SimulatedRegistry) -> None:
    simulator.rig("GET", Answer(200, JSON, b'{"schemaVersion": 2}'))
    failure(lambda: client.manifest(IMAGE.manifest.digest), DigestInvalid)
    failure(lambda: client.blob(DIGEST, max_bytes=100), DigestInvalid)
    simulator.rig("GET", Answer(200, JSON, BLOB[:-1] + b"!"))
    failure(lambda: whole(client), DigestInvalid)


def test_a_tag_whose_bytes_are_not_what_the_header_says(
    client: RegistryClient, simulator: SimulatedRegistry
) -> None:
    said = {"Docker-Content-Digest": Digest.of(b"something else"), **JSON}
    simulator.rig("GET .*/manifests/", Answer(200, said, IMAGE.raw))
    assert "sent sha256:" in failure(lambda: client.manifest(Tag("1")), DigestInvalid).message


@pytest.mark.parametrize("said", ["", "nonsense", "blake3:abc"])
def test_a_digest_header_that_says_nothing_is_no_contradiction(
    client: RegistryClient, simulator: SimulatedRegistry, said: str
) -> None:
    simulator.rig("GET .*/manifests/", Answer(200, {"Docker-Content-Digest": said, **JSON}, IMAGE.raw))
    assert client.manifest(Tag("1")).digest == IMAGE.manifest.digest


@pytest.mark.parametrize("cut", [0, 1, len(BLOB) - 1])
def test_a_body_that_ends_early(client: RegistryClient, simulator: SimulatedRegistry, cut: int) -> None:
    simulator.rig("GET .*/blobs/", Answer(200, {}, BLOB[:cut], length=len(BLOB)))
    failure(lambda: client.blob(DIGEST, max_bytes=100), UpstreamFailed)
    failure(lambda: whole(client), UpstreamFailed)
    simulator.rig("GET .*/blobs/", Answer(200, {}, BLOB[:cut]))
    failure(lambda: whole(client), DigestInvalid)


@pytest.mark.parametrize("size", [len(BLOB) - 1, len(BLOB) + 1])
def test_a_blob_of_another_size_than_its_descriptor(client: RegistryClient, size: int) -> None:
    failure(lambda: whole(client, size), DigestInvalid)


def test_bodies_without_end_cost_little_memory(client: RegistryClient, simulator: SimulatedRegistry) -> None:
    simulator.rig("GET", endless())
    tracemalloc.start()
    failure(lambda: client.manifest(Tag("1")), UpstreamFailed)
    failure(lambda: client.blob(DIGEST, max_bytes=1000), UpstreamFailed)
    failure(lambda: whole(client, 10**6), DigestInvalid)
    failure(client.tags, UpstreamFailed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 1024 * 1024


def test_a_packed_body_is_not_unpacked(client: RegistryClient, simulator: SimulatedRegistry) -> None:
    """A few bytes that unpack into many: digests are of what was sent."""
    bomb = gzip.compress(bytes(64 * 1024 * 1024), 9)
    simulator.rig("GET", Answer(200, {"Content-Encoding": "gzip"}, bomb))
    tracemalloc.start()
    failure(lambda: client.blob(DIGEST, max_bytes=100_000), DigestInvalid)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 1024 * 1024
    assert {seen.headers["accept-encoding"] for seen in simulator.seen} == {"identity"}


def test_a_manifest_of_the_greatest_size_and_one_byte_more(
    client: RegistryClient, simulator: SimulatedRegistry
) -> None:
    simulator.rig("GET", Answer(200, JSON, b" " * MAX_MANIFEST_BYTES))
    assert len(client.manifest(Tag("1")).raw) == MAX_MANIFEST_BYTES
    simulator.rig("GET", Answer(200, JSON, b" " * (MAX_MANIFEST_BYTES + 1)))
    assert "more than" in failure(lambda: client.manifest(Tag("1")), UpstreamFailed).message


@pytest.mark.parametrize("kind", [drip, silence])
def test_a_registry_that_stalls(
    client: RegistryClient, simulator: SimulatedRegistry, kind: Callable[..., Answer]
) -> None:
    simulator.rig("GET", kind(simulator.closing))
    failure(lambda: client.manifest(Tag("1")), UpstreamFailed)
    simulator.rig("GET", kind(simulator.closing))
    failure(lambda: whole(client, 10**6), UpstreamFailed)


def test_a_slow_reader_is_not_a_slow_registry(client: RegistryClient, simulator: SimulatedRegistry) -> None:
    content = bytes(3_000_000)
    digest = Digest.of(content)
    simulator.blobs[digest] = content
    pieces: list[bytes] = []
    for piece in client.stream(Descriptor("a/b", digest, len(content))):
        if len(pieces) < 3:
            time.sleep(0.2)
        pieces.append(piece)
    assert b"".join(pieces) == content


def test_no_registry_at_all() -> None:
    with SimulatedRegistry() as gone:
        host = gone.host
    with RegistryClient(host, RepositoryName("shop/web"), None) as client:
        assert host in failure(lambda: client.manifest(Tag("1")), UpstreamFailed).message


# --- statuses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_passes_is_tried_again(
    client: RegistryClient, simulator: SimulatedRegistry, status: int
) -> None:
    good = Answer(200, JSON, IMAGE.raw)
    simulator.rig("GET .*/manifests/", Answer(status), Answer(status), good)
    assert client.manifest(Tag("1")).raw == IMAGE.raw
    simulator.rig("GET .*/manifests/", Answer(status))
    before = len(simulator.seen)
    failure(lambda: client.manifest(Tag("1")), UpstreamRefused if status == 429 else UpstreamFailed)
    assert len(simulator.seen) - before == 3


def test_retry_after_is_waited_for(client: RegistryClient, simulator: SimulatedRegistry) -> None:
    busy = Answer(503, {"Retry-After": "1"})
    simulator.rig("GET .*/manifests/", busy, Answer(200, JSON, IMAGE.raw))
    began = time.monotonic()
    assert client.manifest(Tag("1")).raw == IMAGE.raw
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("said", ["3600", "Fri, 01 Jan 2100 00:00:00 GMT", "9" * 9])
def test_a_long_wait_is_the_users_decision(
    client: RegistryClient, simulator: SimulatedRegistry, said: str
) -> None:
    simulator.rig("GET", error(429, "TOOMANYREQUESTS", "slow down", {"Retry-After": said}))
    refused = failure(lambda: client.manifest(Tag("1")), UpstreamRefused)
    assert refused.message == "TOOMANYREQUESTS: slow down"
    assert refused.hint.startswith("try again in ")
    assert len(simulator.seen) == 1


@pytest.mark.parametrize("said", ["", "soon", "-5", "Fri, 99 Foo", "9" * 50, "Fri, 01 Jan 1999 00:00:00 GMT"])
def test_a_senseless_retry_after_is_none(
    client: RegistryClient, simulator: SimulatedRegistry, said: str
) -> None:
    simulator.rig("GET", Answer(503, {"Retry-After": said}))
    failure(lambda: client.manifest(Tag("1")), UpstreamFailed)
    assert len(simulator.seen) == 3


@pytest.mark.parametrize("status", [400, 403, 405, 418])
def test_a_refusal_gives_the_registrys_words(
    client: RegistryClient, simulator: SimulatedRegistry, status: int
) -> None:
    simulator.rig("GET", error(status, "DENIED", "no\x1b[31m red\nlines"))
    refused = failure(lambda: client.manifest(Tag("1")), UpstreamRefused)
    assert refused.message == "DENIED: no?[31m red?lines"
    assert refused.detail == str(status)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errors": []}', b'{"errors": {}}', b"[" * 9999])
def test_a_refusal_without_words(client: RegistryClient, simulator: SimulatedRegistry, body: bytes) -> None:
    simulator.rig("GET", Answer(403, {}, body))
    assert "answered 403" in failure(lambda: client.manifest(Tag("1")), UpstreamRefused).message
    simulator.rig("GET", Answer(403, {}, endless().body))
    failure(lambda: client.manifest(Tag("1")), UpstreamRefused)
    simulator.rig("GET", Answer(403, {}, body, length=len(body) + 9))
    failure(lambda: client.manifest(Tag("1")), UpstreamRefused)


def test_what_is_missing_is_not_found(client: RegistryClient) -> None:
    failure(lambda: client.manifest(Tag("2")), NotFound)
    failure(lambda: client.blob(Digest.of(b"no"), max_bytes=9), NotFound)


# --- redirects -------------------------------------------------------------------------------------


def test_a_blob_may_lie_elsewhere_and_is_verified(
    client: RegistryClient, simulator: SimulatedRegistry
) -> None:
    with SimulatedRegistry() as store:
        store.rig("GET /there", Answer(200, {}, BLOB))
        simulator.rig("GET .*/blobs/", redirect(f"http://{store.host}/there"))
        assert whole(client) == BLOB
        store.rig("GET /there", Answer(200, {}, BLOB[::-1]))
        failure(lambda: whole(client), DigestInvalid)


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "ftp://a/b", "http://[", "//", "http://", "http://a:99999/", "http://\x01/"]
)
def test_a_redirect_to_nowhere(client: RegistryClient, simulator: SimulatedRegistry, to: str) -> None:
    simulator.rig("GET", redirect(to))
    failure(lambda: client.manifest(Tag("1")), UpstreamFailed)


def test_a_redirect_in_a_circle(client: RegistryClient, simulator: SimulatedRegistry) -> None:
    simulator.rig("GET", redirect("/v2/shop/web/manifests/1"))
    assert "without end" in failure(lambda: client.manifest(Tag("1")), UpstreamFailed).message


def test_a_redirect_without_a_location(client: RegistryClient, simulator: SimulatedRegistry) -> None:
    simulator.rig("GET", Answer(302))
    failure(lambda: client.manifest(Tag("1")), UpstreamRefused)


# --- lists -----------------------------------------------------------------------------------------


def test_every_page_of_tags(client: RegistryClient, simulator: SimulatedRegistry) -> None:
    simulator.page = 2
    simulator.tags = {f"t{n}": "" for n in range(7)}
    assert client.tags() == tuple(Tag(f"t{n}") for n in range(7))


def test_pages_in_a_circle(client: RegistryClient, simulator: SimulatedRegistry) -> None:
    for link in ("</v2/shop/web/tags/list>", "</v2/shop/web/tags/list?n=1>"):
        simulator.rig("GET", as_json({"tags": ["1"]}, headers={"Link": f'{link}; rel="next"'}))
        assert "circle" in failure(client.tags, UpstreamFailed).message
    assert len(simulator.seen) <= 5


def test_pages_without_end(client: RegistryClient, simulator: SimulatedRegistry) -> None:
    pages = (
        as_json({"tags": ["1"]}, headers={"Link": f'</v2/shop/web/tags/list?n={n}>; rel="next"'})
        for n in range(300)
    )
    simulator.rig("GET", *pages)
    assert "pages" in failure(client.tags, UpstreamFailed).message
    assert len(simulator.seen) == 200


@pytest.mark.parametrize("link", ["<http://[>", "<file:///etc/passwd>", "<http://a:99999/>"])
def test_a_senseless_link(client: RegistryClient, simulator: SimulatedRegistry, link: str) -> None:
    simulator.rig("GET", as_json({"tags": ["1"]}, headers={"Link": f'{link}; rel="next"'}))
    failure(client.tags, UpstreamFailed)


@pytest.mark.parametrize("link", ["<>", "nonsense", "</v2/x>", '</v2/x>; rel="prev"'])
def test_a_link_that_names_no_next_page(
    client: RegistryClient, simulator: SimulatedRegistry, link: str
) -> None:
    simulator.rig("GET", as_json({"tags": ["1"]}, headers={"Link": link}))
    assert client.tags() == (Tag("1"),)


@pytest.mark.parametrize("page", [[], {"tags": "abc"}, {"tags": [1]}, {"tags": ["-"]}, {"tags": {"a": 1}}, 7])
def test_a_senseless_list_of_tags(client: RegistryClient, simulator: SimulatedRegistry, page: object) -> None:
    simulator.rig("GET", as_json(page))
    failure(client.tags, UpstreamFailed)


@pytest.mark.parametrize("page", [{"tags": None}, {"tags": []}, {}])
def test_no_tags(client: RegistryClient, simulator: SimulatedRegistry, page: object) -> None:
    simulator.rig("GET", as_json(page))
    assert client.tags() == ()


def test_referrers_page_by_page_up_to_the_limit(client: RegistryClient, simulator: SimulatedRegistry) -> None:
    listed = [
        simulator.add(b'{"subject": {"digest": "%s"}, "n": %d}' % (DIGEST.encode(), n), "a/b")
        for n in range(5)
    ]
    simulator.page = 2
    assert client.referrers(DIGEST, limit=100) == tuple(listed)
    before = len(simulator.seen)
    assert client.referrers(DIGEST, limit=3) == tuple(listed[:3])
    assert len(simulator.seen) - before == 2


def test_referrers_by_the_fallback_tag(client: RegistryClient, simulator: SimulatedRegistry) -> None:
    simulator.referrers_api = False
    assert (client.referrers(DIGEST, limit=9), client.has_referrers_api(DIGEST)) == ((), False)
    listed = index([{"digest": IMAGE.manifest.digest}])
    simulator.add(as_json(listed).body, media.OCI_INDEX, f"sha256-{DIGEST.hex}")  # type: ignore[arg-type]  # bytes
    assert client.referrers(DIGEST, limit=9) == (IMAGE.manifest.digest,)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"7",
        b'{"manifests": 7}',
        b'{"manifests": [7]}',
        b'{"manifests": [{}]}',
        b'{"manifests": [{"digest": "sha256:../../other/manifests/1"}]}',
        b"[" * 99999,
    ],
)
def test_a_senseless_list_of_referrers_is_no_answer(
    client: RegistryClient, simulator: SimulatedRegistry, body: bytes
) -> None:
    """It must not look like "there are none": a signature may be there."""
    simulator.rig("GET .*/referrers/", Answer(200, JSON, body))
    failure(lambda: client.referrers(DIGEST, limit=9), UpstreamFailed)
    simulator.rig("GET .*/referrers/", Answer(404))
    simulator.rig("GET .*/manifests/sha256-", Answer(200, JSON, body))
    failure(lambda: client.referrers(DIGEST, limit=9), UpstreamFailed)


@pytest.mark.parametrize("status", [403, 500])
def test_referrers_that_can_not_be_asked_for(
    client: RegistryClient, simulator: SimulatedRegistry, status: int
) -> None:
    simulator.rig("GET .*/referrers/", Answer(status))
    failure(lambda: client.referrers(DIGEST, limit=9), TrustgateError)
