"""The only way to a yes. See ``docs/`` "How a decision is made"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trustgate.errors import TrustgateError
from trustgate.flows.access import Actor
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Action, Verdict
from trustgate.ports import DecisionId, StoredManifest


class Refused(TrustgateError):
    """Policy refuses the request. The message is one line of printable ASCII that clients show as it is."""

    code = "denied"

    def __init__(self, message: str, *, decision: DecisionId, reason_phrase: str = "") -> None:
        super().__init__(message)
        self.decision = decision
        self.reason_phrase = reason_phrase


@dataclass(frozen=True, slots=True)
class Admission:
    """A yes: the verdict it rests on, and the text of a warning header (empty for none)."""

    verdict: Verdict
    warning: str = ""


class Gate:
    """Gathers evidence, asks the policy, records. Every method raises ``Refused`` for a no."""

    def pull(self, manifest: StoredManifest, actor: Actor, *, tag: Tag | None) -> Admission:
        """May ``actor`` have this manifest? ``tag`` is the name it was asked for by, if any."""
        raise NotImplementedError

    def blob(self, repository: RepositoryName, digest: Digest, actor: Actor) -> None:
        """May ``actor`` have this blob? Yes when a manifest admitted for them here reaches it."""
        raise NotImplementedError

    def mount(self, source: RepositoryName, digest: Digest, actor: Actor) -> bool:
        """May ``actor`` take this blob out of ``source`` into another repository?"""
        raise NotImplementedError

    def referrers(
        self, repository: RepositoryName, found: Sequence[StoredManifest], actor: Actor
    ) -> tuple[StoredManifest, ...]:
        """Those of ``found`` that ``actor`` may have."""
        raise NotImplementedError

    def change(
        self,
        action: Action,
        repository: RepositoryName,
        digest: Digest,
        actor: Actor,
        *,
        tag: Tag | None,
    ) -> Admission:
        """May ``actor`` push ``digest``, point ``tag`` at it, or delete it (``Action`` says which)?"""
        raise NotImplementedError
