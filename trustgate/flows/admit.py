"""The only way to a yes: gather evidence, ask the policy, record the answer.

Every pull of a manifest, every blob, mount, referrers list, push, tag and delete passes ``Gate``. It
raises ``Refused`` for a no; there is no other way out of it that lets content through.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from trustgate.errors import StorageFull, StorageUnavailable, TrustgateError
from trustgate.evidence.model import Role
from trustgate.flows.access import Actor, permissions_on
from trustgate.flows.arrivals import Judge
from trustgate.flows.blob_walk import Reached, Recent, Walk, names
from trustgate.flows.decision_ids import new_decision_id
from trustgate.flows.evidence_rows import rows
from trustgate.flows.gather import Gatherer
from trustgate.flows.stored_evidence import Allowance
from trustgate.flows.told import Told
from trustgate.flows.verdict_cache import CacheKey, Judged, VerdictCache
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.client_line import reason_phrase, refusal_line, warning_line
from trustgate.policy.engine import evaluate
from trustgate.policy.fence import not_all_judged, unreachable_blob
from trustgate.policy.model import Action, Request, Verdict, VerdictKind
from trustgate.policy.policy_set import PolicySet
from trustgate.policy.signature_tags import refusal, why_not
from trustgate.ports import (
    Blobs,
    Clock,
    DecisionId,
    DecisionRecord,
    Decisions,
    Freshness,
    Manifests,
    StoredManifest,
)

MAX_MANIFESTS_OF_BLOB = 256
"""Manifests that are judged before a blob is refused; the first yes ends the search."""
MAX_JUDGED_OF_BLOB = 256
"""Judgements that one walk makes anew; those from memory are free, so the next request goes on."""
MAX_TAGS_OF_MANIFEST = 16
"""Tags by which a manifest is judged for its blobs, beside its digest."""

log = logging.getLogger("trustgate.decisions")


class Refused(TrustgateError):
    """Policy refuses the request. The message is one line of printable ASCII that clients show as it is."""

    code = "denied"

    def __init__(
        self, message: str, *, decision: DecisionId, link: str = "", reason_phrase: str = ""
    ) -> None:
        super().__init__(message, hint=f"read the decision: {link}" if link else "")
        self.decision = decision
        self.link = link
        self.reason_phrase = reason_phrase


@dataclass(frozen=True, slots=True)
class Admission:
    """A yes: the verdict it rests on, and the text of a warning header (empty for none)."""

    verdict: Verdict
    warning: str = ""
    decision: DecisionId | None = None
    link: str = ""


@dataclass(frozen=True, slots=True)
class GateLinks:
    """How a decision is named to people: its page, and the registry's host in messages."""

    page: Callable[[DecisionId], str]
    host: str


class Gate:
    """Gathers evidence, asks the policy, records. Every method raises ``Refused`` for a no."""

    def __init__(
        self,
        *,
        gatherer: Gatherer,
        manifests: Manifests,
        blobs: Blobs,
        decisions: Decisions,
        freshness: Freshness,
        policies: Callable[[], PolicySet],
        clock: Clock,
        links: GateLinks,
        observe: Callable[[Verdict, float, bool], None],
    ) -> None:
        self._gatherer = gatherer
        self._manifests = manifests
        self._blobs = blobs
        self._decisions = decisions
        self._freshness = freshness
        self._policies = policies
        self._clock = clock
        self._links = links
        self._observe = observe
        self._saving = Lock()
        self._told = Told(clock)
        self.cache = VerdictCache(clock)
        self._recent = Recent()
        self._blob_cache = VerdictCache(clock)  # apart: a blob's digest may be a manifest's too

    # --- questions -------------------------------------------------------------------------------

    def pull(self, manifest: StoredManifest, actor: Actor, *, tag: Tag | None) -> Admission:
        """May ``actor`` have this manifest? ``tag`` is the name it was asked for by, if any."""
        request = Request(Action.PULL, manifest.repository, manifest.digest, actor.caller, tag)
        admitted = self._answer(self._judge(request, manifest.role))
        self._recent.add(request)
        return admitted

    def blob(self, repository: RepositoryName, digest: Digest, actor: Actor) -> Verdict | None:
        """May ``actor`` have this blob? Yes when a manifest admitted for them here reaches it.

        Returns the verdict on that manifest; ``None`` when no rule could refuse any pull from here.
        """
        key = CacheKey(Action.PULL, repository, digest, None, actor.caller)
        vector = self._freshness.vector(repository)  # before the evidence, as ever
        policies = self._policies()
        if not policies.gates_pulls_of(repository):
            return None
        kept = self._blob_cache.get(key, vector, policies)
        judged = kept
        if judged is None:
            reached = self._reach(Action.PULL, repository, digest, actor)
            judged = reached.judged
            if reached.keep:
                self._blob_cache.put(key, vector, policies, judged, until=reached.until)
        if not judged.verdict.allowed:
            self._answer(judged)
        return judged.verdict

    def mount(self, source: RepositoryName, digest: Digest, actor: Actor) -> bool:
        """May ``actor`` take this blob out of ``source``? A no is no refusal: the client uploads instead."""
        if not self._policies().gates_pulls_of(source):
            return True
        both = (Action.PULL, Action.MOUNT)
        return all(self._reach(action, source, digest, actor).judged.verdict.allowed for action in both)

    def referrers(
        self, repository: RepositoryName, found: Sequence[StoredManifest], actor: Actor
    ) -> tuple[StoredManifest, ...]:
        """Those of ``found`` that ``actor`` may have."""
        requests = (Request(Action.PULL, repository, item.digest, actor.caller) for item in found)
        judged = [self._judge(request, item.role) for request, item in zip(requests, found, strict=True)]
        return tuple(item for item, answer in zip(found, judged, strict=True) if answer.verdict.allowed)

    def change(
        self,
        action: Action,
        repository: RepositoryName,
        digest: Digest,
        actor: Actor,
        *,
        tag: Tag | None,
        role: Role | None = None,
        arriving: Judge | None = None,
    ) -> Admission:
        """May ``actor`` push ``digest``, point ``tag`` at it, or delete it (``Action`` says which)?

        ``role`` and ``arriving`` are given for content that is not stored yet; otherwise the role is looked
        up. Never answered from the cache: where a tag points may change between two pushes.
        """
        request = Request(action, repository, digest, actor.caller, tag)
        role = role or self._role(repository, digest)
        return self._answer(self._ask(request, role, self._policies(), arriving))

    def publish(self, repository: RepositoryName, digest: Digest, actor: Actor, arriving: Judge) -> None:
        """May ``actor`` publish this trust data? It is no manifest: only ``signers`` rules are asked."""
        request = Request(Action.PUSH, repository, digest, actor.caller)
        policies = self._policies().about_signers()
        if policies.needs(request):
            self._answer(self._ask(request, Role.SIGNATURE, policies, arriving))

    def keep_signatures(
        self,
        repository: RepositoryName,
        tag: Tag,
        current: StoredManifest | None,
        new: Manifest,
        role: Role,
        actor: Actor,
    ) -> None:
        """Raises ``Refused`` when ``new`` would take away signatures that stand under ``tag``, or is none.

        Whoever may delete in the repository may also replace; asked of the account, since clients that push
        do not ask for a token to delete with.
        """
        held = parse_manifest(current.raw, content_type=current.media_type) if current else None
        held_as = current.role if current else None
        code, message = why_not(tag, current=held, held_as=held_as, new=new, role=role)
        if not code or (code == "signatures-lost" and "delete" in permissions_on(actor, repository)):
            return
        request = Request(Action.TAG, repository, new.digest, actor.caller, tag)
        now = self._clock.now()
        verdict = refusal(request, code, message, policy_revision=self._policies().revision, now=now)
        self._answer(self._fenced(verdict, now))

    def explain(self, manifest: StoredManifest, actor: Actor, *, tag: Tag | None) -> DecisionRecord:
        """The decision on a pull as it would fall now, recorded so that its page exists."""
        request = Request(Action.PULL, manifest.repository, manifest.digest, actor.caller, tag)
        judged = self._ask(request, manifest.role, self._policies())
        self._save(judged)
        return judged.record

    # --- answers ---------------------------------------------------------------------------------

    def _reach(self, action: Action, repository: RepositoryName, digest: Digest, actor: Actor) -> Reached:
        """The first yes of a manifest that points to the blob; else the first no, if all were asked."""
        walk = Walk()
        refusals: list[Judged] = []
        for request, role in self._ways_to(action, repository, digest, actor, walk):
            if walk.judged >= MAX_JUDGED_OF_BLOB:
                walk.whole = False
                break
            judged = self._judge(request, role, walk)
            if judged.verdict.allowed:
                return Reached(judged, keep=judged.verdict.cacheable)
            refusals.append(judged)
        about = Request(action, repository, digest, actor.caller)
        if not walk.whole:
            return Reached(self._not_all(about, len(refusals)), keep=False)
        if not refusals:
            return Reached(self._unreachable(about), keep=True)
        # A refusal lasts as long as each that it is made of.
        ends = [one.verdict.valid_until for one in refusals if one.verdict.valid_until is not None]
        keep = all(one.verdict.cacheable for one in refusals)
        return Reached(refusals[0], keep, min(ends, default=None))

    def _not_all(self, request: Request, judged: int) -> Judged:
        now = self._clock.now()
        revision = self._policies().revision
        return self._fenced(not_all_judged(request, judged, policy_revision=revision, now=now), now)

    def _ways_to(
        self, action: Action, repository: RepositoryName, digest: Digest, actor: Actor, walk: Walk
    ) -> Iterator[tuple[Request, Role]]:
        """Every manifest that points to the blob, by digest and by the tags it has."""
        recent = self._recent.of(repository, actor.caller)
        own = {one.tag for one in recent}
        for manifest in self._reaching(repository, digest, recent, walk):
            tags = sorted(
                self._manifests.tags_of(repository, manifest.digest), key=lambda tag: tag not in own
            )
            walk.whole = walk.whole and len(tags) <= MAX_TAGS_OF_MANIFEST
            for tag in (None, *tags[:MAX_TAGS_OF_MANIFEST]):
                yield Request(action, repository, manifest.digest, actor.caller, tag), manifest.role

    def _unreachable(self, request: Request) -> Judged:
        now = self._clock.now()
        return self._fenced(
            unreachable_blob(request, policy_revision=self._policies().revision, now=now), now
        )

    def _fenced(self, verdict: Verdict, now: datetime) -> Judged:
        """A refusal by a rule of the house, which no policy can switch off."""
        self._observe(verdict, 0.0, False)
        return Judged(
            DecisionRecord(new_decision_id(now), verdict, evidence=(), cached=False, duration_ms=0.0)
        )

    def _reaching(
        self, repository: RepositoryName, digest: Digest, recent: Sequence[Request], walk: Walk
    ) -> Iterator[StoredManifest]:
        """One at a time: each may have megabytes. First those that the caller was just admitted to."""
        mine = tuple(dict.fromkeys(one.digest for one in recent))
        for one in mine:
            manifest = self._manifests.find(repository, one)
            if manifest is not None and names(manifest, digest):
                yield manifest
        digests = self._manifests.containing(repository, digest, limit=MAX_MANIFESTS_OF_BLOB + 1)
        walk.whole = walk.whole and len(digests) <= MAX_MANIFESTS_OF_BLOB
        for one in digests[:MAX_MANIFESTS_OF_BLOB]:
            manifest = self._manifests.find(repository, one) if one not in mine else None
            if manifest is not None:
                yield manifest

    def _role(self, repository: RepositoryName, digest: Digest) -> Role:
        stored = self._manifests.find(repository, digest)
        return stored.role if stored else Role.ARTIFACT

    def _judge(self, request: Request, role: Role, walk: Walk | None = None) -> Judged:
        """The verdict, from the cache when nothing that it rests on has changed."""
        key = CacheKey(request.action, request.repository, request.digest, request.tag, request.caller)
        vector = self._freshness.vector(request.repository)  # before the evidence: a change then mismatches
        policies = self._policies()
        kept = self.cache.get(key, vector, policies)
        if kept is not None:
            self._observe(kept.verdict, 0.0, True)
            return kept
        if walk is not None:
            walk.judged += 1
        judged = self._ask(request, role, policies, allowance=walk.allowance if walk else None)
        if judged.verdict.cacheable:
            self.cache.put(key, vector, policies, judged)
        return judged

    def _ask(
        self,
        request: Request,
        role: Role,
        policies: PolicySet,
        arriving: Judge | None = None,
        *,
        allowance: Allowance | None = None,
    ) -> Judged:
        began = self._clock.monotonic()
        now = self._clock.now()
        needs = policies.needs(request)
        evidence = self._gatherer.evidence(
            request, role, needs=needs, policies=policies, now=now, arriving=arriving, allowance=allowance
        )
        verdict = evaluate(policies, request, evidence, now)
        took_s = self._clock.monotonic() - began
        self._observe(verdict, took_s, False)
        record = DecisionRecord(
            id=new_decision_id(now),
            verdict=verdict,
            evidence=rows(evidence),
            cached=False,
            duration_ms=took_s * 1000,
        )
        return Judged(record)

    def _answer(self, judged: Judged) -> Admission:
        if judged.verdict.kind is VerdictKind.ALLOW:
            return Admission(judged.verdict)
        if not judged.verdict.allowed:
            judged = self._told.same(judged)
        verdict = judged.verdict
        self._save(judged)
        decision = judged.record.id
        link = self._links.page(decision)
        if verdict.kind is VerdictKind.WARN:
            return Admission(verdict, warning_line(verdict, decision=decision, url=link), decision, link)
        log.info(
            "denied %s of %s@%s for %s by %s decision=%s",
            verdict.request.action,
            verdict.request.repository,
            verdict.request.digest,
            verdict.request.caller.name,
            ", ".join(result.rule for result in verdict.worst),
            decision,
        )
        raise Refused(
            refusal_line(verdict, decision=decision, url=link, reference=self._reference(verdict.request)),
            decision=decision,
            link=link,
            reason_phrase=reason_phrase(verdict, decision),
        )

    def _reference(self, request: Request) -> str:
        name = f":{request.tag}" if request.tag else f"@{request.digest}"
        return f"{self._links.host}/{request.repository}{name}"

    def _save(self, judged: Judged) -> None:
        """Keep the record once. A refusal stands even when its record can't be written."""
        with self._saving:
            if judged.saved:
                return
            try:
                self._decisions.save([judged.record])
            except (StorageUnavailable, StorageFull):
                log.exception("decision %s could not be recorded", judged.record.id)
                return
            judged.saved = True
