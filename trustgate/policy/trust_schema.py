"""The trust store as strict models: attestors of every kind, and the roots that they name.

One model for all kinds of attestors, since their mappings are told apart by ``type``; which keys belong to
which kind is the table ``KEYS``, and a key of another kind is a mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from trustgate.evidence.sigstore.pattern import PatternRefused, anchored, exact
from trustgate.evidence.sigstore.pattern import Text as Wanted
from trustgate.policy.schema import MAX_LIST, Count, Moment, Strict, Text, Texts, kind_of, word, wrong
from trustgate.policy.yaml_nodes import Scalar

KEYS: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "cosign-key": (frozenset({"key"}), frozenset({"algorithm", "trustRoot", "logs", "timestamps"})),
    "keyless": (
        frozenset({"issuer", "identity", "trustRoot"}),
        frozenset({"certificateClaims", "logs", "timestamps"}),
    ),
    "notation": (
        frozenset({"trustStores", "trustedIdentities"}),
        frozenset({"level", "override", "revocation", "verifyTimestamp"}),
    ),
    "notary-v1": (frozenset(), frozenset({"rootKey", "rootKeyIds", "delegations", "gun"})),
    "gpg": (frozenset({"keyring", "fingerprints"}), frozenset()),
}
"""For each type the keys that it must have, and those that it may have."""
COMMON: Final = frozenset({"type", "notBefore", "notAfter"})


def _wanted(value: object) -> Wanted:
    """A text, or ``{regex: '^…$'}``."""
    if isinstance(value, dict):
        pattern = value.get("regex")
        if set(value) != {"regex"} or not isinstance(pattern, Scalar):
            raise wrong("expected a text, or {regex: '^...$'}")
        return _built(anchored, pattern.text)
    if not isinstance(value, Scalar) or value.is_null:
        raise wrong(f"expected a text, or {{regex: '^...$'}}, found {kind_of(value)}")
    return _built(exact, value.text)


def _built(make: Callable[[str], Wanted], text: str) -> Wanted:
    try:
        return make(text)
    except PatternRefused as exc:
        raise wrong(str(exc)) from exc


Match: TypeAlias = Annotated[Wanted, BeforeValidator(_wanted)]
TextMap: TypeAlias = Annotated[dict[str, Text], Field(min_length=1, max_length=MAX_LIST)]


class TrustStores(Strict):
    """Certificate files of a Notation attestor, by what they vouch for."""

    ca: Texts | None = None
    signing_authority: Texts | None = None
    tsa: Texts | None = None


class AttestorEntry(Strict):
    type: Annotated[
        Literal["cosign-key", "keyless", "notation", "notary-v1", "gpg"],
        word(*KEYS, later=("tuf", "x509", "kms")),
    ]
    not_before: Moment | None = None
    not_after: Moment | None = None
    key: Text | None = None
    algorithm: Annotated[Literal["ed25519ph"] | None, word("ed25519ph")] = None
    trust_root: Text | None = None
    logs: Count | None = None
    timestamps: Count | None = None
    issuer: Match | None = None
    identity: Match | None = None
    certificate_claims: TextMap | None = None
    trust_stores: TrustStores | None = None
    trusted_identities: Texts | None = None
    level: Text = "strict"
    override: TextMap | None = None
    revocation: Text | None = None
    verify_timestamp: Text = "always"
    root_key: Text | None = None
    root_key_ids: Texts | None = None
    delegations: Texts | None = None
    gun: Text | None = None
    keyring: Text | None = None
    fingerprints: Texts | None = None
    later = frozenset({"kms", "purposes", "server", "deny"})
    parts: ClassVar[dict[str, Any]] = {"trustStores": TrustStores}

    @property
    def given(self) -> frozenset[str]:
        """The keys that stand in the file."""
        aliases = {name: str(field.alias) for name, field in type(self).model_fields.items()}
        return frozenset(aliases[name] for name in self.model_fields_set)


class TrustRoot(Strict):
    """A Sigstore trusted root: whose logs, authorities and timestamps count."""

    type: Annotated[Literal["file"], word("file", later=("tuf",))]
    path: Text
    later = frozenset({"mirror", "root"})


class RevokedEntry(Strict):
    """Exactly one of ``key``, ``certificate``, ``openpgp`` and ``evidence``."""

    key: Text | None = None
    certificate: Text | None = None
    openpgp: Text | None = None
    evidence: Text | None = None
    reason: Text
    since: Moment | None = None
    later = frozenset({"logIndex", "serial"})


class TrustStoreDocument(Strict):
    api_version: Text
    kind: Text
    attestors: Annotated[dict[str, AttestorEntry], Field(min_length=1, max_length=MAX_LIST)]
    trust_roots: Annotated[
        dict[str, TrustRoot], Field(min_length=1, max_length=MAX_LIST, default_factory=dict)
    ]
    revoked: Annotated[list[RevokedEntry], Field(min_length=1, max_length=MAX_LIST, default_factory=list)]
    parts: ClassVar[dict[str, Any]] = {
        "attestors": {"*": AttestorEntry},
        "trustRoots": {"*": TrustRoot},
        "revoked": RevokedEntry,
    }
