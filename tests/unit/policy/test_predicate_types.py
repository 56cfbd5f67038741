"""Which texts can be the type of an attestation, and what is proposed instead of the others."""

from __future__ import annotations

import pytest

from trustgate.evidence.attesting import PREDICATE_TYPES
from trustgate.policy.predicate_types import why_refused


@pytest.mark.parametrize(
    "text",
    [
        *sorted(set(PREDICATE_TYPES.values())),
        "https://example.com",
        "urn:example:scan",
        "http://example.com/a?b=c#d",
        "https://example.com/" + "a" * 492,
    ],
)
def test_whole_uris_are_types(text: str) -> None:
    assert why_refused(text) == ""


@pytest.mark.parametrize("name", sorted(PREDICATE_TYPES))
def test_short_names_are_refused_with_what_they_stand_for(name: str) -> None:
    assert why_refused(name).endswith(PREDICATE_TYPES[name])


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Document", "https://spdx.dev/Document"),
        ("slsa.dev/provenance/v1", "https://slsa.dev/provenance/v1"),
        ("spdx.dev/Documents", "https://spdx.dev/Document"),
    ],
)
def test_what_was_meant_is_told(text: str, meant: str) -> None:
    assert why_refused(text).endswith(f'(did you mean "{meant}"?)')


@pytest.mark.parametrize(
    "text",
    ["x", "https:", "https://a b", "https://a\x7f", "https://\u00e4", "https://[", "https://" + "a" * 505],
)
def test_anything_else_is_refused(text: str) -> None:
    assert "which is a whole URI" in why_refused(text)


def test_a_signature_is_no_attestation() -> None:
    assert "contentTrust" in why_refused("https://sigstore.dev/cosign/sign/v1")
