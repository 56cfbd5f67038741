"""Signed certificate timestamps that a certificate carries: it was shown to a log (RFC 6962, section 3.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.x509 import certificate_transparency as ct

from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.sigstore.certificate import spki_of
from trustgate.evidence.sigstore.log_signature import is_signed_by
from trustgate.evidence.sigstore.refusal import Refusal
from trustgate.evidence.sigstore.trusted_root import Log

MAX_SCTS: Final = 16
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def check_scts(leaf: x509.Certificate, issuer: x509.Certificate, logs: Sequence[Log]) -> None:
    """At least one SCT must be by a known log, inside its time. Raises ``Refusal``."""
    try:
        extension = leaf.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps)
        listed = list(extension.value)
    except (x509.ExtensionNotFound, *MALFORMED) as exc:
        raise Refusal("the certificate carries no certificate transparency timestamp") from exc
    if len(listed) > MAX_SCTS:
        raise Refusal(f"the certificate carries more than {MAX_SCTS} timestamps")
    if not any(_is_by(log, sct, leaf, issuer) for sct in listed for log in logs):
        raise Refusal(
            "no certificate transparency timestamp is by a log of the trusted root, inside its time"
        )


def _is_by(
    log: Log, sct: ct.SignedCertificateTimestamp, leaf: x509.Certificate, issuer: x509.Certificate
) -> bool:
    if sct.log_id != log.key_id or sct.version is not ct.Version.v1:
        return False
    if sct.entry_type is not ct.LogEntryType.PRE_CERTIFICATE:
        return False
    try:
        moment = sct.timestamp.replace(tzinfo=UTC)
    except MALFORMED:
        return False  # behind the last year that can be shown
    return log.window.holds(moment) and is_signed_by(
        log.key, sct.signature, _signed(sct, moment, leaf, issuer)
    )


def _signed(
    sct: ct.SignedCertificateTimestamp, moment: datetime, leaf: x509.Certificate, issuer: x509.Certificate
) -> bytes:
    spki = spki_of(issuer)
    tbs = leaf.tbs_precertificate_bytes
    return b"".join(
        (
            b"\x00\x00",  # version 1, certificate timestamp
            ((moment - _EPOCH) // timedelta(milliseconds=1)).to_bytes(8, "big"),
            b"\x00\x01",  # a precertificate
            hashlib.sha256(spki).digest(),
            len(tbs).to_bytes(3, "big"),
            tbs,
            len(sct.extension_bytes).to_bytes(2, "big"),
            sct.extension_bytes,
        )
    )
