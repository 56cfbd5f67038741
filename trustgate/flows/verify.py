"""Verify an image where it is: every candidate in every shape, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Final

from trustgate.errors import AnswerTooLarge, DigestInvalid, ManifestInvalid, NotFound
from trustgate.evidence.attached import Candidate, candidates_in, judge_attached, kind_of, questions_about
from trustgate.evidence.attestation import (
    MAX_ATTESTATION_BYTES,
    MAX_ATTESTATION_LAYERS,
    AttestationFact,
    attestation_candidates,
    judge_attestation,
)
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign import candidates_from_bundle_manifest
from trustgate.evidence.model import (
    MAX_BUNDLE_BYTES,
    MAX_SIGNATURE_CANDIDATES,
    Outcome,
    SignatureCandidate,
    SignatureFact,
    SignatureKind,
    Subject,
)
from trustgate.evidence.notation.manifest import claims_to_be_signature, envelope_blobs
from trustgate.evidence.notation.revocation import Answers, RevocationQuestion
from trustgate.evidence.shape import MAX_SIGNATURE_LAYERS, legacy_signature_tag
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, Manifest, parse_manifest
from trustgate.oci.names import Tag
from trustgate.ports import ImageSource, RevocationSource

MAX_REFERRERS: Final = 1000
SIGNATURE_TYPES: Final = (media.SIGSTORE_BUNDLE_PREFIX, media.COSIGN_SIMPLE_SIGNING)
MAX_ATTESTATION_CANDIDATES: Final = 128


class NobodyToAsk:
    """``RevocationSource`` of those who are offline: every answer is that nobody was asked."""

    def ask(self, questions: Sequence[RevocationQuestion]) -> Answers:  # noqa: ARG002 - the port's signature
        return {}


class Shapes(StrEnum):
    """Where to look: cosign 3 keeps bundles beside the image, cosign 2 has tags."""

    ALL = "all"
    REFERRERS = "referrers"
    TAGS = "tags"


@dataclass(frozen=True, slots=True)
class Verified:
    """A digest and what is known of its signatures; ``manifest`` is what the digest names."""

    manifest: Manifest
    facts: tuple[SignatureFact, ...]
    unread: str = ""
    """Why some were not judged, if so: that none is good is then no answer."""

    @property
    def subject(self) -> Subject:
        return subject_of(self.manifest)

    @property
    def good(self) -> tuple[SignatureFact, ...]:
        return tuple(fact for fact in self.facts if fact.outcome is Outcome.VERIFIED)


@dataclass(frozen=True, slots=True)
class Attested:
    """A digest and what is said of it."""

    manifest: Manifest
    facts: tuple[AttestationFact, ...]
    unread: str = ""


def subject_of(manifest: Manifest) -> Subject:
    """The descriptor that is judged."""
    return Subject(manifest.digest, manifest.media_type, len(manifest.raw))


def resolve(source: ImageSource, target: Tag | Digest) -> Manifest:
    """What ``target`` names, once. Raises ``NotFound`` and the source's own errors."""
    found = source.manifest(target)
    return parse_manifest(found.raw, content_type=found.media_type, algorithm=found.digest.algorithm)


def verify_image(
    source: ImageSource,
    target: Tag | Digest,
    attestors: Sequence[Attestor],
    *,
    now: datetime,
    revocation: RevocationSource | None = None,
    shapes: Shapes = Shapes.ALL,
) -> Verified:
    """Judge every signature candidate of the image. Raises ``NotFound`` and the source's own errors.

    Without ``revocation`` nobody is asked, and certificates that could be revoked are unknown.
    """
    manifest = resolve(source, target)
    subject = subject_of(manifest)
    candidates, unread = signature_candidates(source, manifest.digest, shapes)
    questions = questions_about(candidates, subject=subject, attestors=attestors, now=now)
    answers = (revocation or NobodyToAsk()).ask(questions) if questions else {}
    return Verified(
        manifest,
        judge_attached(candidates, subject=subject, attestors=attestors, answers=answers, now=now),
        unread,
    )


def verify_attestations(
    source: ImageSource,
    target: Tag | Digest,
    attestors: Sequence[Attestor],
    *,
    now: datetime,
    shapes: Shapes = Shapes.ALL,
) -> Attested:
    """Judge everything that is attested of the image, whatever its type."""
    manifest = resolve(source, target)
    listed, unread = _listed(source, manifest.digest, shapes)
    found = _attestation_candidates(source, listed, manifest.digest, shapes)
    candidates = islice(found, MAX_ATTESTATION_CANDIDATES)
    # one at a time: each may have megabytes, and what nobody trusted says is not kept
    facts = (
        judge_attestation(one, subject=manifest.digest, attestors=attestors, now=now) for one in candidates
    )
    judged = tuple(map(_trusted_words, facts))
    if next(found, None) is not None:
        unread = _beyond(MAX_ATTESTATION_CANDIDATES, "attestations")
    return Attested(manifest, judged, unread)


def _trusted_words(fact: AttestationFact) -> AttestationFact:
    return fact if fact.outcome is Outcome.VERIFIED else replace(fact, predicate=None)


def signature_candidates(
    source: ImageSource, subject: Digest, shapes: Shapes = Shapes.ALL
) -> tuple[list[Candidate], str]:
    """Of every format, each within its own limit, so that a flood of one can't push out the others; and why
    some are missing, if so."""
    listed, unread = _listed(source, subject, shapes)
    kept: list[Candidate] = []
    room = Counter(dict.fromkeys(SignatureKind, MAX_SIGNATURE_CANDIDATES))
    for one in _signature_candidates(source, listed, subject, shapes):
        if room[kind_of(one)]:
            room[kind_of(one)] -= 1
            kept.append(one)
        else:
            unread = _beyond(MAX_SIGNATURE_CANDIDATES, f"signatures of kind {kind_of(one)}")
    return kept, unread


def _listed(source: ImageSource, subject: Digest, shapes: Shapes) -> tuple[Sequence[Digest], str]:
    """Its referrers, as many as are looked at, and why there are more."""
    if shapes is Shapes.TAGS:
        return (), ""
    found = source.referrers(subject, limit=MAX_REFERRERS + 1)
    return found[:MAX_REFERRERS], _beyond(MAX_REFERRERS, "referrers") if len(found) > MAX_REFERRERS else ""


def _beyond(limit: int, what: str) -> str:
    return f"there are more than {limit} {what}, and the rest was not judged"


def _signature_candidates(
    source: ImageSource, listed: Iterable[Digest], subject: Digest, shapes: Shapes
) -> Iterator[Candidate]:
    for digest in listed:
        yield from _in_manifest(source, digest)
    tag = legacy_signature_tag(subject)
    if tag is not None and shapes is not Shapes.REFERRERS:
        yield from _in_manifest(source, tag)


def _in_manifest(source: ImageSource, target: Tag | Digest) -> tuple[Candidate, ...]:
    """Whatever says that it is a signature, so that a broken one is told with its reason.

    None when the manifest is missing. What is unreachable raises.
    """
    manifest = _manifest(source, target)
    if manifest is None:
        return ()
    if claims_to_be_signature(manifest):
        return candidates_in(manifest, _contents(source, envelope_blobs(manifest), MAX_BUNDLE_BYTES))
    layers = [one for one in manifest.layers[:MAX_SIGNATURE_LAYERS] if one.size <= MAX_BUNDLE_BYTES]
    says_so = [one for one in layers if one.media_type.startswith(SIGNATURE_TYPES)]
    return candidates_in(manifest, _contents(source, layers, MAX_BUNDLE_BYTES)) if says_so else ()


def _attestation_candidates(
    source: ImageSource, listed: Iterable[Digest], subject: Digest, shapes: Shapes
) -> Iterator[SignatureCandidate]:
    for digest in listed:
        yield from _bundle_in(source, digest)
    if subject.algorithm == "sha256" and shapes is not Shapes.REFERRERS:
        manifest = _manifest(source, Tag(f"sha256-{subject.hex}.att"))
        if manifest is not None:
            layers = [one for one in manifest.layers if one.media_type == media.DSSE_ENVELOPE]
            for layer in {one.digest: one for one in layers[:MAX_ATTESTATION_LAYERS]}.values():
                yield from attestation_candidates(manifest, _contents(source, [layer], MAX_ATTESTATION_BYTES))


def _bundle_in(source: ImageSource, digest: Digest) -> tuple[SignatureCandidate, ...]:
    manifest = _manifest(source, digest)
    if manifest is None or len(manifest.layers) != 1:
        return ()
    (layer,) = manifest.layers
    if not layer.media_type.startswith(media.SIGSTORE_BUNDLE_PREFIX):
        return ()
    return candidates_from_bundle_manifest(manifest, _contents(source, [layer], MAX_ATTESTATION_BYTES))


def _manifest(source: ImageSource, target: Tag | Digest) -> Manifest | None:
    try:
        return resolve(source, target)
    except (NotFound, ManifestInvalid, DigestInvalid):
        return None


def _contents(source: ImageSource, layers: Sequence[Descriptor], max_bytes: int) -> Mapping[Digest, bytes]:
    """What is there, has its digest, and is no larger than its descriptor says: else it is no candidate."""
    contents: dict[Digest, bytes] = {}
    for one in layers:
        try:
            contents[one.digest] = source.blob(one.digest, max_bytes=min(one.size, max_bytes))
        except (NotFound, DigestInvalid, AnswerTooLarge):
            continue
    return contents
