"""Facts about signatures and attestations as JSON and back: how judgements are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, TypedDict, cast

from trustgate.evidence.attestation import AttestationFact
from trustgate.evidence.model import (
    Outcome,
    Revocation,
    SignatureFact,
    SignatureKind,
    Signer,
    Subject,
    TimeEvidence,
)
from trustgate.evidence.predicate_query import Said
from trustgate.oci.digest import Digest
from trustgate.oci.strict_json import Json

SCHEMA: Final = 2
ATTESTATION_SCHEMA: Final = "attestation/2"


def judgement_key(subject: Subject, evidence: Iterable[Digest], *, judges: str, trust: str) -> str:
    """Names a judgement by all that it rests on but the time: content, evidence, trust, and who judged.

    ``judges`` names the code, ``trust`` the revision of the trust store. Hex, 64 characters.
    """
    parts = [judges, trust, str(subject.digest), subject.media_type, str(subject.size)]
    parts += sorted(str(digest) for digest in evidence)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def facts_to_json(facts: Iterable[SignatureFact]) -> dict[str, Json]:
    """Plain JSON values; ``facts_from_json`` gives back equal facts."""
    return {"schema": SCHEMA, "facts": [_to_json(fact) for fact in facts]}


def facts_from_json(document: dict[str, Any]) -> tuple[SignatureFact, ...]:
    """What ``facts_to_json`` wrote. Else ``ValueError``, ``KeyError`` or ``TypeError``."""
    if document["schema"] != SCHEMA:
        raise ValueError(f"facts of schema {document['schema']!r}, expected {SCHEMA}")
    return tuple(_from_json(item) for item in document["facts"])


def attestations_to_json(facts: Iterable[AttestationFact]) -> dict[str, Json]:
    """The same for attestations, without what they say: predicates are not kept."""
    return {"schema": ATTESTATION_SCHEMA, "facts": [_attestation_to_json(fact) for fact in facts]}


def attestations_from_json(document: dict[str, Any]) -> tuple[AttestationFact, ...]:
    """What ``attestations_to_json`` wrote. Else ``ValueError``, ``KeyError`` or ``TypeError``."""
    if document["schema"] != ATTESTATION_SCHEMA:
        raise ValueError(f"facts of schema {document['schema']!r}, expected {ATTESTATION_SCHEMA}")
    return tuple(_attestation_from_json(item) for item in document["facts"])


class _Common(TypedDict):
    """What both kinds of facts have."""

    evidence: Digest
    outcome: Outcome
    reason: str
    signers: tuple[Signer, ...]
    signed_at: datetime | None
    logs: int
    timestamps: int
    unproven: frozenset[TimeEvidence]
    valid_until: datetime | None


def _common_to_json(fact: SignatureFact | AttestationFact) -> dict[str, Json]:
    return {
        "evidence": str(fact.evidence),
        "outcome": str(fact.outcome),
        "reason": fact.reason,
        "signers": [[signer.attestor, signer.identity] for signer in fact.signers],
        "signed_at": _moment(fact.signed_at),
        "logs": fact.logs,
        "timestamps": fact.timestamps,
        "unproven": cast("list[Json]", sorted(fact.unproven)),
        "valid_until": _moment(fact.valid_until),
    }


def _common_from_json(item: dict[str, Any]) -> _Common:
    signed_at, until = item["signed_at"], item["valid_until"]
    return {
        "evidence": Digest(item["evidence"]),
        "outcome": Outcome(item["outcome"]),
        "reason": str(item["reason"]),
        "signers": tuple(Signer(str(name), str(identity)) for name, identity in item["signers"]),
        "signed_at": datetime.fromisoformat(signed_at) if signed_at else None,
        "logs": int(item["logs"]),
        "timestamps": int(item["timestamps"]),
        "unproven": frozenset(cast("list[TimeEvidence]", item["unproven"])),
        "valid_until": datetime.fromisoformat(until) if until else None,
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _to_json(fact: SignatureFact) -> dict[str, Json]:
    return {
        **_common_to_json(fact),
        "kind": str(fact.kind),
        "signed_repository": fact.signed_repository,
        "annotations": [[key, value] for key, value in fact.annotations],
        "revocation": fact.revocation,
        "early": fact.early,
    }


def _from_json(item: dict[str, Any]) -> SignatureFact:
    return SignatureFact(
        **_common_from_json(item),
        kind=SignatureKind(item["kind"]),
        signed_repository=str(item["signed_repository"]),
        annotations=tuple((str(key), str(value)) for key, value in item["annotations"]),
        revocation=cast("Revocation", str(item["revocation"])),
        early=item["early"] is not False,
    )


def _attestation_to_json(fact: AttestationFact) -> dict[str, Json]:
    return {
        **_common_to_json(fact),
        "content": str(fact.content),
        "predicate_type": fact.predicate_type,
        "statement": str(fact.statement) if fact.statement else None,
        "said": [[one.query, one.holds, one.reason, list(one.items), one.more] for one in fact.said],
    }


def _attestation_from_json(item: dict[str, Any]) -> AttestationFact:
    return AttestationFact(
        **_common_from_json(item),
        content=Digest(item["content"]),
        predicate_type=str(item["predicate_type"]),
        statement=Digest(item["statement"]) if item["statement"] else None,
        said=tuple(_said(*parts) for parts in item["said"]),
    )


def _said(query: Any, holds: Any, reason: Any, items: Any, more: Any) -> Said:
    return Said(str(query), holds is True, str(reason), tuple(map(str, items)), int(more))
