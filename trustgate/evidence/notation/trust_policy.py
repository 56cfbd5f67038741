"""notation's own configuration: ``trustpolicy.json`` and the trust store folder (both version 1.0).

trust-store-trust-policy.md, "Trust Policy" and "Trust Store". Whoever reads the files hands their bytes in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509

from trustgate.evidence.notation.certificates import thumbprint
from trustgate.evidence.notation.refusal import Broken, shown
from trustgate.evidence.notation.trust import (
    ALWAYS,
    LEVELS,
    SKIP_LEVEL,
    STORES,
    NotationTrust,
    NotationTrustInvalid,
    Place,
    TrustProblem,
    build_trust,
    certificates_in,
    check_anchor,
    read_actions,
)
from trustgate.oci.strict_json import Json, JsonRefused, loads

MAX_POLICY_BYTES: Final = 1024 * 1024
MAX_STATEMENTS: Final = 1024
MAX_SCOPES: Final = 4096
GLOBAL_SCOPE: Final = "*"
STORE_FOLDER: Final = "x509"
_VERSION: Final = "1.0"
_DOCUMENT: Final = frozenset({"version", "trustPolicies"})
_STATEMENT: Final = frozenset(
    {"name", "registryScopes", "signatureVerification", "trustStores", "trustedIdentities"}
)
_VERIFICATION: Final = frozenset({"level", "override", "verifyTimestamp"})
_STORE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_SCOPE: Final = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?(?::[0-9]{1,5})?"
    r"/[a-z0-9]+(?:(?:\.|_|__|-+|/)[a-z0-9]+)*"
)
MAX_SCOPE_CHARACTERS: Final = 512


@dataclass(frozen=True, slots=True)
class Statement:
    """One trust policy: which repositories, which trust stores, and how strictly."""

    name: str
    scopes: tuple[str, ...]
    level: str
    override: Mapping[str, str] = field(hash=False)
    verify_timestamp: str
    trust_stores: tuple[str, ...]
    trusted_identities: tuple[str, ...]

    @property
    def skips(self) -> bool:
        """Whether the policy asks for no verification at all: an outcome of its own, never a "verified"."""
        return self.level == SKIP_LEVEL


@dataclass(frozen=True, slots=True)
class TrustPolicyDocument:
    """A document that keeps every rule."""

    statements: tuple[Statement, ...]

    def for_scope(self, repository: str) -> Statement | None:
        """The one that applies to ``HOST/REPOSITORY``: by name before ``*``; ``None`` means not trusted."""
        named = [one for one in self.statements if repository in one.scopes]
        others = [one for one in self.statements if one.scopes == (GLOBAL_SCOPE,)]
        return next(iter(named + others), None)


def read_trust_policy(raw: bytes) -> TrustPolicyDocument:
    """Read ``trustpolicy.json`` or ``trustpolicy.oci.json``. Raises ``NotationTrustInvalid``."""
    try:
        document = loads(raw, max_bytes=MAX_POLICY_BYTES)
    except JsonRefused as exc:
        raise _invalid((), f"the trust policy {exc}") from exc
    fields = _object(document, _DOCUMENT, ())
    if fields.get("version") != _VERSION:
        raise _invalid(("version",), f'version {shown(fields.get("version"))} is not "{_VERSION}"')
    listed = fields.get("trustPolicies")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_STATEMENTS:
        raise _invalid(("trustPolicies",), f"a list of 1 to {MAX_STATEMENTS} trust policies is expected")
    statements = tuple(_statement(one, ("trustPolicies", index)) for index, one in enumerate(listed))
    problems = [*_repeated(statements), *_scope_problems(statements)]
    if problems:
        raise NotationTrustInvalid(problems)
    return TrustPolicyDocument(statements)


def is_scope(text: str) -> bool:
    """Whether ``text`` is a fully qualified repository: ``HOST/REPOSITORY``, no tag, no digest."""
    return len(text) <= MAX_SCOPE_CHARACTERS and _SCOPE.fullmatch(text) is not None


def statement_trust(statement: Statement, store: Mapping[str, bytes]) -> NotationTrust:
    """What the statement trusts. Raises ``NotationTrustInvalid``.

    ``store`` holds the trust store's files by path: ``x509/ca/NAME/file.crt``. A statement that ``skips``
    trusts nothing: ask that first.
    """
    problems: list[TrustProblem] = []
    stores: dict[str, list[x509.Certificate]] = {kind: [] for kind in STORES}
    for index, reference in enumerate(statement.trust_stores):
        kind, _, name = reference.partition(":")
        place: Place = ("trustStores", index)
        if kind not in STORES or not _STORE_NAME.fullmatch(name) or name in {".", ".."}:
            known = ", ".join(STORES)
            problems.append(
                TrustProblem(place, f"{shown(reference)} is not KIND:NAME with a KIND of {known}")
            )
            continue
        found = _named_store(kind, name, store, place, problems)
        stores[kind] += [one for one in found if thumbprint(one) not in map(thumbprint, stores[kind])]
    return build_trust(
        stores,
        statement.trusted_identities,
        statement.level,
        statement.override,
        statement.verify_timestamp,
        problems,
    )


def _named_store(
    kind: str, name: str, store: Mapping[str, bytes], place: Place, problems: list[TrustProblem]
) -> list[x509.Certificate]:
    """Files of the folder itself; those of folders below are not read, as the specification says."""
    folder = f"{STORE_FOLDER}/{kind}/{name}/"
    paths = sorted(path for path in store if path.startswith(folder) and "/" not in path[len(folder) :])
    found: list[x509.Certificate] = []
    for path in paths:
        try:
            for certificate in certificates_in(store[path]):
                check_anchor(kind, certificate)
                found.append(certificate)
        except Broken as exc:
            problems.append(TrustProblem(place, f"{path[:200]!a}: {exc}"))
    if not found and not paths:
        problems.append(TrustProblem(place, f"the trust store has no certificates under {folder[:200]!a}"))
    return found


def _statement(value: Json, place: Place) -> Statement:
    fields = _object(value, _STATEMENT, place)
    verification = _object(
        fields.get("signatureVerification"), _VERIFICATION, (*place, "signatureVerification")
    )
    statement = Statement(
        name=_text(fields.get("name"), (*place, "name")),
        scopes=_texts(fields.get("registryScopes"), (*place, "registryScopes")),
        level=_text(verification.get("level"), (*place, "signatureVerification", "level")),
        override=_override(verification.get("override"), (*place, "signatureVerification", "override")),
        verify_timestamp=_text(
            verification.get("verifyTimestamp", ALWAYS), (*place, "signatureVerification", "verifyTimestamp")
        ),
        trust_stores=_texts(fields.get("trustStores"), (*place, "trustStores")),
        trusted_identities=_texts(fields.get("trustedIdentities"), (*place, "trustedIdentities")),
    )
    _check_level(statement, (*place, "signatureVerification"))
    return statement


def _check_level(statement: Statement, place: Place) -> None:
    if not statement.skips:
        problems: list[TrustProblem] = []
        read_actions(statement.level, statement.override, problems)
        if problems:
            known = ", ".join((*LEVELS, SKIP_LEVEL))
            extra = f"; levels are {known}" if statement.level not in LEVELS else ""
            raise NotationTrustInvalid(
                [TrustProblem((*place, *one.place), one.message + extra) for one in problems]
            )
        return
    if statement.override:
        raise _invalid((*place, "override"), 'level "skip" can\'t be overridden')
    if statement.trust_stores or statement.trusted_identities:
        raise _invalid(place, 'level "skip" verifies nothing: remove trustStores and trustedIdentities')
    if GLOBAL_SCOPE in statement.scopes:
        raise _invalid(place, 'level "skip" can\'t be used with the global scope "*": name the repositories')


def _repeated(statements: Sequence[Statement]) -> list[TrustProblem]:
    problems, seen = [], set()
    for index, one in enumerate(statements):
        if one.name in seen:
            problems.append(
                TrustProblem(("trustPolicies", index, "name"), f"{shown(one.name)} is used twice")
            )
        seen.add(one.name)
    return problems


def _scope_problems(statements: Sequence[Statement]) -> list[TrustProblem]:
    problems: list[TrustProblem] = []
    seen: set[str] = set()
    for index, one in enumerate(statements):
        place: Place = ("trustPolicies", index, "registryScopes")
        if not 1 <= len(one.scopes) <= MAX_SCOPES:
            problems.append(TrustProblem(place, f"1 to {MAX_SCOPES} scopes are expected"))
        if GLOBAL_SCOPE in one.scopes and len(one.scopes) > 1:
            problems.append(TrustProblem(place, 'the scope "*" stands alone'))
        for scope in one.scopes:
            if scope != GLOBAL_SCOPE and not is_scope(scope):
                problems.append(TrustProblem(place, f'{shown(scope)} is neither "*" nor HOST/REPOSITORY'))
            if scope in seen:
                problems.append(TrustProblem(place, f"{shown(scope)} is in more than one trust policy"))
            seen.add(scope)
    return problems


def _override(value: Json, place: Place) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _invalid(place, "an object is expected")
    return {key: _text(one, (*place, key)) for key, one in value.items()}


def _object(value: Json, allowed: frozenset[str], place: Place) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise _invalid(place, "an object is expected")
    unknown = sorted(set(value) - allowed)
    if unknown:
        raise _invalid(
            (*place, unknown[0]), f"{shown(unknown[0])} is no field here: {', '.join(sorted(allowed))}"
        )
    return value


def _text(value: Json, place: Place) -> str:
    if not isinstance(value, str) or not value:
        raise _invalid(place, f"{place[-1]} is missing or not text")
    return value


def _texts(value: Json, place: Place) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _invalid(place, f"{place[-1]} is not a list")
    return tuple(_text(one, place) for one in value)


def _invalid(place: Place, message: str) -> NotationTrustInvalid:
    return NotationTrustInvalid([TrustProblem(place, message)])
