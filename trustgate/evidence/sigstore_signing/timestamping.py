"""Questions to RFC 3161 timestamp authorities, and whether an answer is to the question."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from asn1crypto import cms, core, tsp

from trustgate.evidence.dsse import Malformed

MAX_ANSWER_BYTES: Final = 32 * 1024
_GRANTED: Final = ("granted", "granted_with_mods")


class _Response(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    """``TimeStampResp`` (RFC 3161, 2.4.2), whose token is missing when the answer is no."""

    _fields = [  # noqa: RUF012 - as asn1crypto reads it
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


def timestamp_request(content: bytes, nonce: int) -> bytes:
    """A DER ``TimeStampReq`` over ``content``, which asks for the authority's certificate too."""
    imprint = {
        "hash_algorithm": {"algorithm": "sha256"},
        "hashed_message": hashlib.sha256(content).digest(),
    }
    request = tsp.TimeStampReq(
        {"version": "v1", "message_imprint": imprint, "nonce": nonce, "cert_req": True}
    )
    der: bytes = request.dump()
    return der


def check_answer(raw: bytes, content: bytes, nonce: int) -> None:
    """Whether the answer grants a token over ``content`` for this very request. Raises ``Malformed``.

    Who signed it is not judged here: whoever verifies the signature has the authority's certificate.
    """
    info = _token_info(raw)
    imprint = info.get("message_imprint") or {}
    if imprint.get("hashed_message") != hashlib.sha256(content).digest():
        raise Malformed("the timestamp is over other bytes than those that were sent")
    if info.get("nonce") != nonce:
        raise Malformed("the timestamp answers another request")


def _token_info(raw: bytes) -> dict[str, Any]:
    try:
        answer = _Response.load(raw, strict=True)
        status = answer["status"]["status"].native
        token = answer["time_stamp_token"]["content"] if status in _GRANTED else None
        info = dict(token["encap_content_info"]["content"].parsed.native) if token is not None else {}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as exc:
        raise Malformed("the answer is not an RFC 3161 response") from exc
    if token is None:
        raise Malformed(f"the authority answered {status}")
    return info
