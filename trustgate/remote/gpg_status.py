"""gpg's status lines to an answer (GnuPG, doc/DETAILS): only what is understood whole is good."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from trustgate.evidence.helm.question import OpenPgpAnswer, OpenPgpSignature, OpenPgpStatus

MAX_STATUS_LINES = 200
_VERDICTS: Mapping[str, OpenPgpStatus] = {
    "GOODSIG": OpenPgpStatus.GOOD,
    "BADSIG": OpenPgpStatus.BAD,
    "EXPSIG": OpenPgpStatus.SIGNATURE_EXPIRED,
    "EXPKEYSIG": OpenPgpStatus.KEY_EXPIRED,
    "REVKEYSIG": OpenPgpStatus.KEY_REVOKED,
    "ERRSIG": OpenPgpStatus.NOT_VERIFIED,
}
_TROUBLE = frozenset({"FAILURE", "ERROR", "NODATA", "UNEXPECTED", "BADARMOR"})
_NO_PUBLIC_KEY = "9"
_FINGERPRINT = r"[0-9A-F]{40}"
_VALIDSIG = re.compile(
    rf"(?P<key>{_FINGERPRINT}) \S+ (?P<created>\d{{1,12}}) (?P<expires>\d{{1,12}}) \d+ \d+ "
    rf"(?P<algorithm>\d{{1,3}}) (?P<hash>\d{{1,3}}) (?P<kind>[0-9A-Fa-f]{{2}}) (?P<primary>{_FINGERPRINT})"
)


def answer_from(
    lines: Sequence[tuple[str, str]], *, returncode: int, key_ends: Mapping[str, datetime]
) -> OpenPgpAnswer:
    """(keyword, value) of each status line to an answer; ``key_ends`` says when which key expires."""
    found = [(keyword, value) for keyword, value in lines if keyword in _VERDICTS]
    if len(lines) > MAX_STATUS_LINES or len(found) != 1 or [key for key, _ in lines].count("NEWSIG") != 1:
        return OpenPgpAnswer(OpenPgpStatus.NOT_VERIFIED, detail="gpg does not report exactly one signature")
    keyword, value = found[0]
    status = _VERDICTS[keyword]
    if keyword == "ERRSIG" and value.split()[5:6] == [_NO_PUBLIC_KEY]:
        status = OpenPgpStatus.UNKNOWN_KEY
    if status is not OpenPgpStatus.GOOD:
        return OpenPgpAnswer(status, detail=f"gpg says {keyword}")
    valid = [value for key, value in lines if key == "VALIDSIG"]
    fields = _VALIDSIG.fullmatch(valid[0]) if len(valid) == 1 else None
    if fields is None or returncode != 0 or any(key in _TROUBLE for key, _ in lines):
        return OpenPgpAnswer(OpenPgpStatus.NOT_VERIFIED, detail="gpg reports a signature and an error")
    return OpenPgpAnswer(status, _signature(fields, key_ends), detail="gpg says GOODSIG")


def _signature(fields: re.Match[str], key_ends: Mapping[str, datetime]) -> OpenPgpSignature:
    key, primary = fields["key"], fields["primary"]
    ends = [key_ends[name] for name in (key, primary) if name in key_ends]
    return OpenPgpSignature(
        signing_key=key,
        primary_key=primary,
        created=_moment(fields["created"]),
        expires=None if fields["expires"] == "0" else _moment(fields["expires"]),
        algorithm=int(fields["algorithm"]),
        hash_id=int(fields["hash"]),
        signature_class=int(fields["kind"], 16),
        key_expires=min(ends, default=None),
    )


def _moment(seconds: str) -> datetime:
    return datetime.fromtimestamp(min(int(seconds), 2**32 - 1), UTC)
