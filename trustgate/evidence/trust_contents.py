"""What trust material holds: every key, certificate, log and authority, its id, and how long it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from cryptography import x509

from trustgate.errors import InvalidInput
from trustgate.evidence.attestor import Attestor, Trust
from trustgate.evidence.helm.question import KeyLives
from trustgate.evidence.helm.trust import GpgTrust, weakness, whole_keyring_trust
from trustgate.evidence.keys import KeyTrust, key_id, read_public_key
from trustgate.evidence.notary.trust import NotaryTrust
from trustgate.evidence.notation.certificates import subject_of, thumbprint
from trustgate.evidence.notation.refusal import Broken
from trustgate.evidence.notation.trust import NotationTrust, certificates_in, check_anchor
from trustgate.evidence.printable import printable
from trustgate.evidence.sigstore.pattern import Exact, Text
from trustgate.evidence.sigstore.refusal import Refusal
from trustgate.evidence.sigstore.trust import KeylessTrust
from trustgate.evidence.sigstore.trusted_root import Authority, Log, TrustedRoot, read_trusted_root

SOON: Final = timedelta(days=90)
"""What ends within this time is warned of."""
_PGP: Final = b"-----BEGIN PGP "
_KEYBOX: Final = b"KBXf"


class Standing(StrEnum):
    """How something stands at a moment. Permanent words: they stand in JSON."""

    VALID = "valid"
    ENDS_SOON = "ends-soon"
    NOT_YET = "not-yet"
    RETIRED = "retired"
    """Ended, and another of its kind is valid: it goes on vouching for what it did before."""
    ENDED = "ended"
    REFUSED = "refused"
    """In the material, and never believed; ``problem`` says why."""


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that the material holds, and from when until when (the end itself is outside)."""

    kind: str
    name: str
    id: str
    """As signers are counted: ``key:…``, ``gpg:…``, ``tuf:…``; ``sha256:…`` for certificates."""
    not_before: datetime | None = None
    not_after: datetime | None = None
    group: str = ""
    """Things of one group, and the one whose id it is, replace one another: while one is valid, the end of
    another is no loss."""
    problem: str = ""
    place: str = ""
    """The file, where there are several."""

    def over(self, now: datetime) -> bool:
        return self.not_after is not None and self.not_after <= now

    def begun(self, now: datetime) -> bool:
        return self.not_before is None or self.not_before <= now

    def counts(self, now: datetime) -> bool:
        return self.begun(now) and not self.over(now) and not self.problem


@dataclass(frozen=True, slots=True)
class Judged:
    """Something held, and how it stands."""

    held: Held
    standing: Standing
    warning: str = ""
    """How the sentence about it goes on: ``ended on …``; empty for what needs no warning."""


def judge_held(held: Sequence[Held], now: datetime) -> tuple[Judged, ...]:
    """How each stands, in order."""
    alive = [one for one in held if one.counts(now)]
    lasting = [one for one in alive if one.counts(_soon(now))]
    return tuple(_judged(one, now, _replacing(alive), _replacing(lasting)) for one in held)


def _soon(now: datetime) -> datetime:
    return min(now, datetime.max.replace(tzinfo=now.tzinfo) - SOON) + SOON


def _replacing(held: Iterable[Held]) -> frozenset[str]:
    """The groups in which something is left: a member, or what the group is named after."""
    return frozenset(name for one in held for name in (one.group, one.id) if name)


def _judged(one: Held, now: datetime, alive: frozenset[str], lasting: frozenset[str]) -> Judged:
    if (one.problem or one.over(now)) and one.group in alive:
        return Judged(one, Standing.RETIRED)
    if one.problem:
        return Judged(one, Standing.REFUSED, f"is refused: {one.problem}")
    if one.not_after is not None and one.over(now):
        return Judged(one, Standing.ENDED, f"ended on {one.not_after:%Y-%m-%d}")
    if not one.begun(now):
        return Judged(one, Standing.NOT_YET)
    if one.not_after is not None and one.over(_soon(now)):
        days = (one.not_after - now).days
        said = "" if one.group in lasting else f"ends on {one.not_after:%Y-%m-%d}, in {days} days"
        return Judged(one, Standing.ENDS_SOON, said)
    return Judged(one, Standing.VALID)


def has_ended(judged: Iterable[Judged]) -> bool:
    """Whether something is over with nothing in its place, or is refused."""
    return any(one.standing in {Standing.ENDED, Standing.REFUSED} for one in judged)


# --- files -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Contents:
    """What one file turned out to be, and what it holds: never nothing."""

    kind: str
    held: tuple[Held, ...]
    keyring: bytes | None = None
    """For who asks gpg when its keys end."""


def read_trust_file(raw: bytes) -> Contents:
    """A trusted root, certificates, a public key or an OpenPGP keyring, whichever it is.

    Raises ``InvalidInput`` and ``KeyUnreadable``.
    """
    if raw.lstrip()[:1] == b"{":
        return Contents("trusted root", _not_empty(_of_file(raw)))
    if _PGP in raw or raw[:1] >= b"\x80" or raw[8:12] == _KEYBOX:
        trust = whole_keyring_trust(raw)
        return Contents("OpenPGP keyring", held_by(trust), trust.keyring)
    if b"PRIVATE KEY-----" in raw:
        raise InvalidInput("this is a private key, and trust is in public ones", hint="inspect its .pub")
    if b"-----BEGIN PUBLIC KEY-----" in raw:
        key = read_public_key(raw)
        return Contents("public key", (Held("public key", _key_name(key), f"key:{key_id(key)}"),))
    if raw[:1] != b"0" and b"-----BEGIN " not in raw:
        raise InvalidInput(
            "this is no trust material that is read here",
            hint="a trusted_root.json, certificates (PEM, DER), a public key, an OpenPGP keyring, "
            "or the folder of a notation trust store",
        )
    try:
        return Contents("certificates", tuple(_certificate(one) for one in certificates_in(raw)))
    except Broken as exc:
        raise InvalidInput(str(exc), hint="certificates in PEM or DER are read") from exc


def read_store(files: Mapping[str, bytes]) -> Contents:
    """notation's trust store, by path (``x509/ca/NAME/FILE``). Raises ``InvalidInput``."""
    held: list[Held] = []
    for path, raw in files.items():
        try:
            held.extend(_stored(path, one) for one in certificates_in(raw))
        except Broken as exc:
            held.append(Held("certificate", path, "", problem=str(exc), place=path))
    return Contents("notation trust store", _not_empty(tuple(held)))


def _stored(path: str, certificate: x509.Certificate) -> Held:
    kind = path.split("/")[1]
    problem = ""
    try:
        check_anchor(kind, certificate)
    except Broken as exc:
        problem = str(exc)
    return replace(_certificate(certificate, f"{kind} certificate"), place=path, problem=problem)


def _of_file(raw: bytes) -> tuple[Held, ...]:
    try:
        return _of_root(read_trusted_root(raw))
    except Refusal as exc:
        raise InvalidInput(str(exc), hint="cosign trusted-root create writes trusted roots") from exc


def _not_empty(held: tuple[Held, ...]) -> tuple[Held, ...]:
    if not held:
        raise InvalidInput("there is nothing in it that could be trusted", hint="is it the right file?")
    return held


# --- attestors ---------------------------------------------------------------------------------------


def type_of(trust: Trust) -> str:
    """The word that a trust store has for it."""
    match trust:
        case KeyTrust():
            return "cosign-key"
        case KeylessTrust():
            return "keyless"
        case NotationTrust():
            return "notation"
        case NotaryTrust():
            return "notary-v1"
        case GpgTrust():
            return "gpg"
        case _:
            assert_never(trust)


def identity_of(trust: Trust) -> str:
    """Who that is, for people."""
    match trust:
        case KeyTrust():
            return trust.identity
        case KeylessTrust():
            claims = "".join(f", {name} {_text(wanted)}" for name, wanted in trust.claims)
            return f"issuer {_text(trust.issuer)}, identity {_text(trust.identity)}{claims}"
        case NotationTrust():
            names = (", ".join(f"{k}={v}" for k, v in one.items()) for one in trust.identities)
            return "; ".join(names) or "anyone with a certificate of its roots"
        case NotaryTrust():
            return f"{', '.join(trust.roles)} of {trust.gun or 'any repository'}"
        case GpgTrust():
            return ", ".join(sorted(trust.identities))
        case _:
            assert_never(trust)


def held_by(trust: Trust) -> tuple[Held, ...]:
    """What an attestor's trust rests on."""
    match trust:
        case KeyTrust():
            key = Held("public key", _key_name(trust.public_key), trust.identity)
            return (key, *(_of_root(trust.root) if trust.root else ()))
        case KeylessTrust():
            return _of_root(trust.root)
        case NotationTrust():
            stores = {"ca": trust.ca, "signingAuthority": trust.signing_authority, "tsa": trust.tsa}
            return tuple(
                _certificate(one, f"{kind} certificate") for kind, store in stores.items() for one in store
            )
        case NotaryTrust():
            return tuple(Held("root key", "", f"tuf:{one}") for one in sorted(trust.root_keys))
        case GpgTrust():
            return _of_keyring(trust)
        case _:
            assert_never(trust)


def window_of(attestor: Attestor) -> Held:
    """The attestor itself, with the time that the trust store gives it."""
    trust = attestor.trust
    return Held(type_of(trust), attestor.name, identity_of(trust), attestor.not_before, attestor.not_after)


def with_lives(held: Iterable[Held], lives: KeyLives) -> tuple[Held, ...]:
    """OpenPGP keys with what they say of themselves."""
    return tuple(_with_life(one, one.id.removeprefix("gpg:"), lives) for one in held)


def _with_life(one: Held, fingerprint: str, lives: KeyLives) -> Held:
    named = replace(one, name=one.name or printable(lives.names.get(fingerprint, "")))
    if fingerprint not in lives.known:
        return replace(named, problem=named.problem or "gpg does not take it up: is it signed by itself?")
    if fingerprint in lives.revoked:
        return replace(named, problem="its owner has revoked it")
    return replace(named, not_after=lives.ends.get(fingerprint))


# --- each kind ---------------------------------------------------------------------------------------


def _of_root(root: TrustedRoot) -> tuple[Held, ...]:
    logs = {"transparency log": root.rekor, "certificate log": root.ct}
    authorities = {"certificate authority": root.certificates, "timestamp authority": root.timestamps}
    return (
        *(_log(kind, one) for kind, several in logs.items() for one in several),
        *(_authority(kind, one) for kind, several in authorities.items() for one in several),
    )


def _log(kind: str, log: Log) -> Held:
    return Held(kind, log.origin, f"log:{log.key_id.hex()}", log.window.start, log.window.end, kind)


def _authority(kind: str, authority: Authority) -> Held:
    """It is no use any more when one certificate of its chain has ended."""
    anchor = authority.chain[-1]
    ends = [one.not_valid_after_utc for one in authority.chain]
    if authority.window.end is not None:
        ends.append(authority.window.end)
    name, identifier = subject_of(anchor), f"sha256:{thumbprint(anchor)}"
    return Held(kind, name, identifier, authority.window.start, min(ends), kind)


def _certificate(certificate: x509.Certificate, kind: str = "certificate") -> Held:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Held(kind, subject_of(certificate), f"sha256:{thumbprint(certificate)}", begin, end)


def _of_keyring(trust: GpgTrust) -> tuple[Held, ...]:
    held = []
    for key in trust.keys.values():
        if key.primary not in trust.fingerprints:
            continue
        own = key.primary == key.fingerprint
        held.append(
            Held(
                "OpenPGP key" if own else "OpenPGP subkey",
                "" if own else f"of {key.primary}",
                f"gpg:{key.fingerprint}",
                key.created,
                problem=weakness(key) if own else "",
                group="" if own else f"gpg:{key.primary}",
            )
        )
    return tuple(held)


def _key_name(key: object) -> str:
    size = getattr(key, "key_size", "")
    return f"{type(key).__name__.removeprefix('_').removesuffix('PublicKey')} {size}".strip()


def _text(text: Text) -> str:
    return text.text if isinstance(text, Exact) else f"/{text.source}/"
