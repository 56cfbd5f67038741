"""Judge a set of Notary v1 metadata: does it say, in a trusted name, that this tag is this digest?

Stricter than docker and notary 0.7, on purpose: the root key has to be pinned (both trust a foreign root on
first use), every step of a rotation has to be there (both skip), duplicate keys and other spellings are
refused (both read the last), and a tag in a delegation that the trust store does not name counts for nothing
(notary finds it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from trustgate.evidence.attestor import Attestor
from trustgate.evidence.model import Outcome, SignatureFact, SignatureKind, Signer, Subject
from trustgate.evidence.notary.canonical import Malformed
from trustgate.evidence.notary.chain import TrustedSet, open_set
from trustgate.evidence.notary.fields import parent_of, shown
from trustgate.evidence.notary.keys import TufKey
from trustgate.evidence.notary.metadata import FileMeta
from trustgate.evidence.notary.trust import TARGETS, NotaryTrust
from trustgate.evidence.notary.verify import root_signers, valid_signers
from trustgate.evidence.revoked import (
    Marks,
    Piece,
    Revoked,
    certificate_marks,
    content_marks,
    key_mark,
    why_revoked,
)
from trustgate.oci.digest import Digest

MAX_REASON_CHARACTERS: Final = 400
_SHOWN_NAMES: Final = 4


@dataclass(frozen=True, slots=True)
class MetadataSet:
    """All files of one GUN, as bytes: ``roots`` oldest first without a gap, the newest last."""

    roots: tuple[bytes, ...] = field(repr=False)
    timestamp: bytes = field(repr=False)
    snapshot: bytes = field(repr=False)
    targets: Mapping[str, bytes] = field(repr=False, hash=False)
    """``targets`` and delegations, by role."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The fact, and what it leaves to remember."""

    fact: SignatureFact
    seen: Mapping[str, int] = field(hash=False)
    """The highest version of each role that was ever proven; hand it in again the next time."""
    valid_until: datetime | None = None
    """When the first of the files that it rests on expires; ``None`` when nothing was proven."""


@dataclass(frozen=True, slots=True)
class _Word:
    """What the roles of one attestor say about a tag."""

    role: str
    tag: str
    meta: FileMeta
    signers: tuple[TufKey, ...]


def judge_notary(
    metadata: MetadataSet,
    *,
    gun: str,
    tag: str | None,
    subject: Subject,
    attestors: Sequence[Attestor],
    now: datetime,
    seen: Mapping[str, int],
) -> SignatureFact:
    """What the metadata proves about ``subject``. Never raises: what is broken is an outcome.

    Without a ``tag`` (a pull by digest, as docker's own after it has looked up the tag) any tag that the
    attestor's roles name for the digest counts.
    """
    return weigh(metadata, gun=gun, tag=tag, subject=subject, attestors=attestors, now=now, seen=seen).fact


def weigh(
    metadata: MetadataSet,
    *,
    gun: str,
    tag: str | None,
    subject: Subject,
    attestors: Sequence[Attestor],
    now: datetime,
    seen: Mapping[str, int],
) -> Judgement:
    """``judge_notary``, with the versions to remember and the end of its validity."""
    try:
        opened = open_set(
            metadata.roots,
            metadata.timestamp,
            metadata.snapshot,
            metadata.targets,
            gun=gun,
            now=now,
            seen=seen,
        )
    except Malformed as exc:
        evidence = Digest.of(metadata.targets.get("targets", b""))
        return Judgement(notary_fact(evidence, Outcome.BROKEN, str(exc)), dict(seen))
    answers = [
        _ask(opened, one, one.trust, tag, subject, now)
        for one in attestors
        if isinstance(one.trust, NotaryTrust)
    ]
    fact = _together(opened, answers)
    until = opened.valid_until if fact.outcome is Outcome.VERIFIED else None
    anchored = any(answer.anchored for answer in answers)
    return Judgement(fact, opened.versions(seen) if anchored else dict(seen), until)


@dataclass(frozen=True, slots=True)
class _Answer:
    outcome: Outcome
    reason: str
    evidence: Digest
    signers: tuple[Signer, ...] = ()
    anchored: bool = True
    """Whether a pinned key stands behind the set: what a foreign root proves is not to be remembered."""


def _ask(
    opened: TrustedSet,
    attestor: Attestor,
    trust: NotaryTrust,
    tag: str | None,
    subject: Subject,
    now: datetime,
) -> _Answer:
    """What one attestor's pinned keys and roles say."""
    listed = Digest.of(opened.targets.signed.raw)
    foreign = why_foreign(opened, attestor, trust)
    if foreign:
        return _Answer(Outcome.UNTRUSTED, foreign, listed, anchored=False)
    words, problem = _words(opened, trust)
    word = _find(words, tag, subject)
    if word is None:
        return _unnamed(attestor, trust, tag, problem, listed)
    evidence = Digest.of(opened.role(word.role).signed.raw)
    mismatch = _mismatch(word, subject)
    if mismatch:
        return _Answer(Outcome.BROKEN, mismatch, evidence)
    if not attestor.in_time(now):
        return _Answer(
            Outcome.UNTRUSTED,
            f"signed by {attestor.name}, outside the time that the trust store gives it",
            evidence,
        )
    why = why_taken_back(opened, attestor, trust, word.role)
    if why:
        return _Answer(Outcome.REVOKED, f"signed in the name of {attestor.name}, but {why}", evidence)
    signers = tuple(Signer(attestor.name, f"tuf:{key.canonical_id}") for key in word.signers)
    return _Answer(
        Outcome.VERIFIED,
        f"verified by {attestor.name}: {word.role} names {shown(word.tag)}",
        evidence,
        signers,
    )


def why_foreign(opened: TrustedSet, attestor: Attestor, trust: NotaryTrust) -> str:
    """Why the set is not this attestor's at all; empty when it is."""
    if not trust.is_about(opened.gun):
        return f"{attestor.name} does not speak for {shown(opened.gun)}"
    if not is_anchored(opened, trust):
        return f"its root is not signed by a root key that {attestor.name} pins"
    return ""


def why_taken_back(opened: TrustedSet, attestor: Attestor, trust: NotaryTrust, role: str) -> str:
    """Why a role that counts is revoked: its file, a key on the way to it, or the pins that remain don't do.

    Notary proves no time. Keys of snapshots and timestamps say nothing about a tag, and are not asked.
    """
    entries = attestor.revoked
    if not entries:
        return ""
    keys = list(valid_signers(opened.root.signed, root_signers(opened.root, opened.gun, None).keys))
    file = opened.root.signed
    while role != "root":
        spoken = opened.open_role(role)
        if spoken is None:
            break
        keys += spoken.signers
        file = spoken.targets.signed if file is opened.root.signed else file
        role = "root" if role == TARGETS else parent_of(role)
    own = content_marks([file.content]).union(*map(_marks, keys))
    piece = Piece(own, content_marks([file.raw]), str(Digest.of(file.content)))
    why = piece.why_revoked(entries, None)
    if why or is_anchored(opened, trust, entries):
        return why
    pinned = (key for root in opened.roots for key in root.roles["root"].keys if trust.pins(key))
    return why_revoked(entries, frozenset().union(*map(_marks, pinned)), None) or "its root key was revoked"


def _marks(key: TufKey) -> Marks:
    """By its ids, as docker and notary show them, and as every other key."""
    found = {f"key:{key.id}", f"key:{key.canonical_id}"}
    if key.material is not None:
        found.add(key_mark(key.material))
    return certificate_marks([key.certificate] if key.certificate else []) | found


def is_anchored(opened: TrustedSet, trust: NotaryTrust, revoked: Sequence[Revoked] = ()) -> bool:
    """Whether a root of the chain is signed by pinned keys alone to its threshold; each later one is
    proven by the one before it already."""
    for root in opened.roots:
        pinned = tuple(
            key
            for key in root_signers(root, opened.gun, None).keys
            if trust.pins(key) and not why_revoked(revoked, _marks(key), None)
        )
        if pinned and len(valid_signers(root.signed, pinned)) >= root.roles["root"].threshold:
            return True
    return False


def _words(opened: TrustedSet, trust: NotaryTrust) -> tuple[dict[str, _Word], str]:
    """(tag to what is said of it, what is wrong with the role that ends the list). The first role decides.

    docker goes on behind a role that is broken; here nothing behind it counts, since it might have said
    otherwise, and taking a fact away must not turn a no into a yes.
    """
    words: dict[str, _Word] = {}
    for role in trust.roles:
        try:
            found = opened.open_role(role)
        except Malformed as exc:
            return words, str(exc)
        if found is None:
            continue
        for name, meta in found.names():
            words.setdefault(name, _Word(role, name, meta, found.signers))
    return words, ""


def _find(words: Mapping[str, _Word], tag: str | None, subject: Subject) -> _Word | None:
    if tag is not None:
        return words.get(tag)
    return next((word for word in words.values() if not _mismatch(word, subject)), None)


def _mismatch(word: _Word, subject: Subject) -> str:
    """Why the signed target is not the subject; empty when it is."""
    signed = word.meta.hashes.get(subject.digest.algorithm)
    if signed is None:
        return f"{word.role} signs {shown(word.tag)} without a {subject.digest.algorithm}"
    if signed.hex() != subject.digest.hex:
        algorithm = subject.digest.algorithm
        return f"{word.role} signs {shown(word.tag)} as {algorithm}:{signed.hex()[:12]}, not as this digest"
    if word.meta.length != subject.size:
        return f"{word.role} signs {word.meta.length} bytes, the manifest has {subject.size}"
    return ""


def _unnamed(
    attestor: Attestor, trust: NotaryTrust, tag: str | None, problem: str, evidence: Digest
) -> _Answer:
    if problem:
        return _Answer(Outcome.BROKEN, problem, evidence)
    asked = "this digest" if tag is None else f"the tag {shown(tag)}"
    roles = ", ".join(trust.roles[:_SHOWN_NAMES])
    return _Answer(
        Outcome.UNTRUSTED,
        f"no valid trust data for {asked} in {roles}, which {attestor.name} counts",
        evidence,
    )


def _together(opened: TrustedSet, answers: Sequence[_Answer]) -> SignatureFact:
    """One fact: that it is revoked, else whoever verifies it, else the worst that was found."""
    revoked = next((answer for answer in answers if answer.outcome is Outcome.REVOKED), None)
    if revoked is not None:
        return notary_fact(revoked.evidence, revoked.outcome, revoked.reason)
    verified = [answer for answer in answers if answer.outcome is Outcome.VERIFIED]
    if verified:
        signers = tuple(dict.fromkeys(signer for answer in verified for signer in answer.signers))
        return notary_fact(
            verified[0].evidence,
            Outcome.VERIFIED,
            "; ".join(answer.reason for answer in verified[:_SHOWN_NAMES]),
            signers=signers,
            repository=opened.gun,
        )
    broken = next((answer for answer in answers if answer.outcome is Outcome.BROKEN), None)
    worst = broken or next(iter(answers), None)
    if worst is None:
        evidence = Digest.of(opened.targets.signed.raw)
        return notary_fact(evidence, Outcome.UNTRUSTED, "no root key of the trust store is for Notary v1")
    return notary_fact(worst.evidence, worst.outcome, worst.reason)


def notary_fact(
    evidence: Digest, outcome: Outcome, reason: str, *, signers: tuple[Signer, ...] = (), repository: str = ""
) -> SignatureFact:
    """Reasons go to logs and terminals: printable ASCII, and short."""
    text = reason.encode("ascii", "backslashreplace").decode()
    clean = "".join(character if character.isprintable() else " " for character in text)
    return SignatureFact(
        SignatureKind.NOTARY_V1,
        evidence,
        outcome,
        clean[:MAX_REASON_CHARACTERS],
        signers=signers,
        signed_repository=repository,
    )
