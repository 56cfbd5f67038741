"""Timestamps over a signature, by authorities of the trusted root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from trustgate.evidence.certificate_path import is_authority
from trustgate.evidence.sigstore.refusal import NotTrusted, Refusal
from trustgate.evidence.sigstore.trusted_root import Authority
from trustgate.evidence.timestamp import TimestampRefused, Token, token_of_response, verify_timestamp


@dataclass(frozen=True, slots=True)
class Seen:
    """A timestamp authority saw the signature at ``moment``."""

    authority: Authority
    moment: datetime
    response: bytes = field(repr=False)


def prove_seen(response: bytes, signature: bytes, authorities: Sequence[Authority]) -> Seen:
    """Who says when. Raises ``Refusal``; ``NotTrusted`` when it is by no authority of the trusted root."""
    try:
        token = token_of_response(response)
    except TimestampRefused as exc:
        raise Refusal(str(exc)) from exc
    if not authorities:
        raise NotTrusted("the trusted root names no timestamp authority")
    reasons: list[str] = []
    for authority in authorities:
        try:
            return Seen(authority, _moment(token, signature, authority), response)
        except (TimestampRefused, Refusal) as exc:
            reasons.append(str(exc))
    raise NotTrusted(
        reasons[0] if len(reasons) == 1 else f"its timestamp is by no known authority: {reasons[0]}"
    )


def _moment(token: Token, signature: bytes, authority: Authority) -> datetime:
    chain = authority.chain
    found = verify_timestamp(token, over=signature, anchors=chain[-1:], intermediates=chain[:-1])
    # the trusted root names the signer itself where its chain begins with no authority's certificate
    if not is_authority(chain[0]) and found.chain[0] != chain[0]:
        raise Refusal("the timestamp is by another certificate than the trusted root names")
    if not authority.window.holds(found.moment):
        raise Refusal(f"the timestamp authority is not trusted at {found.moment:%Y-%m-%dT%H:%M:%SZ}")
    return found.moment
