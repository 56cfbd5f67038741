"""What is known about a chart's provenance: read it, ask OpenPGP, have it judged. Decides nothing.

Reading a package and asking gpg take milliseconds, and their results hang on nothing but bytes: both are
kept, and every pull is judged anew from them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from threading import Lock
from typing import Generic, TypeAlias, TypeVar

from trustgate.errors import BlobUnknown, OpenPgpUnavailable, SizeInvalid, StorageUnavailable
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.helm.chart import Chart, read_chart
from trustgate.evidence.helm.chart_manifest import chart_layers, is_chart
from trustgate.evidence.helm.judge import (
    ChartCandidate,
    HelmClaim,
    as_called,
    helm_claim,
    judge_helm,
    keyrings,
    refused,
)
from trustgate.evidence.helm.question import OpenPgpAnswer, OpenPgpQuestion, OpenPgpStatus
from trustgate.evidence.helm.refusal import HelmRefused
from trustgate.evidence.model import (
    Absent,
    Known,
    Outcome,
    SignatureFact,
    SignatureKind,
    Subject,
    Unreachable,
)
from trustgate.flows.defects import or_broken
from trustgate.flows.stored_evidence import read_evidence
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, Manifest, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.ports import BlobFinder, BlobReader, OpenPgp, StoredManifest

MAX_KEPT_CHARTS = 128
"""Each may hold megabytes of what helm does not know, out of a small package."""
MAX_KEPT_ANSWERS = 4096

ChartSignatures: TypeAlias = Known[tuple[SignatureFact, ...]] | Absent | Unreachable
"""``Absent`` for a chart without provenance, and for what is no chart; ``Unreachable`` when gpg or the
store can't be asked."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ChartEvidence:
    """Signatures of charts. What is wrong with a chart becomes a fact, never an exception."""

    def __init__(self, *, blobs: BlobFinder, blob_store: BlobReader, openpgp: OpenPgp) -> None:
        self._blobs = blobs
        self._blob_store = blob_store
        self._openpgp = openpgp
        self._charts: _Kept[Digest, Chart] = _Kept(MAX_KEPT_CHARTS)
        self._answers: _Kept[tuple[Digest, Digest], tuple[datetime, OpenPgpAnswer]] = _Kept(MAX_KEPT_ANSWERS)

    def of(
        self, stored: StoredManifest, *, attestors: Sequence[Attestor], now: datetime, tag: Tag | None
    ) -> ChartSignatures:
        """The facts about one manifest, which is asked for by ``tag`` or by its digest."""
        manifest = parse_manifest(
            stored.raw, content_type=stored.media_type, algorithm=stored.digest.algorithm
        )
        if not is_chart(manifest):
            return Absent("it is not a chart")

        def broken(why: str) -> ChartSignatures:
            kind = SignatureKind.HELM_PROVENANCE
            return Known((SignatureFact(kind, manifest.digest, Outcome.BROKEN, why, settled=False),))

        try:
            facts = or_broken(lambda: self._judged(stored.repository, manifest, attestors, now), broken)
        except (StorageUnavailable, OpenPgpUnavailable) as exc:
            hint = f" ({exc.hint})" if exc.hint else ""
            return Unreachable(f"{exc.message}{hint}")
        if not isinstance(facts, Known):
            return facts
        name = stored.repository.rpartition("/")[2]
        return Known(tuple(as_called(fact, name=name, tag=tag) for fact in facts.value))

    def _judged(
        self,
        repository: RepositoryName,
        manifest: Manifest,
        attestors: Sequence[Attestor],
        now: datetime,
    ) -> ChartSignatures:
        evidence = manifest.digest
        try:
            layers = chart_layers(manifest)
            if layers.provenance is None:
                return Absent("the chart has no provenance: helm package --sign makes one")
            evidence = layers.provenance.digest
            candidate = ChartCandidate(
                provenance=self._read(repository, layers.provenance),
                chart=self._chart(repository, layers.chart),
                manifest=manifest,
                config=self._read(repository, layers.config),
            )
        except HelmRefused as exc:
            return Known((refused(evidence, exc),))
        except (BlobUnknown, SizeInvalid) as exc:
            fact = refused(evidence, HelmRefused(f"can't be judged: {exc.message}"))
            return Known((replace(fact, settled=False),))
        subject = Subject(manifest.digest, manifest.media_type, len(manifest.raw))
        claim = helm_claim(candidate, subject=subject)
        if isinstance(claim, SignatureFact):
            return Known((claim,))
        return Known((self.weighed(claim, attestors=attestors, now=now),))

    def weighed(self, claim: HelmClaim, *, attestors: Sequence[Attestor], now: datetime) -> SignatureFact:
        """Ask for every keyring, then have it judged. Raises ``OpenPgpUnavailable``."""
        question = claim.question
        rings: Mapping[Digest, bytes] = keyrings(attestors)
        answers = {digest: self._answer(question, digest, ring, now) for digest, ring in rings.items()}
        return judge_helm(claim, answers, attestors=attestors, now=now)

    def _answer(self, question: OpenPgpQuestion, digest: Digest, ring: bytes, now: datetime) -> OpenPgpAnswer:
        """A good answer stays one: the judge looks at every end itself. Any other was of its moment."""
        key = (question.digest, digest)
        kept = self._answers.get(key)
        if kept is not None and kept[0] <= now:
            return kept[1]
        answer = self._openpgp.verify(question, ring, at=now)
        if answer.status in {OpenPgpStatus.GOOD, OpenPgpStatus.BAD, OpenPgpStatus.UNKNOWN_KEY}:
            self._answers.put(key, (now, answer))
        return answer

    def _chart(self, repository: RepositoryName, layer: Descriptor) -> Chart:
        return self._charts.get_or(layer.digest, lambda: read_chart(self._read(repository, layer)))

    def _read(self, repository: RepositoryName, layer: Descriptor) -> bytes:
        """Raises ``BlobUnknown``, ``SizeInvalid``."""
        content = read_evidence(self._blobs, self._blob_store, repository, layer.digest, max_bytes=layer.size)
        if len(content) != layer.size:
            raise SizeInvalid(
                f"{layer.digest.short} has {len(content)} bytes, the manifest says {layer.size}"
            )
        return content


def judge_files(
    package: bytes,
    provenance: bytes,
    file_name: str,
    *,
    openpgp: OpenPgp,
    attestors: Sequence[Attestor],
    now: datetime,
) -> SignatureFact:
    """A package and the provenance beside it, as ``helm verify`` reads them.

    Raises ``OpenPgpUnavailable``.
    """
    try:
        candidate = ChartCandidate(provenance, read_chart(package))
    except HelmRefused as exc:
        return refused(Digest.of(provenance), exc)
    claim = helm_claim(candidate, subject=None)
    own = candidate.chart.metadata.file_name
    if isinstance(claim, SignatureFact):
        return claim
    if file_name != own:
        return refused(candidate.evidence, HelmRefused(f"is for {own}, and the file is {file_name[:80]!a}"))
    question = claim.question
    answers = {digest: openpgp.verify(question, ring, at=now) for digest, ring in keyrings(attestors).items()}
    return judge_helm(claim, answers, attestors=attestors, now=now)


class _Kept(Generic[K, V]):
    """The newest results, by what they hang on."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._entries[key] = value
            while len(self._entries) > self._limit:
                self._entries.popitem(last=False)

    def get_or(self, key: K, make: Callable[[], V]) -> V:
        """What is kept, or what ``make`` returns; what it raises is not kept."""
        found = self._entries.get(key)
        if found is None:
            found = make()
            self.put(key, found)
        return found
