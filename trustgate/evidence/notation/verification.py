"""The checks of a Notary Project signature, in the order of trust-store-trust-policy.md, "Steps".

As strict as the specification where notation 1.3.2 is not; ``docs/`` "What verified means" has the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from trustgate.evidence.model import Revocation, Subject
from trustgate.evidence.notation.algorithms import algorithm_of, verifies
from trustgate.evidence.notation.attributes import Scheme
from trustgate.evidence.notation.certificates import (
    Chain,
    code_signing_chain,
    load_certificate,
    signing_key,
    subject_of,
    time_stamping_chain,
)
from trustgate.evidence.notation.envelope import Envelope
from trustgate.evidence.notation.identity import identity_of
from trustgate.evidence.notation.manifest import NotationCandidate, check_thumbprints, read_envelope
from trustgate.evidence.notation.payload import TargetArtifact, check_target, read_payload
from trustgate.evidence.notation.refusal import Broken, Refused, Untrusted
from trustgate.evidence.notation.revocation import (
    Answers,
    RevocationQuestion,
    RevocationStatus,
    questions_of,
    unknown,
)
from trustgate.evidence.notation.trust import Action, NotationTrust, Validation
from trustgate.evidence.timestamp import Timestamp, TimestampRefused, read_token, verify_timestamp

MAX_CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far in the future a signer's clock may be."""
LEAST_ACCURACY: Final = timedelta(seconds=1)
"""What RFC 3628 means where a timestamp of its baseline policy states none; here for every policy."""
NO_ANSWERS: Final[Answers] = {}


@dataclass(frozen=True, slots=True)
class Sound:
    """A signature that is intact, is over the subject, and whose chain keeps the rules; by whom is open."""

    envelope: Envelope
    target: TargetArtifact
    chain: Chain


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one check, and what its failure does."""

    validation: Validation
    action: Action
    problem: str = ""
    """Empty when the check was passed."""


@dataclass(frozen=True, slots=True)
class Verification:
    """A sound signature under one trust: every check's finding, and what is proven."""

    sound: Sound = field(repr=False)
    findings: tuple[Finding, ...]
    revocation: Revocation
    signed_at: datetime | None
    timestamps: int

    @property
    def refusal(self) -> str:
        """The first failure of an enforced check; empty when the trust accepts the signature."""
        return next((f"{one.problem}" for one in self.findings if _fails(one, Action.ENFORCE)), "")

    @property
    def signer(self) -> str:
        """The subject of the signing certificate, for people."""
        return subject_of(self.sound.chain.leaf)

    @property
    def logged(self) -> tuple[Finding, ...]:
        """Failures that the level only logs."""
        return tuple(one for one in self.findings if _fails(one, Action.LOG))

    @property
    def verified(self) -> bool:
        """Accepted, and by someone whom the trust names (level ``audit`` accepts anyone)."""
        authentic = not any(one.problem for one in self.findings if one.validation is Validation.AUTHENTICITY)
        return authentic and not self.refusal


def _fails(finding: Finding, action: Action) -> bool:
    return bool(finding.problem) and finding.action is action


def read_signature(candidate: NotationCandidate, subject: Subject) -> Sound:
    """Integrity: everything that depends on neither trust nor time. Raises ``Refused``."""
    # 1. the manifest is about this subject, and carries one envelope
    claimed = candidate.manifest.subject
    if claimed is None or claimed.digest != subject.digest:
        about = claimed.digest.short if claimed else "nothing (it has no subject)"
        raise Broken(f"its manifest is about {about}, not about this digest")
    envelope = read_envelope(candidate)
    # 2. the certificate chain, and the algorithm that its key fixes
    chain = code_signing_chain([load_certificate(der) for der in envelope.chain])
    key = signing_key(chain)
    expected, stated = algorithm_of(key).name, envelope.attributes.algorithm
    if stated != expected:
        raise Broken(
            f"the signature says it is {stated[:20]!a}; by its certificate's key it must be {expected}"
        )
    # 3. the signature over payload and signed attributes
    if not verifies(key, envelope.signature, envelope.signed):
        raise Broken(f"the signature does not verify as {expected} with the key of its certificate")
    # 4. what was signed is the subject, all three parts of its descriptor
    target = read_payload(envelope.payload)
    check_target(target, subject)
    check_thumbprints(candidate.manifest, chain.thumbprints)
    # 5. "the certificates MUST be valid at signing time", whoever says when that was
    outside = chain.why_not_valid(envelope.attributes.signing_time, envelope.attributes.signing_time)
    if outside:
        raise Broken(f"by its own signing time it was signed outside its certificates: {outside}")
    return Sound(envelope, target, chain)


def verify_notation(
    candidate: NotationCandidate,
    *,
    subject: Subject,
    trust: NotationTrust,
    now: datetime,
    answers: Answers = NO_ANSWERS,
) -> Verification:
    """The candidate under one trust. Raises ``Refused`` when its integrity fails, which no level forgives."""
    return weigh(read_signature(candidate, subject), trust, now=now, answers=answers)


def questions_under(
    candidate: NotationCandidate, *, subject: Subject, trusts: Iterable[NotationTrust], now: datetime
) -> tuple[RevocationQuestion, ...]:
    """As ``revocation_questions``, for trusts without an attestor's name."""
    try:
        sound = read_signature(candidate, subject)
    except Refused:
        return ()
    found: dict[str, RevocationQuestion] = {}
    for trust in trusts:
        if _authenticity(sound, trust):
            continue
        asked = (
            []
            if trust.actions[Validation.REVOCATION] is Action.SKIP
            else [*questions_of(sound.chain.certificates)]
        )
        if _needs_timestamp(sound, trust, now):
            try:
                asked += questions_of(_timestamp_chain(_timestamp(sound, trust)).certificates)
            except Refused:
                continue
        found |= {one.thumbprint: one for one in asked}
    return tuple(found.values())


def weigh(sound: Sound, trust: NotationTrust, *, now: datetime, answers: Answers) -> Verification:
    """Every check that depends on trust or time."""
    authenticity = _authenticity(sound, trust)
    time = _proven_time(sound, trust, now, answers)
    revocation = _revocation(sound, trust, answers)
    problems = {
        Validation.AUTHENTICITY: authenticity,
        Validation.EXPIRY: _expiry(sound, now),
        Validation.AUTHENTIC_TIMESTAMP: time.problem,
        Validation.REVOCATION: revocation.problem,
    }
    signed_at = time.timestamp.moment if time.timestamp else None
    if sound.envelope.attributes.scheme is Scheme.SIGNING_AUTHORITY and not (authenticity or time.problem):
        signed_at = sound.envelope.attributes.signing_time
    return Verification(
        sound=sound,
        findings=tuple(Finding(one, trust.actions[one], problem) for one, problem in problems.items()),
        # nobody is asked about a chain that is not trusted, and no answer would change anything
        revocation="not-asked" if authenticity else worst([revocation.state, time.state]),
        signed_at=signed_at,
        timestamps=1 if time.timestamp else 0,
    )


@dataclass(frozen=True, slots=True)
class _Time:
    """What proves when it was signed, or why nothing does; and the state of the authority's certificates."""

    problem: str = ""
    timestamp: Timestamp | None = None
    state: Revocation = "not-asked"


@dataclass(frozen=True, slots=True)
class _Revocation:
    """The state of a chain in one word, and why that fails the check; empty when it does not."""

    state: Revocation
    problem: str = ""


def _authenticity(sound: Sound, trust: NotationTrust) -> str:
    """Why the signature is by nobody whom ``trust`` names; empty when it is."""
    scheme = sound.envelope.attributes.scheme
    if not set(trust.anchors(scheme)) & set(sound.chain.certificates):
        store = "ca" if scheme is Scheme.X509 else "signingAuthority"
        root = subject_of(sound.chain.certificates[-1])
        return f"its chain leads to {root}, which is in no {store} store of the trust"
    if not trust.identities:
        return ""
    try:
        found = identity_of(sound.chain.leaf)
    except Untrusted as exc:
        return str(exc)
    if trust.names(found):
        return ""
    return f"signed by {subject_of(sound.chain.leaf)}, who is none of the trusted identities"


def _expiry(sound: Sound, now: datetime) -> str:
    expiry = sound.envelope.attributes.expiry
    return f"the signature expired on {_shown(expiry)}" if expiry is not None and now >= expiry else ""


def is_early(sound: Sound, now: datetime) -> bool:
    """Whether its own time, or that of one of its certificates, has still to come."""
    begins = [one.not_valid_before_utc for one in sound.chain.certificates]
    return sound.envelope.attributes.signing_time > now + MAX_CLOCK_SKEW or max(begins) > now


def _proven_time(sound: Sound, trust: NotationTrust, now: datetime, answers: Answers) -> _Time:
    """A timestamp where one is needed; else the chain has to be valid now."""
    attributes = sound.envelope.attributes
    if attributes.signing_time > now + MAX_CLOCK_SKEW:
        return _Time(f"its signing time, {_shown(attributes.signing_time)}, is in the future")
    if attributes.scheme is Scheme.SIGNING_AUTHORITY:
        return _Time()  # that its time lies inside the chain's validity is part of integrity
    if not _needs_timestamp(sound, trust, now):
        outside = sound.chain.why_not_valid(now, now)
        hint = "" if trust.tsa else "; a timestamp could prove its time, and the trust names no tsa store"
        return _Time(f"{outside}{hint}" if outside else "")
    return _stamped(sound, trust, answers)


def _stamped(sound: Sound, trust: NotationTrust, answers: Answers) -> _Time:
    """The whole span that the timestamp leaves open has to lie inside every certificate's validity."""
    try:
        timestamp = _timestamp(sound, trust)
        chain = _timestamp_chain(timestamp)
    except Refused as exc:
        return _Time(str(exc))
    accuracy = max(timestamp.accuracy, LEAST_ACCURACY)
    outside = sound.chain.why_not_valid(timestamp.moment - accuracy, timestamp.moment + accuracy)
    if outside:
        return _Time(f"its timestamp is outside its certificates: {outside}")
    authority = _state_of(chain, answers)
    if authority.problem:
        return _Time(f"of the timestamp authority: {authority.problem}", state=authority.state)
    return _Time(timestamp=timestamp, state=authority.state)


def _needs_timestamp(sound: Sound, trust: NotationTrust, now: datetime) -> bool:
    """trust-store-trust-policy.md, "Timestamp Countersignature Verification details"."""
    if sound.envelope.attributes.scheme is not Scheme.X509 or not trust.tsa:
        return False
    return trust.always_timestamp or any(now > one.not_valid_after_utc for one in sound.chain.certificates)


def _timestamp(sound: Sound, trust: NotationTrust) -> Timestamp:
    if not sound.envelope.timestamp:
        raise Untrusted("it has no timestamp, and the trust names a tsa store")
    try:
        token = read_token(sound.envelope.timestamp)
        if all(one.algorithm == "sha1" for one in token.own_hashes):
            raise Untrusted("its timestamp lacks the signing-certificate-v2 attribute")
        return verify_timestamp(token, over=sound.envelope.signature, anchors=trust.tsa)
    except TimestampRefused as exc:
        raise Untrusted(f"its timestamp: {exc}") from exc


def _timestamp_chain(timestamp: Timestamp) -> Chain:
    return time_stamping_chain(timestamp.chain)


def _revocation(sound: Sound, trust: NotationTrust, answers: Answers) -> _Revocation:
    if trust.actions[Validation.REVOCATION] is Action.SKIP:
        return _Revocation("not-asked")
    attributes = sound.envelope.attributes
    vouched = attributes.signing_time if attributes.scheme is Scheme.SIGNING_AUTHORITY else None
    return _state_of(sound.chain, answers, vouched)


def _state_of(chain: Chain, answers: Answers, vouched: datetime | None = None) -> _Revocation:
    """``vouched`` is when a signing authority says it signed: what came before a key went bad still holds."""
    found = _Revocation("good")
    for one in questions_of(chain.certificates):
        answer = answers.get(one.thumbprint) or unknown("nobody asked")
        name = subject_of(load_certificate(one.certificate))
        since = answer.invalid_since
        before = vouched is not None and since is not None and vouched < since
        if answer.status is RevocationStatus.REVOKED and not before:
            return _Revocation("revoked", f"the certificate of {name} was revoked: {answer.why}")
        if answer.status is RevocationStatus.UNKNOWN:
            why = f"whether the certificate of {name} was revoked is unknown: {answer.why}"
            found = _Revocation("unknown", why)
    return found


def worst(states: Iterable[Revocation]) -> Revocation:
    """The one that speaks most against the certificates."""
    found = set(states)
    order: tuple[Revocation, ...] = ("revoked", "unknown", "good")
    return next((one for one in order if one in found), "not-asked")


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
