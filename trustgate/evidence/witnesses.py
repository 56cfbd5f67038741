"""Who vouches for times and entries, and signs nothing: naming them under ``revoked`` takes nothing back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from cryptography import x509

from trustgate.evidence.attestor import Attestor, Trust
from trustgate.evidence.certificate_path import is_authority
from trustgate.evidence.keys import KeyTrust
from trustgate.evidence.notation.trust import NotationTrust
from trustgate.evidence.revoked import Marks, certificate_marks, key_mark
from trustgate.evidence.sigstore.trust import KeylessTrust
from trustgate.evidence.sigstore.trusted_root import TrustedRoot

Named: TypeAlias = Mapping[str, str]
"""Marks, and whose each is, in words."""


def mere_witnesses(attestors: Iterable[Attestor]) -> Named:
    """What the trusted roots' logs and timestamp authorities hold, and no signature rests on."""
    trusts = [one.trust for one in attestors]
    roots = [one.root for one in trusts if isinstance(one, KeyTrust | KeylessTrust) and one.root]
    signing: Marks = frozenset().union(*(_signing(one) for one in trusts))
    found = {mark: whose for root in roots for mark, whose in _witnesses(root, trusts).items()}
    return {mark: whose for mark, whose in found.items() if mark not in signing}


def _signing(trust: Trust) -> Marks:
    match trust:
        case KeyTrust():
            return frozenset({key_mark(trust.public_key)})
        case KeylessTrust():
            return certificate_marks(one for each in trust.root.certificates for one in each.chain)
        case _:
            return frozenset()


def _witnesses(root: TrustedRoot, trusts: Collection[Trust]) -> Named:
    logs = {"a transparency log's": root.rekor, "a certificate log's": root.ct}
    keys = {key_mark(one.key): whose for whose, several in logs.items() for one in several}
    stamping = (one for each in root.timestamps for one in each.chain if not _may_issue(one, trusts))
    return keys | dict.fromkeys(certificate_marks(stamping), "a timestamp authority's")


def _may_issue(certificate: x509.Certificate, trusts: Collection[Trust]) -> bool:
    """Notation's signatures bring their chains along: any authority may stand in one."""
    return is_authority(certificate) and any(isinstance(one, NotationTrust) for one in trusts)
