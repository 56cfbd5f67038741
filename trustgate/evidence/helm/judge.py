"""Judge a chart's provenance: everything that needs no key first, then the answers of OpenPGP.

Stricter than helm where it is lax (see ``docs/`` "What verified means"): the framing, the metadata, the
hash, the key, the dates and the signer count; helm takes any key of the keyring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from trustgate.evidence.attestor import Attestor, next_turn
from trustgate.evidence.helm.chart import Chart
from trustgate.evidence.helm.chart_manifest import chart_layers, check_config
from trustgate.evidence.helm.packets import DSA, HASHES, TEXT_SIGNATURE, KeyPacket
from trustgate.evidence.helm.provenance import Provenance, check_belongs, read_provenance
from trustgate.evidence.helm.question import (
    OpenPgpAnswer,
    OpenPgpQuestion,
    OpenPgpSignature,
    OpenPgpStatus,
)
from trustgate.evidence.helm.refusal import HelmNotUnderstood, HelmRefused
from trustgate.evidence.helm.trust import GpgTrust, created_before, gpg_identity, weakness
from trustgate.evidence.model import Outcome, SignatureFact, SignatureKind, Signer, Subject
from trustgate.evidence.revoked import Piece, content_marks, evidence_marks
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest

STRONG_HASHES: Final = frozenset({8, 9, 10})
"""SHA-256, SHA-384, SHA-512."""
MAX_CLOCK_SKEW: Final = timedelta(minutes=5)
MAX_REASON_CHARACTERS: Final = 400
_SHOWN_NAMES: Final = 4


@dataclass(frozen=True, slots=True)
class ChartCandidate:
    """A chart and its provenance. ``manifest`` and ``config`` are ``None`` for a chart in a file."""

    provenance: bytes = field(repr=False)
    chart: Chart
    manifest: Manifest | None = None
    config: bytes | None = field(default=None, repr=False)

    @property
    def evidence(self) -> Digest:
        return Digest.of(self.provenance)


@dataclass(frozen=True, slots=True)
class HelmClaim:
    """A well-formed provenance of the right chart, whose signature has still to be verified."""

    evidence: Digest
    provenance: Provenance

    @property
    def question(self) -> OpenPgpQuestion:
        """What to ask, once for every keyring of ``keyrings``."""
        return OpenPgpQuestion(self.provenance.signed, self.provenance.signature.raw)


def helm_claim(candidate: ChartCandidate, *, subject: Subject | None) -> HelmClaim | SignatureFact:
    """What there is to be verified, or the fact that there is nothing. Never raises for foreign bytes.

    ``subject`` is the manifest that is judged; ``None`` for a chart in a file.
    """
    try:
        _check_artifact(candidate, subject)
        provenance = read_provenance(candidate.provenance)
        check_belongs(provenance, candidate.chart)
        _check_algorithms(provenance)
    except HelmRefused as exc:
        return refused(candidate.evidence, exc)
    return HelmClaim(candidate.evidence, provenance)


def refused(evidence: Digest, exc: HelmRefused) -> SignatureFact:
    """The fact that stands for a provenance or a chart that can't be judged further."""
    outcome = Outcome.NOT_UNDERSTOOD if isinstance(exc, HelmNotUnderstood) else Outcome.BROKEN
    return _fact(evidence, outcome, str(exc))


def keyrings(attestors: Sequence[Attestor]) -> Mapping[Digest, bytes]:
    """Every keyring that has to be asked, by its digest."""
    trusts: Iterable[object] = (attestor.trust for attestor in attestors)
    return {trust.keyring_digest: trust.keyring for trust in trusts if isinstance(trust, GpgTrust)}


def judge_helm(
    claim: HelmClaim, answers: Mapping[Digest, OpenPgpAnswer], *, attestors: Sequence[Attestor], now: datetime
) -> SignatureFact:
    """The claim weighed against every attestor with a keyring; ``answers`` by the keyrings' digests."""
    signers: list[Signer] = []
    reasons: dict[str, Outcome] = {}
    for attestor in attestors:
        if not isinstance(attestor.trust, GpgTrust):
            continue
        weighed = _weigh(claim, attestor, attestor.trust, answers.get(attestor.trust.keyring_digest), now)
        if isinstance(weighed, Signer):
            signers.append(weighed)
        else:
            reasons.setdefault(weighed.reason, weighed.outcome)
    if Outcome.REVOKED in reasons.values():
        signers = []
    outcome, reason = _summed_up(claim, signers, reasons)
    metadata = claim.provenance.metadata
    return replace(
        _fact(claim.evidence, outcome, reason),
        signers=tuple(signers),
        signed_repository=f"{metadata.name}:{metadata.tag}",
        valid_until=_next_turn(answers.values(), attestors, now),
        early=any(_is_early(answer.signature, now) for answer in answers.values() if answer.signature),
    )


def _summed_up(
    claim: HelmClaim, signers: Sequence[Signer], reasons: Mapping[str, Outcome]
) -> tuple[Outcome, str]:
    """What is revoked; else who signed; else what is broken; else why nobody who signed is trusted."""
    if signers:
        who = ", ".join(signer.attestor for signer in signers[:_SHOWN_NAMES])
        return Outcome.VERIFIED, f"{claim.provenance.file_name} is signed by {who}"
    if not reasons:
        return Outcome.UNTRUSTED, "is signed, and no attestor of type gpg is trusted here"
    order = (Outcome.REVOKED, Outcome.BROKEN)
    outcome = next((one for one in order if one in reasons.values()), Outcome.UNTRUSTED)
    told = [_sentence(reason) for reason, found in reasons.items() if found is outcome]
    return outcome, "; ".join(told[:_SHOWN_NAMES])


def _next_turn(
    answers: Iterable[OpenPgpAnswer], attestors: Sequence[Attestor], now: datetime
) -> datetime | None:
    """When time alone can change the outcome: a signature or a key expires, or a future one comes of age."""
    turns = [next_turn(attestors, now)]
    for signature in (answer.signature for answer in answers):
        if signature is not None:
            turns += [signature.expires, signature.key_expires, signature.created - MAX_CLOCK_SKEW]
    return min((turn for turn in turns if turn is not None and turn > now), default=None)


def as_called(fact: SignatureFact, *, name: str, tag: str | None) -> SignatureFact:
    """The fact for a chart that is asked for as ``…/name:tag``, or by digest where ``tag`` is ``None``.

    Helm looks for the file that the reference names: under another tag or in another repository it finds
    none, and refuses. So an old version can't be handed out as a new one.
    """
    signed_name, _, signed_tag = fact.signed_repository.partition(":")
    if fact.outcome is not Outcome.VERIFIED or (signed_name, signed_tag) == (name, tag or signed_tag):
        return fact
    asked = f"{name}:{tag}" if tag else name
    reason = f"the provenance is for {fact.signed_repository}, and the chart is asked for as {asked[:120]}"
    return replace(fact, outcome=Outcome.BROKEN, reason=_printable(reason), signers=())


# --- before anyone is asked ----------------------------------------------------------------------


def _check_artifact(candidate: ChartCandidate, subject: Subject | None) -> None:
    """The manifest is the one that is judged, and holds this chart and this provenance, once each."""
    manifest = candidate.manifest
    if manifest is None or subject is None:
        if manifest is not None or subject is not None:
            raise HelmRefused("is not part of the manifest that is judged")
        return
    if manifest.digest != subject.digest:
        raise HelmRefused(f"is part of {manifest.digest.short}, and {subject.digest.short} is judged")
    layers = chart_layers(manifest)
    if layers.provenance is None or layers.provenance.digest != candidate.evidence:
        raise HelmRefused("is not the provenance that the manifest names")
    if layers.chart.digest != candidate.chart.digest or layers.chart.size != candidate.chart.size:
        raise HelmRefused("comes with a chart that is not the one that the manifest names")
    if candidate.config is None or Digest.of(candidate.config) != layers.config.digest:
        raise HelmRefused("comes with a config that is not the one that the manifest names")
    check_config(candidate.config, candidate.chart)


def _check_algorithms(provenance: Provenance) -> None:
    signature = provenance.signature
    if signature.hash_id not in STRONG_HASHES:
        name = HASHES.get(signature.hash_id, str(signature.hash_id))
        raise HelmRefused(f"is signed over {name}; SHA256, SHA384 and SHA512 count")
    if signature.algorithm == DSA:
        raise HelmRefused("is signed with DSA; RSA, ECDSA and EdDSA count")


# --- answers -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _No:
    reason: str
    outcome: Outcome = Outcome.UNTRUSTED


_NO: Mapping[OpenPgpStatus, _No] = {
    OpenPgpStatus.BAD: _No("its signature does not verify", Outcome.BROKEN),
    OpenPgpStatus.UNKNOWN_KEY: _No("is signed by a key that is in no trusted keyring"),
    OpenPgpStatus.KEY_EXPIRED: _No("is signed by a key that has expired"),
    OpenPgpStatus.KEY_REVOKED: _No("is signed by a key that was revoked"),
    OpenPgpStatus.SIGNATURE_EXPIRED: _No("its signature has expired"),
    OpenPgpStatus.NOT_VERIFIED: _No("its signature could not be verified", Outcome.BROKEN),
}


def _weigh(
    claim: HelmClaim, attestor: Attestor, trust: GpgTrust, answer: OpenPgpAnswer | None, now: datetime
) -> Signer | _No:
    if answer is None:
        return _No(f"its signature was not verified for {attestor.name}")
    if answer.status is not OpenPgpStatus.GOOD or answer.signature is None:
        return _NO.get(answer.status, _NO[OpenPgpStatus.NOT_VERIFIED])
    problem = _problem(claim.provenance, answer.signature, trust, now)
    if problem is not None:
        return problem
    primary = answer.signature.primary_key
    signer = _signer(attestor, trust, primary, now)
    signed = claim.provenance.signed
    own = content_marks([signed]) | {f"openpgp:{primary}"}
    piece = Piece(own, evidence_marks([claim.evidence]), str(Digest.of(signed)))
    why = piece.why_revoked(attestor.revoked, None)  # when it was made is what the signer says
    if why and isinstance(signer, Signer):
        return _No(f"is signed by {attestor.name}, but {why}", Outcome.REVOKED)
    return signer


def _signer(attestor: Attestor, trust: GpgTrust, primary: str, now: datetime) -> Signer | _No:
    if primary not in trust.fingerprints:
        return _No(f"is signed by {primary}, whose fingerprint {attestor.name} does not list")
    if not attestor.in_time(now):
        return _No(f"is signed by {attestor.name}, whom the trust store does not count at this time")
    return Signer(attestor.name, gpg_identity(primary))


def _problem(
    provenance: Provenance, signature: OpenPgpSignature, trust: GpgTrust, now: datetime
) -> _No | None:
    # 1. The answer is about this very signature, and it is of the kind that was asked for.
    packet = provenance.signature
    asked = (TEXT_SIGNATURE, packet.algorithm, packet.hash_id)
    if (signature.signature_class, signature.algorithm, signature.hash_id) != asked:
        return _No("is not what OpenPGP says that it verified", Outcome.BROKEN)
    # 2. The key, and the one it stands below, are of the keyring and strong.
    keys = [trust.keys.get(name) for name in (signature.signing_key, signature.primary_key)]
    if None in keys or any(key.primary != signature.primary_key for key in keys if key):
        return _No("is signed by a key that is in no trusted keyring")
    for key in filter(None, keys):
        weak = weakness(key)
        if weak:
            return _No(f"is signed by {key.fingerprint}, which does not count: {weak}")
    return _wrong_time(signature, [key for key in keys if key], now)


def _wrong_time(signature: OpenPgpSignature, keys: Sequence[KeyPacket], now: datetime) -> _No | None:
    """The end of each span is outside of it."""
    if _is_early(signature, now):
        return _No(f"is signed in the future, on {signature.created:%Y-%m-%d}", Outcome.BROKEN)
    if not all(created_before(key, signature.created) for key in keys):
        return _No("is signed before its key was made", Outcome.BROKEN)
    if signature.expires is not None and signature.expires <= now:
        return _NO[OpenPgpStatus.SIGNATURE_EXPIRED]
    if signature.key_expires is not None and signature.key_expires <= now:
        return _NO[OpenPgpStatus.KEY_EXPIRED]
    return None


def _is_early(signature: OpenPgpSignature, now: datetime) -> bool:
    return signature.created > now + MAX_CLOCK_SKEW


def _fact(evidence: Digest, outcome: Outcome, reason: str) -> SignatureFact:
    sentence = reason if outcome is Outcome.VERIFIED else _sentence(reason)
    return SignatureFact(SignatureKind.HELM_PROVENANCE, evidence, outcome, _printable(sentence))


def _printable(text: str) -> str:
    """One line of printable ASCII: clients and terminals pass on what they are given."""
    clean = "".join(character if " " <= character <= "~" else "?" for character in text)
    return clean[:MAX_REASON_CHARACTERS]


def _sentence(reason: str) -> str:
    """A refusal speaks of the provenance, unless it says of what else."""
    if reason.startswith("its "):
        return f"the provenance's {reason.removeprefix('its ')}"
    return reason if reason.startswith(("the ", "Chart.yaml", "requirements")) else f"the provenance {reason}"
