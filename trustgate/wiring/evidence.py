"""Who reads evidence: signatures and attestations in the store, inside charts, of tags; and what authorities
say of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from trustgate.flows.arrivals import ArrivalReader
from trustgate.flows.attestations import AttestationReader
from trustgate.flows.chart_evidence import ChartEvidence
from trustgate.flows.notary import TrustFlow
from trustgate.flows.notary_evidence import NotaryEvidence
from trustgate.flows.signatures import SignatureReader
from trustgate.oci.manifest import Manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.policy_set import PolicySet
from trustgate.ports import Clock
from trustgate.remote.gpg import Gpg
from trustgate.remote.revocation import RevocationClient
from trustgate.settings import Settings
from trustgate.store.opening import Store
from trustgate.wiring.judges import judges


@dataclass(frozen=True, slots=True)
class EvidenceParts:
    """``close`` ends the processes and connections behind them."""

    signatures: SignatureReader
    attestations: AttestationReader
    arrivals: ArrivalReader
    trust: TrustFlow
    close: Callable[[], None]

    def arrived(
        self,
        repository: RepositoryName,
        manifest: Manifest,
        tags: Sequence[Tag],
        policies: PolicySet,
        now: datetime,
    ) -> None:
        """Judge what was just pushed, if it is evidence: the pulls that follow only evaluate."""
        self.signatures.arrived(repository, manifest, tags, policies, now)
        self.attestations.arrived(repository, manifest, tags, policies, now)


def open_evidence(settings: Settings, clock: Clock, store: Store) -> EvidenceParts:
    """Nothing is asked and no process begins before the first signature that needs it."""
    folder = settings.data / "tmp"
    folder.mkdir(exist_ok=True)
    code = judges()
    gpg = Gpg(folder)
    revocation = RevocationClient(clock, allowed_hosts=settings.revocation_hosts)
    trust = TrustFlow(files=store.trust_files, keys=store.trust_keys, clock=clock, hosts=settings.own_hosts)
    charts = ChartEvidence(blobs=store.blobs, blob_store=store.blob_store, openpgp=gpg)
    signatures = SignatureReader(
        manifests=store.manifests,
        attached=store.attached,
        blobs=store.blobs,
        blob_store=store.blob_store,
        judgements=store.judgements,
        revocation=revocation,
        charts=charts,
        notary=NotaryEvidence(trust),
        judges=code,
    )
    attestations = AttestationReader(
        manifests=store.manifests,
        attached=store.attached,
        blobs=store.blobs,
        blob_store=store.blob_store,
        judgements=store.attestations,
        judges=code,
    )

    arrivals = ArrivalReader(
        manifests=store.manifests, signatures=signatures, attestations=attestations, charts=charts
    )

    def close() -> None:
        gpg.close()
        revocation.close()

    return EvidenceParts(signatures, attestations, arrivals, trust, close)
