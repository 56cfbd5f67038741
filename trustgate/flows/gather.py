"""Ask the store for what the matching rules need, and hand it on as facts. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from trustgate.errors import StorageUnavailable
from trustgate.evidence.model import Absent, Known, Role, Subject, Unreachable
from trustgate.evidence.scan_report import ScanReport, together
from trustgate.flows.arrivals import Judge
from trustgate.flows.attestations import AttestationReader
from trustgate.flows.signatures import SignatureReader
from trustgate.flows.stored_evidence import Allowance, too_many_reports
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import (
    Action,
    Arriving,
    Attestations,
    Evidence,
    Need,
    Request,
    Scan,
    Signatures,
    SubjectEvidence,
    TagState,
)
from trustgate.policy.policy_set import PolicySet
from trustgate.ports import ManifestReader, ReportReader, StoredManifest

MAX_CHILDREN = 256
"""Manifests of one index that are judged with it, nested ones included."""
MAX_PARENTS = 64
"""Indexes above a manifest whose signatures may speak for it."""
MAX_INDEXES_ABOVE = 1024
"""Whose tags a deletion is asked about."""
MAX_DEPTH = 4
"""Levels of indexes, upwards and downwards."""


_OF_PARENTS = frozenset({Need.SIGNATURES, Need.ATTESTATIONS})
"""What an index may carry for all that it contains."""
NOT_ASKED = Unreachable("no rule asks for it")
TOO_MANY_INDEXES = Unreachable("more indexes contain it than are looked at", beyond=True)
UNSEEN = Unreachable("nobody looked at what arrives")


class Gatherer:
    """Evidence for one request. What can't be read becomes ``Unreachable``.

    The exception is the index itself: what it contains decides what has to be judged at all, so there is no
    fact to stand for it. ``StorageUnavailable`` then ends the request, and nothing is remembered. Indexes
    above it can only help, and one that is ``Unreachable`` stands for those that could not be asked for.
    """

    def __init__(
        self,
        *,
        manifests: ManifestReader,
        reports: ReportReader,
        signatures: SignatureReader,
        attestations: AttestationReader,
        scanners: Sequence[str] = (),
    ) -> None:
        """``scanners`` are those in use; without them whoever has told is listened to."""
        self._manifests = manifests
        self._reports = reports
        self.signatures = signatures
        self.attestations = attestations
        self.scanners = tuple(scanners)

    def evidence(
        self,
        request: Request,
        role: Role,
        *,
        needs: frozenset[Need],
        policies: PolicySet,
        now: datetime,
        arriving: Judge | None = None,
        allowance: Allowance | None = None,
    ) -> Evidence:
        """Everything that ``needs`` names, for the digest of ``request``. Raises ``StorageUnavailable``.

        ``arriving`` judges what the request itself would add; without it nothing is known of that.
        ``allowance`` is what may be judged anew, where several questions share one.
        """
        look = _Look(self, request.repository, needs, policies, now, allowance or Allowance())
        subject = look.subject(request.digest, role, platform="", depth=0, tag=request.tag)
        parents = look.parents(request.digest) if needs & _OF_PARENTS else ()
        tag = self._tag_state(request) if Need.TAG in needs else NOT_ASKED
        new: Arriving = NOT_ASKED
        if Need.ARRIVING in needs:
            new = arriving(policies.at_any_time(policies.denied(request), now), now) if arriving else UNSEEN
        return Evidence(subject=subject, parents=parents, tag=tag, arriving=new)

    def find(self, repository: RepositoryName, target: Tag | Digest) -> StoredManifest | None:
        return self._manifests.find(repository, target)

    def _tag_state(self, request: Request) -> Known[TagState] | Unreachable:
        """Where it could not be shown that no further index contains the digest, that is not known."""
        try:
            current = self._manifests.find(request.repository, request.tag) if request.tag else None
            tags = self._manifests.tags_of(request.repository, request.digest)
            above = self._tags_above(request) if request.action is Action.DELETE else ()
        except StorageUnavailable as exc:
            return Unreachable(exc.message)
        if above is None:
            return TOO_MANY_INDEXES
        digest = current.digest if current else None
        return Known(TagState(current=digest, tags_of_digest=tags, tags_of_parents=above))

    def _tags_above(self, request: Request) -> tuple[Tag, ...] | None:
        """Tags of all indexes that contain the digest, at any height: deleting it would break them.

        ``None`` when there are more of them than are looked at.
        """
        found: dict[Tag, None] = {}
        seen = {request.digest}
        waiting = [request.digest]
        while waiting:
            child = waiting.pop()
            above = self.naming(request.repository, child, limit=MAX_INDEXES_ABOVE + 1)
            fresh = [digest for digest in above if digest not in seen]
            seen.update(fresh)
            if len(seen) > MAX_INDEXES_ABOVE:
                return None
            for digest in filter(partial(self._is_index, request.repository), fresh):
                waiting.append(digest)
                found.update(dict.fromkeys(self._manifests.tags_of(request.repository, digest)))
        return tuple(found)

    def _is_index(self, repository: RepositoryName, digest: Digest) -> bool:
        stored = self.find(repository, digest)
        return stored is not None and stored.role is Role.INDEX

    def reports_of(self, digest: Digest) -> tuple[ScanReport, ...]:
        return self._reports.find(digest)

    def naming(self, repository: RepositoryName, digest: Digest, *, limit: int) -> tuple[Digest, ...]:
        """Manifests of the repository that name ``digest``, indexes and others."""
        return self._manifests.containing(repository, digest, limit=limit)


class _Look:
    """One request's walk up and down the indexes, with its budget."""

    def __init__(
        self,
        gatherer: Gatherer,
        repository: RepositoryName,
        needs: frozenset[Need],
        policies: PolicySet,
        now: datetime,
        allowance: Allowance,
    ) -> None:
        self._gatherer = gatherer
        self._repository = repository
        self._needs = needs
        self._policies = policies
        self._now = now
        self._budget = MAX_CHILDREN
        self._judged: dict[Digest, SubjectEvidence] = {}
        self._cut = False
        self._allowance = allowance

    def subject(
        self, digest: Digest, role: Role, *, platform: str, depth: int, tag: Tag | None = None
    ) -> SubjectEvidence:
        stored = self._stored(digest)
        children, complete = self._children(stored, depth) if stored and role is Role.INDEX else ((), True)
        return SubjectEvidence(
            digest=digest,
            role=role,
            media_type=stored.media_type if stored else "",
            signatures=self._signatures(digest, stored, tag),
            scan=self._scan(digest, role),
            children=children,
            complete=complete,
            platform=platform,
            attestations=self._attestations(digest),
        )

    def _stored(self, digest: Digest) -> StoredManifest | None:
        return self._gatherer.find(self._repository, digest)

    def _children(self, stored: StoredManifest, depth: int) -> tuple[tuple[SubjectEvidence, ...], bool]:
        """Children that are held here; false when one is missing or the budget does not reach."""
        index = parse_manifest(stored.raw, content_type=stored.media_type, algorithm=stored.digest.algorithm)
        named = dict.fromkeys((one.digest, str(one.platform or "")) for one in index.children)
        found: list[SubjectEvidence] = []
        complete = True
        for digest, platform in named:
            self._budget -= 1
            child = self._child(digest, depth + 1) if self._budget >= 0 and depth < MAX_DEPTH else None
            if child is None:
                complete = False
                continue
            found.append(replace(child, platform=platform))
        return tuple(found), complete

    def _child(self, digest: Digest, depth: int) -> SubjectEvidence | None:
        """Looked at once, however many indexes list it, and for however many platforms."""
        kept = self._judged.get(digest)
        if kept is not None:
            return kept
        stored = self._stored(digest)
        if stored is None:
            return None
        made = self.subject(stored.digest, stored.role, platform="", depth=depth)
        self._judged[digest] = made
        return made

    def parents(self, digest: Digest) -> tuple[SubjectEvidence, ...]:
        """Containing indexes, nearest first, each with its own signatures (children are not needed)."""
        seen: dict[Digest, SubjectEvidence] = {}
        level = [digest]
        try:
            for _ in range(MAX_DEPTH):
                level = [parent for child in level for parent in self._parents(child, seen)]
            # whatever is above the last level was not looked at
            whole = not self._cut and not any(self._naming(top, limit=1) for top in level)
        except StorageUnavailable as exc:
            return (*seen.values(), _unasked(digest, Unreachable(f"which indexes contain it: {exc.message}")))
        found = tuple(seen.values())[:MAX_PARENTS]
        if whole and len(seen) <= MAX_PARENTS:
            return found
        return (*found, _unasked(digest, TOO_MANY_INDEXES))

    def _parents(self, child: Digest, seen: dict[Digest, SubjectEvidence]) -> list[Digest]:
        """Those that were not seen yet; one more than count, which shows that there are more."""
        fresh: list[Digest] = []
        naming = self._naming(child, limit=MAX_PARENTS + 1)
        self._cut = self._cut or len(naming) > MAX_PARENTS
        for digest in naming:
            if len(seen) > MAX_PARENTS:
                break
            parent = self._stored(digest) if digest not in seen else None
            if parent is not None and parent.role is Role.INDEX:
                fresh.append(digest)
                seen[digest] = self._parent(parent)
        return fresh

    def _naming(self, digest: Digest, *, limit: int) -> tuple[Digest, ...]:
        return self._gatherer.naming(self._repository, digest, limit=limit)

    def _parent(self, parent: StoredManifest) -> SubjectEvidence:
        return SubjectEvidence(
            digest=parent.digest,
            role=Role.INDEX,
            media_type=parent.media_type,
            signatures=self._signatures(parent.digest, parent, None),
            scan=Absent("an index is judged by its children"),
            attestations=self._attestations(parent.digest),
        )

    def _signatures(self, digest: Digest, stored: StoredManifest | None, tag: Tag | None) -> Signatures:
        if Need.SIGNATURES not in self._needs:
            return NOT_ASKED
        subject = Subject(digest, stored.media_type if stored else "", len(stored.raw) if stored else 0)
        return self._gatherer.signatures.signatures(
            self._repository, subject, stored, tag, self._policies, self._now, self._allowance
        )

    def _attestations(self, digest: Digest) -> Attestations:
        if Need.ATTESTATIONS not in self._needs:
            return NOT_ASKED
        return self._gatherer.attestations.attestations(
            self._repository, digest, self._policies, self._now, self._allowance
        )

    def _scan(self, digest: Digest, role: Role) -> Scan:
        if Need.SCAN not in self._needs:
            return NOT_ASKED
        if role is not Role.IMAGE:
            return Absent("only images are scanned")
        if not self._allowance.has_room_for_reports:
            return too_many_reports()
        try:
            reports = self._gatherer.reports_of(digest)
        except StorageUnavailable as exc:
            return Unreachable(exc.message)
        return self._all_say(reports)

    def _all_say(self, reports: Sequence[ScanReport]) -> Scan:
        """Every scanner that is in use has to have told; one that was taken out of use tells no more."""
        wanted = self._gatherer.scanners or tuple(dict.fromkeys(report.scanner for report in reports))
        newest = {report.scanner: report for report in reversed(reports)}
        missing = [name for name in wanted if name not in newest]
        if missing or not wanted:
            by = f" by {missing[0]}" if len(wanted) > 1 else ""
            return Absent(f"it has not been scanned{by} yet")
        used = [newest[name] for name in wanted]
        if not all(self._allowance.take_report(report) for report in used):
            return too_many_reports()
        return Known(together([report.reduced() for report in used]))


def _unasked(child: Digest, lost: Unreachable) -> SubjectEvidence:
    """Stands for indexes above ``child`` of which nothing could be found out."""
    return SubjectEvidence(child, Role.INDEX, "", signatures=lost, scan=lost, attestations=lost)
