"""Signature facts as JSON and back: how a judgement is kept from one pull to the next."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, cast

from trustgate.evidence.model import (
    Outcome,
    Revocation,
    SignatureFact,
    SignatureKind,
    Signer,
    Subject,
    TimeEvidence,
)
from trustgate.oci.digest import Digest
from trustgate.oci.strict_json import Json

SCHEMA: Final = 1


def judgement_key(subject: Subject, evidence: Iterable[Digest], *, judges: str, trust: str) -> str:
    """Names a judgement by all that it rests on but the time: content, evidence, trust, and who judged.

    ``judges`` is the release of the code, ``trust`` the revision of the trust store. Hex, 64 characters.
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


def _to_json(fact: SignatureFact) -> dict[str, Json]:
    return {
        "kind": str(fact.kind),
        "evidence": str(fact.evidence),
        "outcome": str(fact.outcome),
        "reason": fact.reason,
        "signers": [[signer.attestor, signer.identity] for signer in fact.signers],
        "signed_repository": fact.signed_repository,
        "signed_at": _moment(fact.signed_at),
        "logs": fact.logs,
        "timestamps": fact.timestamps,
        "annotations": [[key, value] for key, value in fact.annotations],
        "unproven": cast("list[Json]", sorted(fact.unproven)),
        "revocation": fact.revocation,
        "valid_until": _moment(fact.valid_until),
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _from_json(item: dict[str, Any]) -> SignatureFact:
    signed_at, until = item["signed_at"], item["valid_until"]
    return SignatureFact(
        kind=SignatureKind(item["kind"]),
        evidence=Digest(item["evidence"]),
        outcome=Outcome(item["outcome"]),
        reason=str(item["reason"]),
        signers=tuple(Signer(str(name), str(identity)) for name, identity in item["signers"]),
        signed_repository=str(item["signed_repository"]),
        signed_at=datetime.fromisoformat(signed_at) if signed_at else None,
        logs=int(item["logs"]),
        timestamps=int(item["timestamps"]),
        annotations=tuple((str(key), str(value)) for key, value in item["annotations"]),
        unproven=frozenset(cast("list[TimeEvidence]", item["unproven"])),
        revocation=cast("Revocation", str(item["revocation"])),
        valid_until=datetime.fromisoformat(until) if until else None,
    )
