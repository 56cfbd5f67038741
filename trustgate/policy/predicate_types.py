"""Predicate types as policies name them: whole URIs, compared character by character."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from trustgate.evidence.attestation import MAX_PREDICATE_TYPE_CHARACTERS
from trustgate.evidence.attesting import PREDICATE_TYPES
from trustgate.evidence.cosign_claim import COSIGN_SIGN_PREDICATE
from trustgate.policy.problems import did_you_mean

_KNOWN: Final = frozenset(PREDICATE_TYPES.values())


def why_refused(text: str) -> str:
    """Why ``text`` can't be the type of an attestation; empty when it can."""
    if text == COSIGN_SIGN_PREDICATE:
        return f"{text} is a signature and attests nothing; ask for signatures with contentTrust"
    if text in PREDICATE_TYPES:
        return (
            f"{text!r} is a short name of cosign's; write the whole predicate type: {PREDICATE_TYPES[text]}"
        )
    if not _is_uri(text):
        guess = next((f' (did you mean "{one}"?)' for one in sorted(_KNOWN) if text in one), "")
        guess = guess or did_you_mean(text, _KNOWN)
        return f"expected a predicate type, which is a whole URI, found {text[:60]!r}{guess}"
    return ""


def _is_uri(text: str) -> bool:
    if len(text) > MAX_PREDICATE_TYPE_CHARACTERS or not text.isascii() or not text.isprintable():
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path)) and " " not in text
