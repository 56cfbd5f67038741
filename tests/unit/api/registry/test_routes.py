"""Who may knock: authentication speaks first, and names are checked before anything is looked at."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.api.registry.rig import (
    ADMIN,
    BEARER_PULLER,
    PULLER,
    PUSHER,
    STRANGER,
    Wire,
)
from trustgate.api.paths import query, route
from trustgate.errors import InvalidInput, NotFound
from trustgate.oci.digest import Digest

DIGEST = Digest.of(b"nothing")
PLACES = [
    ("GET", "/v2/shop/web/manifests/1", "pull"),
    ("HEAD", "/v2/shop/web/manifests/1", "pull"),
    ("PUT", "/v2/shop/web/manifests/1", "pull,push"),
    ("DELETE", "/v2/shop/web/manifests/1", "delete"),
    ("GET", f"/v2/shop/web/blobs/{DIGEST}", "pull"),
    ("DELETE", f"/v2/shop/web/blobs/{DIGEST}", "delete"),
    ("POST", "/v2/shop/web/blobs/uploads/", "pull,push"),
    ("GET", "/v2/shop/web/blobs/uploads/x", "pull,push"),
    ("PATCH", "/v2/shop/web/blobs/uploads/x", "pull,push"),
    ("GET", "/v2/shop/web/tags/list", "pull"),
    ("GET", f"/v2/shop/web/referrers/{DIGEST}", "pull"),
]


@pytest.mark.parametrize(("method", "path", "wanted"), PLACES)
def test_nobody_is_asked_to_log_in(wire: Wire, method: str, path: str, wanted: str) -> None:
    answer = wire.ask(method, path, by=None)
    assert answer.status == 401
    challenge = f'Bearer realm="http://{wire.host}/token",service="registry.test"'
    assert answer.headers["www-authenticate"] == f'{challenge},scope="repository:shop/web:{wanted}"'
    assert answer.headers["docker-distribution-api-version"] == "registry/2.0"


@pytest.mark.parametrize(("method", "path", "_wanted"), PLACES)
def test_a_stranger_is_denied_and_learns_nothing(wire: Wire, method: str, path: str, _wanted: str) -> None:
    wire.image("known")
    there = wire.ask(method, path, by=STRANGER)
    not_there = wire.ask(method, path.replace("shop/web", "shop/no-such"), by=STRANGER)
    assert (there.status, there.body) == (not_there.status, not_there.body)
    assert there.status == 403
    assert "www-authenticate" not in there.headers


def test_a_wrong_credential_is_unauthorized_everywhere(wire: Wire) -> None:
    for path in ("/v2/", "/v2/shop/web/tags/list", "/v2/_catalog"):
        answer = wire.ask("GET", path, by="Basic wrong")
        assert (answer.status, answer.error["code"]) == (401, "UNAUTHORIZED")


def test_a_narrow_token_is_told_to_ask_for_more(wire: Wire) -> None:
    answer = wire.ask("POST", "/v2/shop/web/blobs/uploads/", by=BEARER_PULLER)
    assert answer.status == 401
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_the_ping_wants_a_login_and_tells_where(wire: Wire) -> None:
    assert wire.ask("GET", "/v2/", by=None).status == 401
    answer = wire.ask("GET", "/v2/", by=PULLER)
    assert (answer.status, answer.body) == (200, b"{}")
    assert wire.ask("GET", "/v2", by=PULLER).status == 200


def test_the_catalog_is_for_admins(wire: Wire) -> None:
    wire.image("1", repository="other/one")
    wire.image("1", repository="other/two")
    assert wire.ask("GET", "/v2/_catalog", by=PUSHER).status == 403
    assert (
        'scope="registry:catalog:*"' in wire.ask("GET", "/v2/_catalog", by=None).headers["www-authenticate"]
    )
    answer = wire.ask("GET", "/v2/_catalog?n=1&last=other/one", by=ADMIN)
    assert answer.body.startswith(b'{"repositories": ["other/two"]')


def test_a_method_that_is_not_offered_names_those_that_are(wire: Wire) -> None:
    answer = wire.ask("PATCH", "/v2/shop/web/manifests/1")
    assert (answer.status, answer.error["code"]) == (405, "UNSUPPORTED")
    assert answer.headers["allow"] == "GET, PUT, DELETE, HEAD"


@pytest.mark.parametrize(
    "name",
    ["shop%2Fweb", "shop/..", "../shop", "shop/../web", "Shop/web", "shop//web", "shop/web%00", "shop/w%65b"],
)
def test_names_that_are_none_are_refused(wire: Wire, name: str) -> None:
    answer = wire.ask("GET", f"/v2/{name}/manifests/1", by=ADMIN)
    assert (answer.status, answer.error["code"]) == (400, "NAME_INVALID")


def test_a_name_at_the_limit_is_taken_and_past_it_is_not(wire: Wire) -> None:
    longest = "shop/" + "a" * 250
    assert wire.ask("GET", f"/v2/{longest}/tags/list").error["code"] == "NAME_UNKNOWN"
    answer = wire.ask("GET", f"/v2/{longest}a/tags/list")
    assert (answer.status, answer.error["code"]) == (400, "NAME_INVALID")
    assert wire.ask("GET", f"/v2/shop/{'a' * 5000}/tags/list").error["code"] == "NAME_INVALID"


def test_a_tag_at_the_limit_is_taken_and_past_it_is_not(wire: Wire) -> None:
    wire.image("a" * 128)
    assert wire.ask("GET", f"/v2/shop/web/manifests/{'a' * 128}").status == 200
    past = wire.put("a" * 129, b"{}")
    assert (past.status, past.error["code"]) == (400, "MANIFEST_INVALID")
    assert wire.ask("GET", f"/v2/shop/web/manifests/{'a' * 129}").error["code"] == "MANIFEST_UNKNOWN"
    assert wire.ask("GET", "/v2/shop/web/manifests/..").error["code"] == "MANIFEST_UNKNOWN"


def test_a_digest_with_an_escaped_colon_is_read(wire: Wire) -> None:
    digest = wire.image("escaped")
    answer = wire.ask("GET", f"/v2/shop/web/manifests/{digest.replace(':', '%3A')}")
    assert answer.headers["docker-content-digest"] == digest


@pytest.mark.parametrize("bad", ["sha256:abc", "md5:" + "0" * 32, "sha256:" + "A" * 64])
def test_a_malformed_digest_is_refused(wire: Wire, bad: str) -> None:
    for path in (f"blobs/{bad}", f"manifests/{bad}", f"referrers/{bad}"):
        answer = wire.ask("GET", f"/v2/shop/web/{path}")
        assert (answer.status, answer.error["code"]) == (400, "DIGEST_INVALID")


def test_tags_come_in_pages(wire: Wire) -> None:
    for tag in ("a", "b", "c"):
        wire.image(tag, repository="shop/tags")
    first = wire.ask("GET", "/v2/shop/tags/tags/list?n=2")
    assert first.body == b'{"name": "shop/tags", "tags": ["a", "b"]}'
    assert first.headers["link"] == '</v2/shop/tags/tags/list?n=2&last=b>; rel="next"'
    rest = wire.ask("GET", "/v2/shop/tags/tags/list?n=2&last=b")
    assert rest.body == b'{"name": "shop/tags", "tags": ["c"]}'
    assert "link" not in rest.headers
    assert wire.ask("GET", "/v2/shop/tags/tags/list?n=0").body.endswith(b'"tags": []}')


def test_a_page_is_no_longer_than_it_may_be(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    for tag in ("a", "b", "c"):
        wire.image(tag, repository="shop/long")
    monkeypatch.setattr("trustgate.api.content.MAX_PAGE", 2)
    for asked in ("", "?n=3", "?n=999999999"):
        answer = wire.ask("GET", f"/v2/shop/long/tags/list{asked}")
        assert json.loads(answer.body)["tags"] == ["a", "b"]
        assert answer.headers["link"] == '</v2/shop/long/tags/list?n=2&last=b>; rel="next"'


@pytest.mark.parametrize("n", ["-1", "x", "1e3", "٣", "9" * 40])
def test_a_page_size_that_is_no_number_is_refused(wire: Wire, n: str) -> None:
    quoted = "".join(f"%{byte:02X}" for byte in n.encode())
    assert wire.ask("GET", f"/v2/shop/web/tags/list?n={quoted}").status == 400


def test_a_surprise_shows_an_id_and_nothing_of_the_inside(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the secret inside")

    monkeypatch.setattr(wire.inside.pull, "tags", broken)
    answer = wire.ask("GET", "/v2/shop/web/tags/list")
    assert (answer.status, answer.error["code"]) == (500, "UNKNOWN")
    assert "secret" not in answer.error["message"]
    assert answer.headers["x-request-id"] in caplog.text


@given(st.binary(max_size=300).map(lambda tail: b"/v2/" + tail))
def test_no_path_raises_anything_else(path: bytes) -> None:
    with suppress(InvalidInput, NotFound):
        route(path)


@given(st.binary(max_size=300))
def test_no_query_raises_anything_else(raw: bytes) -> None:
    with suppress(InvalidInput):
        query(raw)
