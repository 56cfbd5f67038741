"""Which services a signing configuration chooses, and what is refused in one."""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.signing_world import NOW
from tests.simulators.sigstore import PrivateSigstore, signing_config
from trustgate.errors import ConfigInvalid
from trustgate.evidence.sigstore_signing.signing_config import (
    CLIENT_TRUST_CONFIG,
    MAX_CONFIG_BYTES,
    MAX_SERVICES,
    MEDIA_TYPE,
    Service,
    read_signing_config,
)
from trustgate.remote.sigstore_services import public_good_config

DAY = timedelta(days=1)


def service(url: str, version: int = 1, start: int = -9, end: int | None = None, by: str = "") -> Any:
    """``start`` and ``end`` in days from now."""
    window = {"start": (NOW + start * DAY).isoformat()}
    window |= {} if end is None else {"end": (NOW + end * DAY).isoformat()}
    return {"url": url, "majorApiVersion": version, "validFor": window, "operator": by}


def config(**fields: Any) -> bytes:
    return json.dumps({"mediaType": MEDIA_TYPE, **fields}).encode()


def logs(*services: Any, rule: Any = None) -> tuple[Service, ...]:
    raw = config(rekorTlogUrls=list(services), rekorTlogConfig=rule or {"selector": "ANY"})
    return read_signing_config(raw, NOW).logs


def test_what_the_private_sigstore_gives() -> None:
    raw = signing_config(PrivateSigstore(), "http://127.0.0.1:1", rekor=2)
    found = read_signing_config(raw, NOW)
    assert found.fulcio == Service("http://127.0.0.1:1", 1, "sigstore.test")
    assert found.logs == (Service("http://127.0.0.1:1", 2, "sigstore.test"),)
    assert found.timestamps == (Service("http://127.0.0.1:1/api/v1/timestamp", 1, "sigstore.test"),)


def test_that_of_sigstore_dev_as_the_library_carries_it() -> None:
    found = read_signing_config(public_good_config(), NOW)
    assert found.fulcio is not None
    assert found.fulcio.url == "https://fulcio.sigstore.dev"
    assert found.logs
    staging = read_signing_config(public_good_config(staging=True), NOW)
    assert staging.fulcio is not None
    assert "sigstage.dev" in staging.fulcio.url


def test_a_client_trust_config_holds_one() -> None:
    inner = json.loads(config(caUrls=[service("https://a")]))
    raw = json.dumps({"mediaType": CLIENT_TRUST_CONFIG, "signingConfig": inner}).encode()
    assert read_signing_config(raw, NOW).fulcio == Service("https://a")


def test_windows_are_closed_at_both_ends() -> None:
    assert logs(service("https://a", start=0, end=0)) == (Service("https://a"),)
    assert logs(service("https://a", start=1)) == ()
    assert logs(service("https://a", start=-2, end=-1)) == ()


def test_the_newest_version_wins_and_of_each_operator_the_last_begun() -> None:
    every = {"selector": "ALL"}
    old, new = service("https://1", 1, by="a"), service("https://2", 2, start=-1, by="a")
    assert logs(old, new) == logs(new, old) == (Service("https://2", 2, "a"),)
    fresh = service("https://1", 1, start=0, by="a")  # begun later, and older all the same
    assert logs(new, fresh) == (Service("https://2", 2, "a"),)
    later = service("https://3", 2, start=0, by="a")
    other = service("https://4", 2, by="b")
    found = logs(new, later, other, rule=every)
    assert {one.url for one in found} == {"https://3", "https://4"}
    assert logs(service("https://1", 1), service("https://9", 9)) == (Service("https://1"),)
    assert logs(service("https://1", 1, by="a"), service("https://2", 2, start=1, by="a"))[0].version == 1


def test_selectors() -> None:
    three = [service(f"https://{name}", by=name) for name in "abc"]
    assert len(logs(*three)) == 1
    assert len(logs(*three, rule={"selector": "ALL"})) == 3
    assert len(logs(*three, rule={"selector": "EXACT", "count": 2})) == 2
    for wrong in ({"selector": "EXACT", "count": 4}, {"selector": "EXACT"}, {"selector": "SOME"}):
        with pytest.raises(ConfigInvalid, match="rekorTlogConfig asks for"):
            logs(*three, rule=wrong)


def test_only_versions_that_are_not_spoken_here() -> None:
    with pytest.raises(ConfigInvalid, match=r"not spoken here: \[7\]"):
        logs(service("https://a", 7))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "is not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"mediaType": "x"}', "expected application/vnd.dev.sigstore.signingconfig"),
        (b'{"mediaType": "%s"}' % CLIENT_TRUST_CONFIG.encode(), "not a JSON object"),
        (config(caUrls={}) + b" " * MAX_CONFIG_BYTES, "at most"),
        (config(caUrls="x"), "caUrls is not a list"),
        (config(tsaUrls=[service("https://a")] * (MAX_SERVICES + 1)), "tsaUrls is not a list of at most"),
        (config(caUrls=["https://a"]), "no service"),
        (config(caUrls=[{"url": "https://a"}]), "without url or majorApiVersion"),
        (config(caUrls=[service("https://a") | {"validFor": {}}]), "from when on it is valid"),
        (config(caUrls=[service("https://a") | {"validFor": None}]), "from when on it is valid"),
        (config(caUrls=[service("https://a") | {"validFor": {"start": "soon"}}]), "is not a time"),
        (config(caUrls=[service("https://a") | {"validFor": {"start": "2020-01-01"}}]), "no time zone"),
    ],
)
def test_what_is_no_signing_configuration(raw: bytes, said: str) -> None:
    with pytest.raises(ConfigInvalid, match=said):
        read_signing_config(raw, NOW)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "caUrls",
                        "tsaConfig",
                        "url",
                        "majorApiVersion",
                        "validFor",
                        "start",
                        "selector",
                        "count",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_no_document_raises_anything_else(value: Any) -> None:
    for key in ("caUrls", "rekorTlogUrls", "tsaConfig"):
        with contextlib.suppress(ConfigInvalid):
            read_signing_config(config(**{key: value}), NOW)
