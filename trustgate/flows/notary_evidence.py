"""What the Notary v1 metadata of a repository says about a digest: judged anew, wherever it is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

from trustgate.errors import Conflict, StorageFull, StorageUnavailable
from trustgate.evidence.attestor import Attestor, next_turn
from trustgate.evidence.model import (
    Absent,
    Known,
    Outcome,
    SignatureFact,
    SignatureKind,
    Subject,
    Unreachable,
)
from trustgate.evidence.notary.judge import Judgement, weigh
from trustgate.flows.defects import or_broken
from trustgate.flows.notary import TrustData
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Signatures

UNLISTED: Final = Absent("it is not signed: no trust data is published for its repository")


class PublishedTrust(Protocol):
    """Where trust data is published: our own server, or one elsewhere."""

    def published(self, repository: RepositoryName) -> tuple[TrustData, ...]:
        """All of the repository. Raises ``StorageUnavailable``, ``StorageFull``, ``Conflict``."""
        ...


class NotaryEvidence:
    """Signatures of tags. What is wrong with the metadata becomes a fact, never an exception."""

    def __init__(self, trust: PublishedTrust) -> None:
        self._trust = trust

    def of(
        self,
        repository: RepositoryName,
        subject: Subject,
        tag: Tag | None,
        attestors: Sequence[Attestor],
        now: datetime,
    ) -> Signatures:
        """One fact for each name under which metadata of the repository is published."""
        try:
            published = self._trust.published(repository)
        except (StorageUnavailable, StorageFull, Conflict) as exc:
            return Unreachable(exc.message)
        judged = [_weighed(one, subject, tag, attestors, now) for one in published]
        turn = next_turn(attestors, now)
        return Known(tuple(_lasting(one, turn) for one in judged)) if judged else UNLISTED


def _weighed(
    one: TrustData, subject: Subject, tag: Tag | None, attestors: Sequence[Attestor], now: datetime
) -> Judgement:
    def judge() -> Judgement:
        return weigh(
            one.metadata,
            gun=one.gun,
            tag=tag,
            subject=subject,
            attestors=attestors,
            now=now,
            seen=one.seen,
        )

    def broken(why: str) -> Judgement:
        return Judgement(
            SignatureFact(SignatureKind.NOTARY_V1, subject.digest, Outcome.BROKEN, why), one.seen
        )

    return or_broken(judge, broken)


def _lasting(judged: Judgement, turn: datetime | None) -> SignatureFact:
    ends = [moment for moment in (judged.valid_until, turn) if moment is not None]
    return replace(judged.fact, valid_until=min(ends, default=None))
