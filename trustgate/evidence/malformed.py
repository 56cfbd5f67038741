"""What ``cryptography`` answers foreign bytes with, in one place: half of it is no ``ValueError``."""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm

MALFORMED: Final = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    InternalError,  # an error of OpenSSL's that it has no words for
    x509.AttributeNotFound,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    UserWarning,  # it warns of odd encodings, and a process may have made warnings errors
)
"""Caught wherever a key, a certificate, a list or an answer is made from bytes that somebody else wrote."""
