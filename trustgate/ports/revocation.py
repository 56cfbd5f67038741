"""The door to certificate authorities: whether a certificate was revoked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trustgate.evidence.notation.revocation import Answers, RevocationQuestion


class RevocationSource(Protocol):
    """Asks the authorities that certificates name (OCSP, CRL). Raises nothing: no answer is an answer.

    Not promised: that two calls ask twice; answers may be kept for minutes.
    """

    def ask(self, questions: Sequence[RevocationQuestion]) -> Answers:
        """An answer for every question, by the certificate's thumbprint; ``UNKNOWN`` says why."""
        ...
