"""Whose Notary Project signatures count: trust stores, trusted identities, and which checks are enforced.

trust-store-trust-policy.md. Built from parsed values; every mistake is told with its place in them, so that
whoever read the file can name the line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.notation.attributes import Scheme
from trustgate.evidence.notation.certificates import (
    is_self_signed,
    load_certificate,
    subject_of,
    thumbprint,
)
from trustgate.evidence.notation.identity import ANY, Identity, IdentityInvalid, matches, read_identity
from trustgate.evidence.notation.refusal import Broken, shown

MAX_STORE_CERTIFICATES: Final = 256
"""Certificates in all trust stores of one attestor or statement."""
MAX_STORE_FILE_BYTES: Final = 256 * 1024
MAX_IDENTITIES: Final = 256
CA: Final = "ca"
SIGNING_AUTHORITY: Final = "signingAuthority"
TSA: Final = "tsa"
STORES: Final = (CA, SIGNING_AUTHORITY, TSA)
ALWAYS: Final = "always"
AFTER_EXPIRY: Final = "afterCertExpiry"
_PEM: Final = b"-----BEGIN "

Place = tuple[str | int, ...]
"""Where in the parsed values: ``("trustStores", "ca", 0)``."""


class Validation(StrEnum):
    """The five checks of a signature. Permanent words: they stand in policies and reasons."""

    INTEGRITY = "integrity"
    AUTHENTICITY = "authenticity"
    AUTHENTIC_TIMESTAMP = "authenticTimestamp"
    EXPIRY = "expiry"
    REVOCATION = "revocation"


class Action(StrEnum):
    """What a failed check does: refuse, be told, or not be made at all."""

    ENFORCE = "enforce"
    LOG = "log"
    SKIP = "skip"


def _level(*logged: Validation) -> Mapping[Validation, Action]:
    return {one: Action.LOG if one in logged else Action.ENFORCE for one in Validation}


_SOFT: Final = (Validation.AUTHENTIC_TIMESTAMP, Validation.EXPIRY, Validation.REVOCATION)
LEVELS: Final[Mapping[str, Mapping[Validation, Action]]] = {
    "strict": _level(),
    "permissive": _level(*_SOFT),
    "audit": _level(Validation.AUTHENTICITY, *_SOFT),
}
SKIP_LEVEL: Final = "skip"


@dataclass(frozen=True, slots=True)
class TrustProblem:
    """One mistake, where it stands, and what would be right."""

    place: Place
    message: str


class NotationTrustInvalid(ValueError):
    """The values do not make a trust. Every problem is listed."""

    def __init__(self, problems: Sequence[TrustProblem]) -> None:
        super().__init__("; ".join(one.message for one in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class NotationTrust:
    """Roots by what they vouch for, the identities that count, and what each failed check does."""

    ca: tuple[x509.Certificate, ...] = field(repr=False)
    signing_authority: tuple[x509.Certificate, ...] = field(repr=False)
    tsa: tuple[x509.Certificate, ...] = field(repr=False)
    identities: tuple[Identity, ...] = field(hash=False)
    """Empty for ``*``: anyone to whom one of the roots gave a certificate."""
    actions: Mapping[Validation, Action] = field(hash=False)
    always_timestamp: bool = True
    """Whether a timestamp is asked for also while the chain is still valid, given a ``tsa`` store."""

    def anchors(self, scheme: Scheme) -> tuple[x509.Certificate, ...]:
        """The certificates that a chain under ``scheme`` must hold one of."""
        return self.ca if scheme is Scheme.X509 else self.signing_authority

    def names(self, found: Identity) -> bool:
        """Whether one of the identities is ``found``'s; not asked for ``*``."""
        return any(matches(wanted, found) for wanted in self.identities)


def attestor_trust(
    *,
    trust_stores: Mapping[str, Sequence[bytes]],
    trusted_identities: Sequence[str],
    level: str = "strict",
    override: Mapping[str, str] | None = None,
    revocation: str | None = None,
    verify_timestamp: str = ALWAYS,
) -> NotationTrust:
    """The trust of one attestor. Raises ``NotationTrustInvalid``.

    ``trust_stores`` holds certificate files (PEM or DER) by kind of store. An attestor is someone: levels
    under which anyone's signature counts (``audit``, ``skip``) belong to no attestor.
    """
    problems: list[TrustProblem] = []
    if level in {"audit", SKIP_LEVEL}:
        problems.append(
            TrustProblem(
                ("level",),
                f'level "{level}" would count signatures by anyone; use strict or permissive here, '
                "and the policy's own mode to warn without refusing",
            )
        )
        level = "strict"
    if override and override.get(Validation.AUTHENTICITY) not in {None, Action.ENFORCE}:
        problems.append(
            TrustProblem(
                ("override", Validation.AUTHENTICITY),
                "authenticity is what makes a signature this attestor's: it can't be overridden here",
            )
        )
    stated = dict(override or {})
    if revocation is not None:
        if stated.get(Validation.REVOCATION, revocation) != revocation:
            problems.append(
                TrustProblem(("revocation",), "override says otherwise; state revocation in one place")
            )
        stated[Validation.REVOCATION] = revocation
    for name in trust_stores:
        if name not in STORES:
            known = ", ".join(STORES)
            problems.append(
                TrustProblem(("trustStores", name), f"{shown(name)} is no kind of store: {known}")
            )
    stores = {
        kind: _read_store(
            kind,
            [(("trustStores", kind, n), raw) for n, raw in enumerate(trust_stores.get(kind, ()))],
            problems,
        )
        for kind in STORES
    }
    return build_trust(stores, trusted_identities, level, stated, verify_timestamp, problems)


def build_trust(
    stores: Mapping[str, Sequence[x509.Certificate]],
    trusted_identities: Sequence[str],
    level: str,
    override: Mapping[str, str],
    verify_timestamp: str,
    problems: list[TrustProblem],
) -> NotationTrust:
    """Raises ``NotationTrustInvalid`` with ``problems`` and those that it finds."""
    if not (stores[CA] or stores[SIGNING_AUTHORITY]) and not any(
        p.place[0] == "trustStores" for p in problems
    ):
        problems.append(
            TrustProblem(("trustStores",), "there is no root to trust: name one under ca or signingAuthority")
        )
    if sum(map(len, stores.values())) > MAX_STORE_CERTIFICATES:
        problems.append(TrustProblem(("trustStores",), f"more than {MAX_STORE_CERTIFICATES} certificates"))
    identities = _identities(trusted_identities, problems)
    actions = read_actions(level, override, problems)
    if verify_timestamp not in {ALWAYS, AFTER_EXPIRY}:
        problems.append(
            TrustProblem(
                ("verifyTimestamp",), f"{shown(verify_timestamp)} is neither {ALWAYS} nor {AFTER_EXPIRY}"
            )
        )
    if problems:
        raise NotationTrustInvalid(problems)
    return NotationTrust(
        ca=tuple(stores[CA]),
        signing_authority=tuple(stores[SIGNING_AUTHORITY]),
        tsa=tuple(stores[TSA]),
        identities=identities,
        actions=actions,
        always_timestamp=verify_timestamp == ALWAYS,
    )


def read_actions(
    level: str, override: Mapping[str, str], problems: list[TrustProblem]
) -> Mapping[Validation, Action]:
    """The table of a level with its overrides; mistakes are added to ``problems``."""
    if level not in LEVELS:
        known = ", ".join(LEVELS)
        problems.append(TrustProblem(("level",), f"{shown(level)} is no level: {known}"))
        return LEVELS["strict"]
    actions = dict(LEVELS[level])
    for name, value in override.items():
        place: Place = ("override", name)
        if name not in set(Validation) or name == Validation.INTEGRITY:
            known = ", ".join(one for one in Validation if one is not Validation.INTEGRITY)
            problems.append(TrustProblem(place, f"{shown(name)} can't be overridden: {known}"))
        elif value not in set(Action) or (value == Action.SKIP and name != Validation.REVOCATION):
            allowed = "enforce, log or skip" if name == Validation.REVOCATION else "enforce or log"
            problems.append(TrustProblem(place, f"{shown(value)} is not {allowed}"))
        else:
            actions[Validation(name)] = Action(value)
    return actions


def _identities(texts: Sequence[str], problems: list[TrustProblem]) -> tuple[Identity, ...]:
    if list(texts) == [ANY]:
        return ()
    if not 1 <= len(texts) <= MAX_IDENTITIES:
        problems.append(
            TrustProblem(
                ("trustedIdentities",),
                f'1 to {MAX_IDENTITIES} identities ("x509.subject: C=.., ST=.., O=.."), or "{ANY}" alone',
            )
        )
    found: list[tuple[int, Identity]] = []
    for index, text in enumerate(texts[:MAX_IDENTITIES]):
        place = ("trustedIdentities", index)
        if text == ANY:
            problems.append(TrustProblem(place, f'"{ANY}" trusts everyone and stands alone or not at all'))
            continue
        try:
            identity = read_identity(text)
        except IdentityInvalid as exc:
            problems.append(TrustProblem(place, str(exc)))
            continue
        for other, earlier in found:
            if matches(earlier, identity) or matches(identity, earlier):
                problems.append(
                    TrustProblem(place, f"it overlaps with identity {other + 1}: keep one of them")
                )
        found.append((index, identity))
    return tuple(identity for _, identity in found)


def _read_store(
    kind: str, files: Sequence[tuple[Place, bytes]], problems: list[TrustProblem]
) -> tuple[x509.Certificate, ...]:
    found: dict[str, x509.Certificate] = {}
    for place, raw in files:
        try:
            for certificate in certificates_in(raw):
                check_anchor(kind, certificate)
                found.setdefault(thumbprint(certificate), certificate)
        except Broken as exc:
            problems.append(TrustProblem(place, str(exc)))
    return tuple(found.values())


def certificates_in(raw: bytes) -> Iterator[x509.Certificate]:
    """Every certificate of one PEM or DER file; there is at least one. Raises ``Broken``."""
    if len(raw) > MAX_STORE_FILE_BYTES:
        raise Broken(f"the certificate file has {len(raw)} bytes, at most {MAX_STORE_FILE_BYTES} are read")
    if _PEM not in raw:
        yield load_certificate(raw)
        return
    if raw.count(_PEM) != raw.count(_PEM + b"CERTIFICATE-----"):
        raise Broken("the file holds PEM blocks other than certificates; it needs certificates only")
    try:
        blocks = x509.load_pem_x509_certificates(raw)
    except MALFORMED as exc:
        raise Broken("the file's PEM can't be read as certificates") from exc
    for block in blocks:
        yield load_certificate(block.public_bytes(Encoding.DER))


def check_anchor(kind: str, certificate: x509.Certificate) -> None:
    """Whether the certificate can be trusted as ``kind``. Raises ``Broken``."""
    try:
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    self_signed = is_self_signed(certificate)
    if kind == TSA and not self_signed:
        raise Broken(f"the certificate of {subject_of(certificate)} is no root: tsa stores hold roots only")
    if not (is_authority or self_signed):
        raise Broken(
            f"the certificate of {subject_of(certificate)} is neither an authority's nor self-signed: "
            "trust the root that issued it, and name the signer under trustedIdentities"
        )
