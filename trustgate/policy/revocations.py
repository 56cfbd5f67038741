"""``revoked:`` in trust stores: each entry checked whole, since a mistyped one would take nothing back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from trustgate.evidence.attestor import Attestor
from trustgate.evidence.revoked import Revoked
from trustgate.evidence.witnesses import Named, mere_witnesses
from trustgate.policy.problems import Code, Problems
from trustgate.policy.reading import Document
from trustgate.policy.trust_schema import RevokedEntry, TrustStoreDocument

_FORMS: Final[dict[str, tuple[re.Pattern[str], str]]] = {
    "key": (re.compile(r"[0-9a-f]{64}"), "64 lower-case hex digits: SHA-256 of the public key, DER"),
    "certificate": (re.compile(r"[0-9a-f]{64}"), "64 lower-case hex digits: SHA-256 of the certificate, DER"),
    "openpgp": (re.compile(r"[0-9A-F]{40}"), "40 upper-case hex digits: the primary key's fingerprint"),
    "evidence": (re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}"), "a digest, sha256:<64 hex>"),
}

_WITHDRAWN: Final = "end its validFor in the trusted root, or take it out there: then nothing is proven by it"


def build_revoked(
    stores: Sequence[tuple[Document, TrustStoreDocument]], attestors: Iterable[Attestor], problems: Problems
) -> tuple[Revoked, ...]:
    """Of all trust stores together: what one takes back, no other's ``attestors`` keep."""
    witnesses = mere_witnesses(attestors)
    found: list[Revoked] = []
    for document, store in stores:
        for at, entry in enumerate(store.revoked):
            built = _revoked(entry, document, at, witnesses, problems)
            if built is not None:
                found.append(built)
    return tuple(found)


def _revoked(
    entry: RevokedEntry, document: Document, at: int, witnesses: Named, problems: Problems
) -> Revoked | None:
    values = {kind: getattr(entry, kind) for kind in _FORMS}
    given = {kind: value for kind, value in values.items() if value is not None}
    if len(given) != 1:
        message = f"expected exactly one of {', '.join(_FORMS)}; found {len(given)}"
        problems.add(document.path, document.place("revoked", at), Code.DECIDES_NOTHING, message)
        return None
    ((kind, value),) = given.items()
    pattern, expected = _FORMS[kind]
    if not pattern.fullmatch(value):
        message = f"{value[:80]!a} revokes nothing: expected {expected}"
        problems.add(document.path, document.place("revoked", at, kind), Code.WRONG_VALUE, message)
        return None
    mark = f"{kind}:{value}"
    if mark in witnesses:
        message = f"that {kind} is {witnesses[mark]}, and no signature is taken back by it: {_WITHDRAWN}"
        problems.add(document.path, document.place("revoked", at, kind), Code.DECIDES_NOTHING, message)
        return None
    return Revoked(mark, entry.reason, entry.since)
