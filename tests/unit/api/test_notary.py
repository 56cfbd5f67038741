"""Notary's protocol on a real socket: routes, scopes, errors in its shape, uploads as docker sends them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.server import SERVICE, assemble, serving
from tests.unit.api.registry.rig import (
    ADMIN,
    BEARER_PULLER,
    PULLER,
    PUSHER,
    STRANGER,
    Answer,
    Wire,
    actors,
)
from tests.unit.evidence.notary import scene as sc
from tests.unit.evidence.notary.scene import meta
from trustgate.api.multipart import MAX_HEADER_BYTES, MAX_PARTS, MultipartInvalid, read_files
from trustgate.api.notary import MAX_UPLOAD_BYTES, TrustRoute, trust_route
from trustgate.errors import NotFound
from trustgate.evidence.notary.keys import read_key
from trustgate.evidence.notary.signing import (
    TARGETS_LIFETIME,
    new_repository,
    root_signer,
    sign_metadata,
    targets_document,
)
from trustgate.flows.tokens import Access, read_scopes

GUN = f"{SERVICE}/shop/web"
BOUNDARY = "4b2f1c"


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    inside = assemble(tmp_path_factory.mktemp("trust"), actors=actors)
    with serving(inside.app) as host:
        yield Wire(host, inside)


def multipart(files: Mapping[str, bytes] | list[tuple[str, bytes]]) -> bytes:
    """As Go's ``CreateFormFile`` writes it."""
    pairs = files.items() if isinstance(files, Mapping) else files
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in pairs
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


@dataclass(frozen=True, slots=True)
class Client:
    """Asks as docker does."""

    wire: Wire
    gun: str = GUN

    def ask(self, method: str, name: str, *, by: str | None = PUSHER, **given: object) -> Answer:
        return self.wire.ask(method, f"/v2/{self.gun}/_trust/{name}", by=by, **given)  # type: ignore[arg-type]

    def upload(self, files: Mapping[str, bytes], *, by: str | None = PUSHER, chunked: bool = True) -> Answer:
        body = multipart(files)
        headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        pieces = iter([body[:100], body[100:]]) if chunked else body
        return self.ask("POST", "tuf/", by=by, headers=headers, body=pieces)

    def first(self) -> dict[str, bytes]:
        """Root and targets of a new repository, for the server's own keys."""
        now = datetime.now(UTC)
        keys = {
            role: read_key(json.loads(self.ask("GET", f"tuf/{role}.key").body), role)
            for role in ("snapshot", "timestamp")
        }
        root = root_signer(sc.private("root"), self.gun, now - timedelta(hours=1))
        return new_repository(root, sc.signer("targets"), now=now, **keys)


def error(answer: Answer) -> tuple[int, str]:
    (only,) = json.loads(answer.body)["errors"]
    assert set(only) == {"code", "message", "detail"}
    return answer.status, only["code"]


@pytest.fixture(scope="module")
def client(wire: Wire) -> Client:
    """A repository with one publish."""
    made = Client(wire)
    files = made.first()
    answer = made.upload(files)
    assert (answer.status, answer.body) == (200, b"")
    return made


# --- downloads -------------------------------------------------------------------------------------


def test_every_way_to_name_a_file(client: Client) -> None:
    current = client.ask("GET", "tuf/targets.json")
    assert current.status == 200
    assert current.headers["cache-control"] == "private, max-age=300, must-revalidate"
    assert current.headers["last-modified"].endswith(" GMT")
    checksums = [getattr(hashlib, name)(current.body).hexdigest() for name in ("sha256", "sha384", "sha512")]
    for name in (
        "1.targets",
        *(f"targets.{checksum}" for checksum in checksums),
        f"targets.{checksums[0].upper()}",
    ):
        found = client.ask("GET", f"tuf/{name}.json")
        assert (found.status, found.body) == (200, current.body)
        assert found.headers["cache-control"] == "private, max-age=2592000"
    head = client.ask("HEAD", "tuf/targets.json")
    assert (head.status, head.body) == (200, b"")


def test_only_what_anybody_may_read_may_be_kept_by_shared_caches(wire: Wire) -> None:
    public = Client(wire, f"{SERVICE}/open/web")
    files = Client(wire, f"{SERVICE}/open/web")
    sent = _as_admin(files)
    assert sent.status == 200
    answer = public.ask("GET", "tuf/root.json", by=None)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "public, max-age=300, s-maxage=300, must-revalidate"
    consistent = public.ask("GET", "tuf/1.root.json", by=None)
    assert consistent.headers["cache-control"] == "public, max-age=2592000, s-maxage=2592000"


def _as_admin(client: Client) -> Answer:
    now = datetime.now(UTC)
    keys = {
        role: read_key(json.loads(client.ask("GET", f"tuf/{role}.key", by=ADMIN).body), role)
        for role in ("snapshot", "timestamp")
    }
    root = root_signer(sc.private("root"), client.gun, now - timedelta(hours=1))
    return client.upload(new_repository(root, sc.signer("targets"), now=now, **keys), by=ADMIN)


@pytest.mark.parametrize(
    "name",
    [
        "tuf/targets/nobody.json",
        "tuf/2.root.json",
        "tuf/9999999999999999.root.json",
        "tuf/root." + "0" * 64 + ".json",
        "tuf/mirrors.json",
        "tuf/../root.json",
        "tuf/targets/../root.json",
        "tuf/targets%2Freleases.json",
        "tuf/root",
        "tuf/root.key",
        "tuf/targets.key",
        "tuf",
        "else",
        "",
    ],
)
def test_what_is_not_there(client: Client, name: str) -> None:
    assert error(client.ask("GET", name)) == (404, "METADATA_NOT_FOUND")


def test_other_methods_are_not_there_either(client: Client) -> None:
    for method, name in (
        ("PUT", "tuf/"),
        ("GET", "tuf/"),
        ("DELETE", "tuf/root.json"),
        ("POST", "changefeed"),
    ):
        assert error(client.ask(method, name))[0] == 404


# --- keys ------------------------------------------------------------------------------------------


def test_keys_are_shown_and_rotated_by_those_who_may_do_all(client: Client) -> None:
    shown = client.ask("GET", "tuf/timestamp.key")
    document = json.loads(shown.body)
    assert set(document) == {"keytype", "keyval"}
    assert document["keytype"] == "ecdsa"
    assert document["keyval"]["private"] is None
    rotated = client.ask("POST", "tuf/timestamp.key")
    assert rotated.status == 200
    assert rotated.body != shown.body
    assert client.ask("GET", "tuf/timestamp.key").body == shown.body
    assert shown.headers["cache-control"] == "max-age=0, no-cache, no-store"


# --- who may ---------------------------------------------------------------------------------------

ALLOWED: list[tuple[str, str, str | None, int]] = [
    ("GET", "tuf/root.json", PULLER, 200),
    ("GET", "tuf/root.json", BEARER_PULLER, 200),
    ("GET", "tuf/root.json", STRANGER, 403),
    ("GET", "tuf/root.json", None, 401),
    ("GET", "tuf/root.json", "Basic wrong", 401),
    ("GET", "tuf/timestamp.key", PULLER, 403),
    ("POST", "tuf/timestamp.key", PULLER, 403),
    ("POST", "tuf/timestamp.key", "Bearer shop/web:pull,push", 401),
    ("POST", "tuf/", PULLER, 403),
    ("POST", "tuf/", None, 401),
    ("DELETE", "tuf/", PULLER, 403),
    ("DELETE", "tuf/", "Bearer shop/web:pull,push", 401),
    ("GET", "changefeed", PULLER, 200),
    ("GET", "changefeed", STRANGER, 403),
]


@pytest.mark.parametrize(("method", "name", "by", "status"), ALLOWED)
def test_who_may_do_what(client: Client, method: str, name: str, by: str | None, status: int) -> None:
    answer = client.ask(method, name, by=by)
    assert answer.status == status, answer.body
    if status == 401:
        assert error(answer) == (401, "UNAUTHORIZED")
        assert answer.headers["www-authenticate"].startswith("Bearer realm=")
    if status == 403:
        assert error(answer) == (403, "DENIED")


@pytest.mark.parametrize(
    ("method", "name", "scope"),
    [
        ("GET", "tuf/root.json", f"repository:{GUN}:pull"),
        ("POST", "tuf/", f"repository:{GUN}:push,pull"),
        ("GET", "tuf/snapshot.key", f"repository:{GUN}:push,pull"),
        ("POST", "tuf/snapshot.key", f"repository:{GUN}:*"),
        ("DELETE", "tuf/", f"repository:{GUN}:*"),
    ],
)
def test_challenges_ask_for_what_notary_asks_for(client: Client, method: str, name: str, scope: str) -> None:
    challenge = client.ask(method, name, by=None).headers["www-authenticate"]
    assert f'scope="{scope}"' in challenge
    assert f'service="{SERVICE}"' in challenge


def test_the_feed_of_all_is_for_those_who_may_list_all(wire: Wire, client: Client) -> None:
    refused = wire.ask("GET", "/v2/_trust/changefeed", by=None)
    assert 'scope="registry:catalog:*"' in refused.headers["www-authenticate"]
    assert wire.ask("GET", "/v2/_trust/changefeed", by=PUSHER).status == 403
    answer = wire.ask("GET", "/v2/_trust/changefeed?records=1", by=ADMIN)
    document = json.loads(answer.body)
    assert (answer.status, document["count"]) == (200, 1)
    assert set(document["records"][0]) == {"ID", "CreatedAt", "GUN", "Version", "SHA256", "Category"}
    for wrong in ("records=x", "records=1&change_id=x"):
        assert error(client.ask("GET", f"changefeed?{wrong}")) == (400, "INVALID_PARAMETERS")


def test_names_of_other_registries_are_refused(wire: Wire) -> None:
    for gun in ("docker.io/library/alpine", "shop/web", "registry.test:5000/shop/web"):
        assert error(Client(wire, gun).ask("GET", "tuf/root.json")) == (400, "INVALID_GUN")
    assert error(Client(wire, f"{SERVICE}/Shop").ask("GET", "tuf/root.json"))[0] == 400


def test_the_colon_of_a_port_may_be_encoded() -> None:
    assert trust_route(b"/v2/a%3A5000/b/_trust/tuf/root.json") == TrustRoute("current", "a:5000/b", "root")
    for path in (b"/v2/a%2Fb/_trust/tuf/root.json", b"/v2/" + b"a" * 5000 + b"/_trust/tuf/root.json"):
        with pytest.raises(NotFound):
            trust_route(path)


def test_scopes_with_our_own_host_are_those_of_the_repository() -> None:
    hosts = frozenset({"localhost:5080", "registry.test"})
    asked = read_scopes(
        [
            "repository:localhost:5080/shop/web:push,pull repository:registry.test/a:*",
            "repository:other.test/a:pull",
        ],
        own_hosts=hosts,
    )
    assert asked == (
        Access("repository", "shop/web", ("push", "pull")),
        Access("repository", "a", ("*",)),
        Access("repository", "other.test/a", ("pull",)),
    )


# --- uploads ---------------------------------------------------------------------------------------


def test_updates_are_refused_in_notarys_words(client: Client) -> None:
    expires = datetime.now(UTC) + TARGETS_LIFETIME
    forged = sign_metadata(targets_document({}, [], version=2, expires=expires), [sc.signer("mallory")])
    answer = client.upload({"targets": forged})
    assert error(answer) == (400, "INVALID_UPDATE")
    (only,) = json.loads(answer.body)["errors"]
    assert only["detail"]["Name"] == "ErrBadTargets"
    assert "0 valid signatures" in only["detail"]["Error"]["Msg"]
    again = client.ask("GET", "tuf/targets.json").body
    assert error(client.upload({"targets": again})) == (400, "VERSION")
    assert error(client.upload({"targets": b"{"})) == (400, "MALFORMED_JSON")
    assert error(client.upload({"../root": b"{}"})) == (400, "INVALID_ROLE")
    assert error(client.upload({"": b"{}"})) == (400, "NO_FILENAME")
    assert error(client.upload({})) == (400, "MALFORMED_UPLOAD")
    assert client.ask("GET", "tuf/targets.json").body == again


def test_a_publish_with_a_length_is_taken_as_one_in_chunks(client: Client) -> None:
    expires = datetime.now(UTC) + TARGETS_LIFETIME
    for version, chunked in ((2, False), (3, True)):
        document = targets_document({"v1": meta()}, [], version=version, expires=expires)
        signed = sign_metadata(document, [sc.signer("targets")])
        answer = client.upload({"targets.json": signed}, chunked=chunked)
        assert answer.status == 200, answer.body
    stamp = json.loads(client.ask("GET", "tuf/timestamp.json").body)
    assert stamp["signed"]["version"] == 3


def test_bodies_that_are_no_upload(client: Client) -> None:
    good = multipart({"root": b"{}"})
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    for content_type, body in (
        ("application/json", b"{}"),
        ("multipart/form-data", good),
        (kind, b""),
        (kind, good[:-20]),
        (kind, b"--other--\r\n"),
        (f"{kind}x", good),
    ):
        answer = client.ask("POST", "tuf/", headers={"content-type": content_type}, body=body)
        assert error(answer) == (400, "MALFORMED_UPLOAD"), (content_type, body)
        assert not body or answer.headers["connection"] == "close"


def test_an_endless_body_is_not_read_to_its_end(client: Client) -> None:
    headers = {
        "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        "content-length": str(MAX_UPLOAD_BYTES + 1),
    }
    assert error(client.ask("POST", "tuf/", headers=headers, body=b"x")) == (413, "MALFORMED_UPLOAD")


def test_delete(wire: Wire) -> None:
    gone = Client(wire, f"{SERVICE}/shop/gone")
    assert gone.upload(gone.first()).status == 200
    assert gone.ask("DELETE", "tuf/").status == 200
    assert gone.ask("GET", "tuf/timestamp.json").status == 404
    assert gone.ask("DELETE", "tuf/").status == 200


def test_a_surprise_shows_an_id_and_nothing_else(
    wire: Wire, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_args: object, **_more: object) -> None:
        raise RuntimeError("the inside of the machine")

    monkeypatch.setattr(wire.inside.trust, "read", broken)
    answer = client.ask("GET", "tuf/root.json")
    assert error(answer) == (500, "UNKNOWN")
    assert b"inside" not in answer.body
    assert answer.headers["x-request-id"] in caplog.text


# --- multipart -------------------------------------------------------------------------------------


def test_parts_and_headers_are_bounded() -> None:
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    with pytest.raises(MultipartInvalid, match="more than 128 parts"):
        read_files(kind, multipart([(str(n), b"") for n in range(MAX_PARTS + 1)]))
    for header in (b"x: " + b"y" * MAX_HEADER_BYTES, b"x: y\r\n" * 20):
        body = f"--{BOUNDARY}\r\n".encode() + header + f"\r\n\r\n\r\n--{BOUNDARY}--\r\n".encode()
        with pytest.raises(MultipartInvalid):
            read_files(kind, body)


def test_what_go_writes_is_read() -> None:
    files = {"targets/releases": b"{}\r\n--4b2f1 not the boundary", "root": b""}
    assert dict(read_files(f'multipart/form-data; boundary="{BOUNDARY}"', multipart(files))) == files


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=60) | st.just(f"multipart/form-data; boundary={BOUNDARY}"),
    st.binary(max_size=200),
    st.booleans(),
)
def test_no_body_makes_the_reader_raise(content_type: str, noise: bytes, framed: bool) -> None:
    body = multipart({"a": noise}) if framed else noise
    try:
        read_files(content_type, body)
    except MultipartInvalid:
        return
