"""From an attestor's mapping to its trust: one method a type, every mistake told at its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from trustgate.errors import KeyUnreadable
from trustgate.evidence.attestor import Trust
from trustgate.evidence.helm.trust import GpgTrust, gpg_trust
from trustgate.evidence.keys import KeyTrust, key_trust
from trustgate.evidence.notary.trust import NotaryTrust, notary_trust
from trustgate.evidence.notation.trust import NotationTrust, NotationTrustInvalid, attestor_trust
from trustgate.evidence.sigstore.pattern import PatternRefused
from trustgate.evidence.sigstore.trust import KeylessTrust, keyless_trust
from trustgate.evidence.sigstore.trusted_root import TrustedRoot
from trustgate.policy.problems import Code, Problems, did_you_mean
from trustgate.policy.reading import Document
from trustgate.policy.trust_files import TrustFiles
from trustgate.policy.trust_schema import AttestorEntry

Loc: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Builder:
    """One attestor, whose keys are those of its type."""

    name: str
    entry: AttestorEntry
    document: Document
    files: TrustFiles
    roots: Mapping[str, TrustedRoot]
    problems: Problems

    def trust(self) -> Trust | None:
        """``None`` when something was wrong, which is noted then."""
        match self.entry.type:
            case "cosign-key":
                return self._key()
            case "keyless":
                return self._keyless()
            case "notation":
                return self._notation()
            case "notary-v1":
                return self._notary()
            case "gpg":
                return self._gpg()

    def _key(self) -> KeyTrust | None:
        entry = self.entry
        root = self._root(entry.trust_root) if entry.trust_root else None
        if entry.trust_root and root is None:
            return None
        try:
            return key_trust(
                self.files.read(entry.key or ""),
                prehashed=entry.algorithm == "ed25519ph",
                root=root,
                min_logs=entry.logs or 0,
                min_timestamps=entry.timestamps or 0,
            )
        except KeyUnreadable as exc:
            self._unreadable("key", exc)
            return None

    def _keyless(self) -> KeylessTrust | None:
        entry = self.entry
        root = self._root(entry.trust_root or "")
        if root is None or entry.issuer is None or entry.identity is None:
            return None
        # asking for timestamps alone says that no log is needed
        logs = entry.logs if entry.logs is not None else (0 if entry.timestamps else 1)
        try:
            return keyless_trust(
                root,
                issuer=entry.issuer,
                identity=entry.identity,
                claims=entry.certificate_claims,
                min_logs=logs,
                min_timestamps=entry.timestamps or 0,
            )
        except PatternRefused as exc:
            self._complain(("certificateClaims",), Code.WRONG_VALUE, str(exc))
            return None

    def _notation(self) -> NotationTrust | None:
        entry, stores = self.entry, self.entry.trust_stores
        if stores is None:
            return None
        named = {"ca": stores.ca, "signingAuthority": stores.signing_authority, "tsa": stores.tsa}
        contents: dict[str, list[bytes]] = {}
        try:
            for kind, paths in named.items():
                contents[kind] = [self.files.read(path) for path in paths or ()]
            return attestor_trust(
                trust_stores=contents,
                trusted_identities=entry.trusted_identities or [],
                level=entry.level,
                override=entry.override,
                revocation=entry.revocation,
                verify_timestamp=entry.verify_timestamp,
            )
        except KeyUnreadable as exc:
            self._unreadable("trustStores", exc)
            return None
        except NotationTrustInvalid as exc:
            for problem in exc.problems:
                self._complain(problem.place, Code.WRONG_VALUE, problem.message)
            return None

    def _notary(self) -> NotaryTrust | None:
        entry = self.entry
        try:
            return notary_trust(
                root_key=self.files.read(entry.root_key) if entry.root_key else None,
                root_key_ids=entry.root_key_ids or (),
                delegations=entry.delegations or (),
                gun=entry.gun or "",
            )
        except KeyUnreadable as exc:
            self._unreadable("rootKey" if entry.root_key else "type", exc)
            return None

    def _gpg(self) -> GpgTrust | None:
        entry = self.entry
        try:
            return gpg_trust(self.files.read(entry.keyring or ""), entry.fingerprints or ())
        except KeyUnreadable as exc:
            self._unreadable("keyring", exc)
            return None

    def _root(self, name: str) -> TrustedRoot | None:
        root = self.roots.get(name)
        if root is None and not self.problems.trust_incomplete:
            guess = did_you_mean(name, self.roots)
            self._complain(("trustRoot",), Code.UNKNOWN_ATTESTOR, f'no trust root "{name[:60]}"{guess}')
        return root

    def _unreadable(self, key: str, exc: KeyUnreadable) -> None:
        hint = f" ({exc.hint})" if exc.hint else ""
        self._complain((key,), Code.KEY_UNREADABLE, f'the key of "{self.name}": {exc.message}{hint}')

    def _complain(self, loc: Loc, code: Code, message: str) -> None:
        self.problems.add(
            self.document.path, self.document.place("attestors", self.name, *loc), code, message
        )
