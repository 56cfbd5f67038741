"""Timestamps that are put into signatures: a root to verify them under, and the answer of an authority."""

from __future__ import annotations

from collections.abc import Sequence

from asn1crypto import tsp
from cryptography import x509

from trustgate.errors import InvalidInput
from trustgate.evidence.notation.refusal import Broken
from trustgate.evidence.notation.trust import TSA, certificates_in, check_anchor
from trustgate.evidence.timestamp import TimestampRefused, token_of_response, verify_timestamp


def read_timestamp_roots(raw: bytes) -> tuple[x509.Certificate, ...]:
    """The roots in one PEM or DER file. Raises ``InvalidInput``."""
    try:
        roots = tuple(certificates_in(raw))
        for root in roots:
            check_anchor(TSA, root)
    except Broken as exc:
        raise InvalidInput(
            f"the root of the timestamp authority: {exc}", hint="give its self-signed root certificate"
        ) from exc
    return roots


def countersignature(answer: bytes, signature: bytes, roots: Sequence[x509.Certificate]) -> bytes:
    """The TimeStampToken (DER) of a TimeStampResp, once it proves a time for ``signature`` under ``roots``.

    Raises ``InvalidInput``.
    """
    try:
        verify_timestamp(token_of_response(answer), over=signature, anchors=roots)
    except TimestampRefused as exc:
        raise InvalidInput(
            f"the timestamp would not be accepted: {exc}",
            hint="is --timestamp-root-cert the root of the authority at --timestamp-url?",
        ) from exc
    token: bytes = tsp.TimeStampResp.load(answer)["time_stamp_token"].dump()
    return token
