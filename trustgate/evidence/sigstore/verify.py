"""Sigstore's rules put together: what a signature's log entries, timestamps and certificate prove.

The hybrid time rule of the client specification: whoever signs with a short-lived certificate proves *when*,
by a log's promise or a timestamp, and everything must hold at *every* proven time. The clock proves nothing.
What is not proven does not count: it never helps, and hides nothing that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from trustgate.evidence.sigstore.certificate import (
    Identity,
    identity_of,
    issuing_path,
    read_certificate,
)
from trustgate.evidence.sigstore.content import Content, Holder, certificate_holder
from trustgate.evidence.sigstore.entry import LogEntry
from trustgate.evidence.sigstore.entry_body import check_body
from trustgate.evidence.sigstore.log import Logged, prove_logged
from trustgate.evidence.sigstore.refusal import NotTrusted, Refusal
from trustgate.evidence.sigstore.sct import check_scts
from trustgate.evidence.sigstore.seen import Seen, prove_seen
from trustgate.evidence.sigstore.trusted_root import NOBODY, TrustedRoot

MAX_CLOCK_SKEW: Final = timedelta(minutes=10)
"""How far a proven time may lie ahead of our own clock."""


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Log entries and timestamps that came with a signature, nothing of them proven."""

    entries: tuple[LogEntry, ...] = ()
    timestamps: tuple[bytes, ...] = ()
    """RFC 3161 responses over ``stamped``."""
    needs_path: bool = True
    """Entries must bring an inclusion proof: bundles since 0.2 have to."""
    stamped: bytes | None = field(default=None, repr=False)
    """What the timestamps are over, when that is not the signature."""

    def __bool__(self) -> bool:
        return bool(self.entries or self.timestamps)


@dataclass(frozen=True, slots=True)
class Proof:
    """What is proven beside the signature itself."""

    logs: frozenset[str] = frozenset()
    """Distinct operators of logs that hold it."""
    timestamps: frozenset[str] = frozenset()
    """Distinct operators of timestamp authorities that saw it."""
    times: tuple[datetime, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why witnesses that came along do not count."""
    valid_until: datetime | None = None
    """When the trust in a log ends, where no proven time says that the entry is older than that."""
    proven: Witnesses = field(default_factory=Witnesses, repr=False)
    """Those of the witnesses that count, under one trusted root; empty where several are taken together."""

    @property
    def signed_at(self) -> datetime | None:
        """The earliest proven time: it was signed then, or before."""
        return min(self.times, default=None)


@dataclass(frozen=True, slots=True)
class KeylessProof:
    """A signature by the holder of a short-lived certificate, proven."""

    identity: Identity
    proof: Proof
    path: tuple[x509.Certificate, ...] = field(repr=False)
    """The signer's certificate, its issuers, the anchor."""


def prove_witnesses(
    content: Content,
    holder: Holder,
    witnesses: Witnesses,
    root: TrustedRoot,
    *,
    now: datetime,
) -> Proof:
    """Which logs hold the signature of ``holder``, who saw it, and when. Raises nothing."""
    reasons: list[str] = []
    seen = _seen(content, witnesses, root, now, reasons)
    logged = _logged(content, holder, witnesses, root, now, reasons)
    times = _times(seen, logged)
    logged = _in_time(logged, times or (now,), reasons)
    return Proof(
        logs=frozenset(one.log.counted_as for one in logged),
        timestamps=frozenset(one.authority.counted_as for one in seen),
        times=times,
        reasons=tuple(reasons),
        valid_until=None if times else _first_end(logged),
        proven=Witnesses(tuple(one.entry for one in logged), tuple(one.response for one in seen)),
    )


def _first_end(logged: Sequence[Logged]) -> datetime | None:
    return min((one.log.window.end for one in logged if one.log.window.end is not None), default=None)


def _times(seen: Sequence[Seen], logged: Sequence[Logged]) -> tuple[datetime, ...]:
    promised = {one.moment for one in logged if one.moment is not None}
    return tuple(sorted(promised | {one.moment for one in seen}))


def prove_keyless(
    content: Content,
    certificate: bytes,
    witnesses: Witnesses,
    root: TrustedRoot,
    *,
    now: datetime,
) -> KeylessProof:
    """Who signed, proven under ``root``. Raises ``Refusal``.

    Whether that is someone who is trusted, and by how many logs, is another question: ``KeylessTrust.check``.
    """
    leaf = read_certificate(certificate)
    # 1. the signature itself, with the certificate's key
    _check_signature(content, leaf)
    # 2. the times at which it is known to have existed
    proof = prove_witnesses(content, certificate_holder(leaf), witnesses, root, now=now)
    if not proof.times:
        raise Refusal(_with("nothing proves when it was signed", proof.reasons))
    # 3. the certificate's path to an authority, at every one of them
    path = issuing_path(leaf, root.certificates, proof.times)
    # 4. it was shown to a certificate transparency log
    check_scts(leaf, path[1], root.ct)
    # 5. who it was given to
    return KeylessProof(identity_of(leaf), proof, path)


def _check_signature(content: Content, leaf: x509.Certificate) -> None:
    if not content.is_signed_by(leaf.public_key()):
        raise Refusal("the signature is not by the key of its certificate")


def _seen(
    content: Content, witnesses: Witnesses, root: TrustedRoot, now: datetime, reasons: list[str]
) -> list[Seen]:
    over = content.signature if witnesses.stamped is None else witnesses.stamped
    found = []
    for response in witnesses.timestamps:
        try:
            one = prove_seen(response, over, root.timestamps)
            _check_past(one.moment, now)
        except Refusal as exc:
            reasons.append(str(exc))
            continue
        found.append(one)
    return found


def _logged(
    content: Content,
    holder: Holder,
    witnesses: Witnesses,
    root: TrustedRoot,
    now: datetime,
    reasons: list[str],
) -> list[Logged]:
    found = []
    for entry in witnesses.entries:
        try:
            check_body(entry, content, holder)
            one = prove_logged(entry, root.rekor, needs_path=witnesses.needs_path)
            if one.moment is not None:
                _check_past(one.moment, now)
        except Refusal as exc:
            reasons.append(str(exc))
            continue
        found.append(one)
    return found


def _in_time(logged: Sequence[Logged], times: Sequence[datetime], reasons: list[str]) -> list[Logged]:
    """Entries whose log was trusted at every proven time; without any, it must be trusted now."""
    found = []
    for one in logged:
        try:
            _check_log(one, times)
        except Refusal as exc:
            reasons.append(str(exc))
            continue
        found.append(one)
    return found


def _check_log(one: Logged, times: Sequence[datetime]) -> None:
    if one.moment is not None:
        return  # its promise was made inside the log's time
    for moment in times:
        if not one.log.window.holds(moment):
            raise Refusal(f"the log is not trusted at {moment:%Y-%m-%dT%H:%M:%SZ}")


def _check_past(moment: datetime, now: datetime) -> None:
    if moment > now + MAX_CLOCK_SKEW:
        raise Refusal(f"its proven time {moment:%Y-%m-%dT%H:%M:%SZ} lies in the future")


def check_enough(proof: Proof, *, min_logs: int, min_timestamps: int) -> None:
    """Raises ``NotTrusted`` when fewer distinct logs or authorities than asked for prove it."""
    counts = (
        ("transparency logs", proof.logs, min_logs),
        ("timestamp authorities", proof.timestamps, min_timestamps),
    )
    for what, found, least in counts:
        if len(found) < least:
            alone = "; those that name no operator count as one" if NOBODY in found else ""
            raise NotTrusted(_with(f"{len(found)} of {least} needed {what} prove it{alone}", proof.reasons))


def _with(message: str, reasons: Sequence[str]) -> str:
    return f"{message} ({reasons[0]})" if reasons else message
