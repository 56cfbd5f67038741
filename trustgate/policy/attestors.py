"""Attestors of the trust store: names, and what proves that a signature is theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from trustgate.evidence.attestor import Attestor
from trustgate.evidence.sigstore.trusted_root import TrustedRoot
from trustgate.policy.problems import Code, Problems
from trustgate.policy.reading import Document
from trustgate.policy.revocations import build_revoked
from trustgate.policy.trust_building import Builder
from trustgate.policy.trust_files import TrustFiles
from trustgate.policy.trust_roots import build_trust_roots
from trustgate.policy.trust_schema import COMMON, KEYS, AttestorEntry, TrustStoreDocument

NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
NAME_HELP: Final = "1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends"


def build_attestors(
    documents: list[Document],
    files: Mapping[str, bytes],
    problems: Problems,
    *,
    known_roots: Mapping[str, bytes],
) -> dict[str, Attestor]:
    """By name. An attestor that can't be read is noted and left out.

    ``known_roots`` are trusted roots that may be named without being defined: they come with the release.
    """
    stores = [(one, one.model) for one in documents if isinstance(one.model, TrustStoreDocument)]
    roots = build_trust_roots(stores, files, problems, known=known_roots)
    found: dict[str, Attestor] = {}
    named: dict[str, str] = {}
    for document, store in stores:
        for name, entry in store.attestors.items():
            place = document.place("attestors", name)
            where = f"{document.path}:{place.line}"
            if not NAME.fullmatch(name):
                problems.trust_incomplete = True
                problems.add(
                    document.path, place, Code.WRONG_VALUE, f"attestor {name!r:.60}: a name has {NAME_HELP}"
                )
            elif name in named:
                message = f'attestor "{name}" is defined twice (also at {named[name]})'
                problems.add(document.path, place, Code.NOT_UNIQUE, message)
            else:
                named[name] = where
                built = _attestor(name, entry, document, files, roots, problems)
                if built is not None:
                    found[name] = built
    revoked = build_revoked(stores, found.values(), problems)
    return {name: replace(one, revoked=revoked) for name, one in found.items()}


def _attestor(
    name: str,
    entry: AttestorEntry,
    document: Document,
    files: Mapping[str, bytes],
    roots: Mapping[str, TrustedRoot],
    problems: Problems,
) -> Attestor | None:
    if entry.not_before and entry.not_after and entry.not_before >= entry.not_after:
        message = f'attestor "{name}": notBefore is not before notAfter, so it never counts'
        problems.add(
            document.path, document.place("attestors", name, "notAfter"), Code.DECIDES_NOTHING, message
        )
    trust = None
    if _keys_fit(name, entry, document, problems):
        builder = Builder(name, entry, document, TrustFiles(document.path, files), roots, problems)
        trust = builder.trust()
    if trust is None:
        problems.trust_incomplete = True
        return None
    return Attestor(name, trust, entry.not_before, entry.not_after)


def _keys_fit(name: str, entry: AttestorEntry, document: Document, problems: Problems) -> bool:
    """The keys that an attestor of this type must have, and no others."""
    needed, allowed = KEYS[entry.type]
    missing = sorted(needed - entry.given)
    foreign = sorted(entry.given - needed - allowed - COMMON)
    for key in missing:
        message = f'missing key "{key}": attestor "{name}" is of type {entry.type}'
        problems.add(document.path, document.place("attestors", name), Code.MISSING_KEY, message)
    for key in foreign:
        message = f'"{key}" does not belong to an attestor of type {entry.type}'
        problems.add(document.path, document.place("attestors", name, key), Code.UNKNOWN_KEY, message)
    return not missing and not foreign
