"""Sigstore trusted roots that a trust store defines, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trustgate.errors import KeyUnreadable
from trustgate.evidence.sigstore.refusal import Refusal
from trustgate.evidence.sigstore.trusted_root import TrustedRoot, read_trusted_root
from trustgate.policy.problems import Code, Problems
from trustgate.policy.reading import Document
from trustgate.policy.trust_files import TrustFiles
from trustgate.policy.trust_schema import TrustStoreDocument


def build_trust_roots(
    stores: Sequence[tuple[Document, TrustStoreDocument]],
    files: Mapping[str, bytes],
    problems: Problems,
    *,
    known: Mapping[str, bytes],
) -> dict[str, TrustedRoot]:
    """By name; a root of the trust store goes before a known one. What can't be read is noted."""
    found = {name: read_trusted_root(raw) for name, raw in known.items()}
    defined: dict[str, str] = {}
    for document, store in stores:
        for name, entry in store.trust_roots.items():
            place = document.place("trustRoots", name)
            if name in defined:
                message = f'trust root "{name[:60]}" is defined twice (also at {defined[name]})'
                problems.add(document.path, place, Code.NOT_UNIQUE, message)
                continue
            defined[name] = f"{document.path}:{place.line}"
            found.pop(name, None)
            where = document.place("trustRoots", name, "path")
            try:
                found[name] = read_trusted_root(TrustFiles(document.path, files).read(entry.path))
            except (KeyUnreadable, Refusal) as exc:
                problems.trust_incomplete = True
                message = f'the trust root "{name[:60]}": {exc}'
                problems.add(document.path, where, Code.KEY_UNREADABLE, message)
    return found
