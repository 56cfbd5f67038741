"""Predicates as cosign puts them: aliases, the two that are text, and slips that are told."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.signing_world import NOW
from trustgate.errors import InvalidInput
from trustgate.evidence.attesting import (
    MAX_PREDICATE_BYTES,
    PREDICATE_TYPES,
    Predicate,
    attestation,
    predicate_type,
    read_predicate,
)
from trustgate.oci.digest import Digest

SUBJECT = Digest.of(b"an image")
OWN = "https://types.test/own/v1"


@pytest.mark.parametrize(("alias", "uri"), PREDICATE_TYPES.items())
def test_a_short_name_stands_for_its_uri(alias: str, uri: str) -> None:
    assert predicate_type(alias) == predicate_type(uri) == uri


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "sbom",
            "SPDX",
            "spdx ",
            "https://",
            "/path",
            "//a.test/type",
            "https://a b/",
            "https://ä.test/",
            "https://[",
        ),
        *("https://a.test/\x07", "x" * 300),
    ],
)
def test_what_is_no_predicate_type(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a predicate type") as caught:
        predicate_type(text)
    assert "cyclonedx" in caught.value.hint


def test_a_document_of_a_type_that_is_not_known_here_needs_no_mark() -> None:
    assert read_predicate("https://a.test/type", b'{"a": 1}', NOW).content == {"a": 1}


def test_a_uri_ends_somewhere() -> None:
    assert predicate_type("https://a.test/" + "x" * 241)
    with pytest.raises(InvalidInput):
        predicate_type("https://a.test/" + "x" * 242)


def test_custom_wraps_any_text_with_the_time() -> None:
    expected = Predicate(
        "https://cosign.sigstore.dev/attestation/v1",
        {"Data": "not { json", "Timestamp": "2027-01-10T12:00:00Z"},
    )
    assert read_predicate("custom", b"not { json", NOW) == expected
    assert read_predicate(expected.type, b"not { json", NOW) == expected


def test_spdx_is_text_and_spdxjson_is_not() -> None:
    assert read_predicate("spdx", b"SPDXVersion: SPDX-2.3", NOW).content == "SPDXVersion: SPDX-2.3"
    made = read_predicate("spdxjson", b'{"spdxVersion": "SPDX-2.3"}', NOW)
    assert (made.type, made.content) == ("https://spdx.dev/Document", {"spdxVersion": "SPDX-2.3"})


@pytest.mark.parametrize(
    ("kind", "mark"),
    [
        ("cyclonedx", "bomFormat"),
        ("openvex", "@context"),
        ("slsaprovenance", "buildType"),
        ("slsaprovenance02", "buildType"),
        ("slsaprovenance1", "buildDefinition"),
        ("spdxjson", "spdxVersion"),
        ("vuln", "scanner"),
    ],
)
def test_another_file_than_the_type_says(kind: str, mark: str) -> None:
    assert read_predicate(kind, json.dumps({mark: {}}).encode(), NOW).content == {mark: {}}
    with pytest.raises(InvalidInput, match=f"has no {mark}"):
        read_predicate(kind, b'{"else": 1}', NOW)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"[]", "not a JSON object"),
        (b"not json", "is not JSON"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b"\xff", "UTF-8"),
    ],
)
def test_json_that_has_no_one_meaning(raw: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_predicate(OWN, raw, NOW)


@pytest.mark.parametrize("kind", ["custom", "spdx"])
def test_text_is_utf_8(kind: str) -> None:
    with pytest.raises(InvalidInput, match="UTF-8 at byte 1"):
        read_predicate(kind, b"a\xff", NOW)


@pytest.mark.parametrize("kind", ["custom", "spdx", OWN])
def test_a_predicate_has_an_end(kind: str) -> None:
    with pytest.raises(InvalidInput, match="at most"):
        read_predicate(kind, b" " * (MAX_PREDICATE_BYTES + 1), NOW)


def test_the_statement() -> None:
    made = json.loads(attestation(SUBJECT, "registry.test/shop/web", Predicate(OWN, {"a": [1]})))
    assert made == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "registry.test/shop/web", "digest": {"sha256": SUBJECT.hex}}],
        "predicateType": OWN,
        "predicate": {"a": [1]},
    }


@given(st.sampled_from([*PREDICATE_TYPES, OWN]), st.binary(max_size=200))
def test_no_bytes_raise_anything_else(kind: str, raw: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        read_predicate(kind, raw, NOW)
