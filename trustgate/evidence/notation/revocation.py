"""Whether a certificate was revoked: what to ask, and what an answer by OCSP or a CRL proves.

trust-store-trust-policy.md, "Certificate Revocation Evaluation"; RFC 6960, RFC 5280 section 5. Nothing is
fetched here: questions go out through a port, answers come back as values or as bytes to judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID

from trustgate.evidence.notation.certificates import thumbprint

MAX_URLS: Final = 4
"""Addresses of one kind that are asked for one certificate."""
MAX_URL_CHARACTERS: Final = 2048
CLOCK_SKEW: Final = timedelta(minutes=5)


class RevocationStatus(StrEnum):
    """What is known about one certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RevocationAnswer:
    """What was found out, and until when the answer holds."""

    status: RevocationStatus
    why: str = ""
    valid_until: datetime | None = None
    invalid_since: datetime | None = None
    """From when on the revoked key is not to be relied on, where the authority says so (invalidityDate)."""


@dataclass(frozen=True, slots=True)
class RevocationQuestion:
    """One certificate whose chain is trusted, its issuer, and where its authority answers."""

    certificate: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    ocsp_urls: tuple[str, ...]
    crl_urls: tuple[str, ...]
    incomplete: bool = False
    """It names CRLs that are not asked for: more than ``MAX_URLS``, or such as have no usable address."""

    @property
    def thumbprint(self) -> str:
        """SHA-256 of the certificate, hex: what answers are kept under."""
        return thumbprint(x509.load_der_x509_certificate(self.certificate))


Answers = Mapping[str, RevocationAnswer]
"""By thumbprint. A certificate without one is unknown."""


def unknown(why: str) -> RevocationAnswer:
    return RevocationAnswer(RevocationStatus.UNKNOWN, why)


def questions_of(chain: Sequence[x509.Certificate]) -> tuple[RevocationQuestion, ...]:
    """One for each certificate but the root that says where to ask; others can't be revoked.

    A certificate's addresses are whatever its author wrote: ask only for chains that end in a trusted root.
    """
    return tuple(question for one in pairwise(chain) if (question := _question(*one)) is not None)


def _question(certificate: x509.Certificate, issuer: x509.Certificate) -> RevocationQuestion | None:
    ocsp_names, crl_names = _ocsp_names(certificate), _crl_names(certificate)
    if not (ocsp_names or crl_names):
        return None
    crl_urls = _urls(crl_names)
    return RevocationQuestion(
        certificate=certificate.public_bytes(Encoding.DER),
        issuer=issuer.public_bytes(Encoding.DER),
        ocsp_urls=_urls(ocsp_names)[:MAX_URLS],
        crl_urls=crl_urls[:MAX_URLS],
        incomplete=len(crl_urls) > MAX_URLS or len(crl_urls) < len(set(crl_names)),
    )


def _ocsp_names(certificate: x509.Certificate) -> tuple[x509.GeneralName | None, ...]:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        one.access_location for one in access if one.access_method == AuthorityInformationAccessOID.OCSP
    )


def _crl_names(certificate: x509.Certificate) -> tuple[x509.GeneralName | None, ...]:
    """Each name of each distribution point; ``None`` for a point without one."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name for point in points for name in point.full_name or (None,))


def _urls(names: Sequence[x509.GeneralName | None]) -> tuple[str, ...]:
    found = [one.value for one in names if isinstance(one, x509.UniformResourceIdentifier)]
    return tuple(dict.fromkeys(url for url in found if len(url) <= MAX_URL_CHARACTERS))


def of_crls(question: RevocationQuestion, answers: Sequence[RevocationAnswer]) -> RevocationAnswer:
    """One answer from those of all CRLs: any may name the certificate, so every one has to be good."""
    for status in (RevocationStatus.REVOKED, RevocationStatus.UNKNOWN):
        found = next((one for one in answers if one.status is status), None)
        if found is not None:
            return found
    if question.incomplete or not answers:
        return unknown("it names CRLs that could not be asked for")
    ends = [one.valid_until for one in answers if one.valid_until is not None]
    return RevocationAnswer(RevocationStatus.GOOD, "in none of its CRLs", min(ends, default=None))


def is_current(this_update: datetime, next_update: datetime | None, now: datetime) -> str:
    """Why an answer does not hold now; empty when it does. Without an end it would hold for ever."""
    if this_update > now + CLOCK_SKEW:
        return "is from the future"
    if next_update is None:
        return "does not say until when it holds"
    if now > next_update:
        return f"held until {next_update:%Y-%m-%dT%H:%M:%SZ}"
    return ""
