"""Judge Notary Project signatures: every check under each attestor's trust, and one fact from all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from trustgate.evidence.attestor import Attestor
from trustgate.evidence.model import Outcome, SignatureFact, SignatureKind, Signer, Subject
from trustgate.evidence.notation.algorithms import forms
from trustgate.evidence.notation.certificates import (
    signing_key,
    spki_sha256,
    subject_of,
)
from trustgate.evidence.notation.manifest import NotationCandidate
from trustgate.evidence.notation.refusal import Refused
from trustgate.evidence.notation.revocation import (
    Answers,
    RevocationQuestion,
)
from trustgate.evidence.notation.trust import NotationTrust, Validation
from trustgate.evidence.notation.verification import (
    MAX_CLOCK_SKEW,
    NO_ANSWERS,
    Sound,
    Verification,
    is_early,
    questions_under,
    read_signature,
    weigh,
    worst,
)
from trustgate.evidence.revoked import Piece, certificate_marks, content_marks, evidence_marks
from trustgate.oci.digest import Digest

ASK_AGAIN: Final = timedelta(minutes=1)
"""How long an outcome holds that hung on an authority which gave no answer."""
MAX_REASON_CHARACTERS: Final = 400


def _notation_trusts(attestors: Sequence[Attestor]) -> list[NotationTrust]:
    trusts: list[object] = [one.trust for one in attestors]
    return [one for one in trusts if isinstance(one, NotationTrust)]


def judge_notation(
    candidate: NotationCandidate,
    *,
    subject: Subject,
    attestors: Sequence[Attestor],
    now: datetime,
    answers: Answers = NO_ANSWERS,
) -> SignatureFact:
    """What the candidate proves about ``subject``. Never raises: what is broken is an outcome.

    ``answers`` is what was found out about revocation (see ``revocation_questions``); a certificate that
    could be revoked and has no answer is unknown, which fails where revocation is enforced.
    """
    try:
        sound = read_signature(candidate, subject)
    except Refused as exc:
        return _fact(candidate, exc.outcome, str(exc))
    asked = [(one, trust) for one in attestors for trust in _notation_trusts([one])]
    if not asked:
        return _fact(candidate, Outcome.UNTRUSTED, "no attestor of the trust store is of type notation")
    weighed = [(one, weigh(sound, trust, now=now, answers=answers)) for one, trust in asked]
    return _concluded(candidate, sound, weighed, now, answers)


def revocation_questions(
    candidate: NotationCandidate, *, subject: Subject, attestors: Sequence[Attestor], now: datetime
) -> tuple[RevocationQuestion, ...]:
    """What to find out before judging: only about chains of signatures that someone trusted has made."""
    return questions_under(candidate, subject=subject, trusts=_notation_trusts(attestors), now=now)


def _concluded(
    candidate: NotationCandidate,
    sound: Sound,
    weighed: Sequence[tuple[Attestor, Verification]],
    now: datetime,
    answers: Answers,
) -> SignatureFact:
    verified = [(one, by) for one, by in weighed if by.verified and one.in_time(now)]
    state = worst(by.revocation for _, by in weighed)
    turns = [moment for moment in _turns(sound, answers) if moment > now]
    turn = min([*turns, *([now + ASK_AGAIN] if state == "unknown" else [])], default=None)
    early = is_early(sound, now)
    if not verified:
        fact = _fact(candidate, Outcome.UNTRUSTED, _why_not(weighed))
        return replace(fact, valid_until=turn, revocation=state, early=early)
    why = _why_revoked(candidate, sound, verified)
    if why:
        fact = _fact(candidate, Outcome.REVOKED, why)
        return replace(fact, valid_until=turn, revocation=state, early=early)
    identity = f"x509:{spki_sha256(sound.chain.leaf)}"
    names = ", ".join(dict.fromkeys(one.name for one, _ in verified))
    logged = tuple(dict.fromkeys(one.problem for _, by in verified for one in by.logged))
    proofs = [by for _, by in verified]
    times = [by.signed_at for by in proofs if by.signed_at is not None]
    stamps = min(by.timestamps for by in proofs)
    return SignatureFact(
        kind=SignatureKind.NOTATION,
        evidence=candidate.manifest.digest,
        outcome=Outcome.VERIFIED,
        reason=_printable(
            f"verified by {names} ({subject_of(sound.chain.leaf)})"
            + "".join(f"; only logged: {one}" for one in logged)
        ),
        signers=tuple(Signer(one.name, identity) for one, _ in verified),
        # nobody's requirement is met by an authority that only another attestor trusts
        signed_at=min(times) if len(times) == len(proofs) else None,
        timestamps=stamps,
        unproven=frozenset({"timestamp"} if sound.envelope.timestamp and not stamps else ()),
        revocation=state,
        valid_until=turn,
        early=early,
    )


def _why_revoked(
    candidate: NotationCandidate, sound: Sound, verified: Sequence[tuple[Attestor, Verification]]
) -> str:
    """By the trust store: the signature, a certificate of its chain, or a key in one."""
    envelope = sound.envelope
    files = [candidate.manifest.digest, *(layer.digest for layer in candidate.manifest.layers)]
    piece = Piece(
        certificate_marks(sound.chain.certificates)
        | content_marks([envelope.signed, *forms(signing_key(sound.chain), envelope.signature)]),
        evidence_marks(files),
        str(Digest.of(envelope.signature)),
    )
    for one, by in verified:
        why = piece.why_revoked(one.revoked, by.signed_at)
        if why:
            return f"signed by {one.name}, but {why}"
    return ""


def _why_not(weighed: Sequence[tuple[Attestor, Verification]]) -> str:
    """For each attestor why not, each reason once."""
    reasons: dict[str, list[str]] = {}
    for one, by in weighed:
        problem = by.refusal or next(
            (f.problem for f in by.logged if f.validation is Validation.AUTHENTICITY), ""
        )
        reasons.setdefault(problem or "outside the time that the trust store gives it", []).append(one.name)
    return "; ".join(f"{', '.join(names)}: {problem}" for problem, names in reasons.items())


def _turns(sound: Sound, answers: Answers) -> Iterator[datetime]:
    """Moments at which time alone may turn the outcome."""
    attributes = sound.envelope.attributes
    yield _moved(attributes.signing_time, -MAX_CLOCK_SKEW)
    if attributes.expiry is not None:
        yield attributes.expiry
    for one in sound.chain.certificates:
        yield one.not_valid_before_utc
        yield _moved(one.not_valid_after_utc, timedelta(seconds=1))
    yield from (one.valid_until for one in answers.values() if one.valid_until is not None)


def _moved(moment: datetime, by: timedelta) -> datetime:
    """Or the moment itself at the end of all time, where certificates may end (RFC 5280, 4.1.2.5)."""
    try:
        return moment + by
    except OverflowError:
        return moment


def _fact(candidate: NotationCandidate, outcome: Outcome, reason: str) -> SignatureFact:
    return SignatureFact(SignatureKind.NOTATION, candidate.manifest.digest, outcome, _printable(reason))


def _printable(reason: str) -> str:
    """Reasons go to logs and terminals: printable ASCII, and short."""
    text = reason[:MAX_REASON_CHARACTERS].encode("ascii", "backslashreplace").decode()
    return "".join(one if one.isprintable() else " " for one in text)[:MAX_REASON_CHARACTERS]
