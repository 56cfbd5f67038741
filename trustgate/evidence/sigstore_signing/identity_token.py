"""OIDC identity tokens: what the signer has to know of its own; the certificate authority verifies them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from trustgate.errors import InvalidInput
from trustgate.oci.strict_json import Json, JsonRefused, loads

MAX_TOKEN_CHARACTERS: Final = 16 * 1024
_LAST_SECOND: Final = 253_402_300_799  # of the year 9999


@dataclass(frozen=True, slots=True)
class IdentityToken:
    """A token and what it says about its bearer, unverified."""

    raw: str = field(repr=False)
    issuer: str
    subject: str
    """What possession of the key is proven over: the email if there is one, else the subject."""
    expires: datetime
    audience: str = ""


def read_identity_token(text: str, now: datetime) -> IdentityToken:
    """Raises ``InvalidInput`` for what Fulcio would refuse anyway, in words that help more."""
    claims = _claims(text)
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or not 0 <= expires <= _LAST_SECOND:
        raise InvalidInput("the identity token does not say until when it holds (exp)")
    until = datetime.fromtimestamp(int(expires), UTC)
    if until <= now:
        raise InvalidInput(
            f"the identity token expired at {until:%Y-%m-%dT%H:%M:%SZ}", hint="ask for a new one"
        )
    subject = claims.get("email") or claims.get("sub")
    issuer = claims.get("iss")
    if not isinstance(subject, str) or not subject or not isinstance(issuer, str) or not issuer:
        raise InvalidInput("the identity token names no issuer (iss) or no subject (sub)")
    return IdentityToken(text, issuer, subject, until, str(claims.get("aud", ""))[:80])


def _claims(text: str) -> dict[str, Json]:
    parts = text.split(".", 3)
    if len(text) > MAX_TOKEN_CHARACTERS or len(parts) != 3 or not text.isascii():
        raise InvalidInput(
            "the identity token is not a signed JWT: three parts in base64url with dots between them",
            hint="give the token itself, or the name of a file that holds nothing else",
        )
    try:
        raw = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
        document = loads(raw, max_bytes=MAX_TOKEN_CHARACTERS)
    except (binascii.Error, JsonRefused, ValueError) as exc:
        raise InvalidInput("the identity token's claims can't be read") from exc
    if not isinstance(document, dict):
        raise InvalidInput("the identity token's claims are not a JSON object")
    return document
