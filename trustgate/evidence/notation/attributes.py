"""Signed attributes: what a signature says about itself, and which of it the verifier must understand.

signature-specification.md, "Signed Attributes"; the same rules for both envelope formats.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from trustgate.evidence.notation.refusal import Broken, NotUnderstood, shown

PAYLOAD_TYPE: Final = "application/vnd.cncf.notary.payload.v1+json"
PREFIX: Final = "io.cncf.notary."
SIGNING_SCHEME: Final = "io.cncf.notary.signingScheme"
SIGNING_TIME: Final = "io.cncf.notary.signingTime"
AUTHENTIC_SIGNING_TIME: Final = "io.cncf.notary.authenticSigningTime"
EXPIRY: Final = "io.cncf.notary.expiry"
TIMESTAMP: Final = "io.cncf.notary.timestampSignature"
SIGNING_AGENT: Final = "io.cncf.notary.signingAgent"
_PLUGIN: Final = "io.cncf.notary.verificationPlugin"
_PLUGIN_VERSION: Final = "io.cncf.notary.verificationPluginMinVersion"
MAX_CRITICAL: Final = 16
"""Names in ``crit``; this version understands three."""
TIMES: Final = frozenset({SIGNING_TIME, AUTHENTIC_SIGNING_TIME, EXPIRY})
_KNOWN: Final = frozenset({"alg", "cty", "crit", SIGNING_SCHEME, *TIMES, _PLUGIN, _PLUGIN_VERSION})
_KNOWN_FOLDED: Final = frozenset(name.casefold() for name in _KNOWN)
_UNSIGNED: Final = frozenset({"x5c", TIMESTAMP})
_UNSIGNED_FOLDED: Final = frozenset(name.casefold() for name in _UNSIGNED)


class Scheme(StrEnum):
    """Who stands for the time of signing (signing-scheme.md)."""

    X509 = "notary.x509"
    SIGNING_AUTHORITY = "notary.x509.signingAuthority"


@dataclass(frozen=True, slots=True)
class SignedAttributes:
    """The protected header after its rules were checked."""

    algorithm: str
    scheme: Scheme
    signing_time: datetime
    """A claim under ``notary.x509``; under ``signingAuthority`` as good as the authority is trusted."""
    expiry: datetime | None


def check_unsigned(names: Iterable[int | str], signed: Container[int | str]) -> None:
    """What nobody signed must not stand for what has to be signed, nor be read in two ways.

    Other unsigned headers mean nothing and are ignored, as RFC 7515 and RFC 9052 ask; the signing agent too.
    Raises ``Broken``.
    """
    for name in names:
        if name in signed:  # RFC 7515, section 4; RFC 9052, section 3
            raise Broken(f"the header {shown(name)} is there both signed and unsigned")
        folded = name.casefold() if isinstance(name, str) else ""
        if folded in _KNOWN_FOLDED:
            raise Broken(f"the header {shown(name)} has to be signed, and is not")
        if name not in _UNSIGNED and folded in _UNSIGNED_FOLDED:
            raise Broken(f"the header {shown(name)} is spelled unlike the specification's")


def read_attributes(header: Mapping[int | str, object]) -> SignedAttributes:
    """``header`` by JWS names, its times already read. Raises ``Broken`` or ``NotUnderstood``."""
    for name in header:
        if isinstance(name, str) and name not in _KNOWN and name.casefold() in _KNOWN_FOLDED:
            raise Broken(f"the signed attribute {shown(name)} is spelled unlike the specification's")
    if header.get("cty") != PAYLOAD_TYPE:
        raise NotUnderstood(f"the content type is {shown(header.get('cty'))}, not {PAYLOAD_TYPE}")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise Broken("the signed attribute alg is missing")
    scheme = _scheme(header)
    _check_critical(header, scheme)
    if _PLUGIN in header or _PLUGIN_VERSION in header:
        raise NotUnderstood("it asks to be verified by a plugin, and no plugins are run here")
    signing_time, expiry = _times(header, scheme)
    return SignedAttributes(algorithm, scheme, signing_time, expiry)


def _scheme(header: Mapping[int | str, object]) -> Scheme:
    stated = header.get(SIGNING_SCHEME)
    try:
        return Scheme(str(stated))
    except ValueError as exc:
        raise NotUnderstood(f"signing scheme {shown(stated)} is not judged by this version") from exc


def _check_critical(header: Mapping[int | str, object], scheme: Scheme) -> None:
    """``crit`` names exactly what is critical: less hides a rule from verifiers, more is not understood."""
    listed = header.get("crit")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_CRITICAL:
        raise Broken(f"the signed attribute crit is not a list of 1 to {MAX_CRITICAL} names")
    required = {SIGNING_SCHEME}
    required |= {AUTHENTIC_SIGNING_TIME} if scheme is Scheme.SIGNING_AUTHORITY else set()
    required |= {EXPIRY} if EXPIRY in header else set()
    for name in listed:
        if not isinstance(name, int | str) or isinstance(name, bool) or name not in header:
            raise Broken(f"crit names {shown(name)}, which is no signed attribute of this signature")
        if name in _KNOWN - required and name not in {_PLUGIN, _PLUGIN_VERSION}:
            raise Broken(f"crit names {shown(name)}, which is never critical")
        if name not in _KNOWN:
            raise NotUnderstood(f"the critical attribute {shown(name)} is not understood by this version")
    if len(set(listed)) != len(listed):
        raise Broken("crit names an attribute twice")
    missing = sorted(required - set(listed))
    if missing:
        raise Broken(f"the attribute {missing[0]} is not marked critical")


def _times(header: Mapping[int | str, object], scheme: Scheme) -> tuple[datetime, datetime | None]:
    mine, other = SIGNING_TIME, AUTHENTIC_SIGNING_TIME
    if scheme is Scheme.SIGNING_AUTHORITY:
        mine, other = other, mine
    if other in header:
        raise Broken(f"the attribute {other} does not belong to signing scheme {scheme}")
    signing_time, expiry = header.get(mine), header.get(EXPIRY)
    if not isinstance(signing_time, datetime):
        raise Broken(f"the attribute {mine} is missing")
    if not (isinstance(expiry, datetime) or EXPIRY not in header):
        raise Broken(f"the attribute {EXPIRY} is not a time")
    found = expiry if isinstance(expiry, datetime) else None
    if found is not None and found <= signing_time:
        raise Broken(f"it expires at {found:%Y-%m-%dT%H:%M:%SZ}, which is not after its signing time")
    return signing_time, found
