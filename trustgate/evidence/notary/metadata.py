"""The five kinds of Notary v1 metadata, from bytes to values that cannot be half right.

The format is older than TUF 1.0: types are ``Root``, ``Targets`` (delegations too), ``Snapshot`` and
``Timestamp``; hashes, keys and signatures are base64. Nothing is verified in here but form: signatures,
expiry and versions are ``verify``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from trustgate.evidence.notary.canonical import MAX_METADATA_BYTES, Malformed, encode, read_json
from trustgate.evidence.notary.fields import (
    BASE_ROLES,
    a_list,
    a_map,
    a_moment,
    a_text,
    an_integer,
    an_object,
    is_delegation,
    is_role,
    parent_of,
    shown,
    some_bytes,
)
from trustgate.evidence.notary.keys import TufKey, read_key
from trustgate.oci.strict_json import Json

MAX_TIMESTAMP_BYTES: Final = 1024 * 1024
"""What notary's own client reads at most."""
MAX_ROOT_BYTES: Final = 256 * 1024
"""One with a certificate for each of a hundred keys; a repository keeps all versions of it."""
MAX_SIGNATURES: Final = 64
MAX_KEYS: Final = 256
MAX_ROLE_KEYS: Final = 64
MAX_ROLES: Final = 256
MAX_PATHS: Final = 1024
MAX_TARGETS: Final = 20_000
MAX_SIGNATURE_BYTES: Final = 1024
HASH_BYTES: Final[Mapping[str, int]] = {"sha256": 32, "sha512": 64}
_TYPES: Final[Mapping[str, str]] = {
    "root": "Root",
    "targets": "Targets",
    "snapshot": "Snapshot",
    "timestamp": "Timestamp",
}
_LIMITS: Final[Mapping[str, int]] = {"timestamp": MAX_TIMESTAMP_BYTES, "root": MAX_ROOT_BYTES}
_COMMON: Final = ("_type", "version", "expires")


@dataclass(frozen=True, slots=True)
class Signature:
    """One entry of ``signatures``."""

    key_id: str
    method: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signed:
    """A metadata file: its bytes, what its signatures are over, and what every role has."""

    role: str
    raw: bytes = field(repr=False)
    content: bytes = field(repr=False)
    signatures: tuple[Signature, ...]
    version: int
    expires: datetime


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """Who may sign for a role, and how many of them have to."""

    keys: tuple[TufKey, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class Delegation:
    """A role under ``targets``, as its parent describes it."""

    role: str
    signers: RoleKeys
    paths: tuple[str, ...]

    def speaks_for(self, name: str) -> bool:
        """Whether the parent lets this role name such a target."""
        return any(name.startswith(path) for path in self.paths)


@dataclass(frozen=True, slots=True)
class FileMeta:
    """Length and hashes of something, by algorithm."""

    length: int
    hashes: Mapping[str, bytes] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Root:
    """Which keys speak for the base roles."""

    signed: Signed
    roles: Mapping[str, RoleKeys] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Targets:
    """Tags and what they stand for; and who else may name some."""

    signed: Signed
    targets: Mapping[str, FileMeta] = field(hash=False)
    delegations: Mapping[str, Delegation] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Listing:
    """A snapshot or a timestamp: which files belong together."""

    signed: Signed
    meta: Mapping[str, FileMeta] = field(hash=False)


def read_root(raw: bytes) -> Root:
    """Raises ``Malformed``."""
    signed, fields = _open("root", raw, ("keys", "roles", "consistent_snapshot"))
    keys = _read_keys(fields.get("keys"), "the root")
    given = a_map(fields.get("roles"), "roles of the root", MAX_ROLES)
    an_object(given, "roles of the root", BASE_ROLES)
    roles = {name: _role_keys(given.get(name), f"the role {name}", keys) for name in BASE_ROLES}
    return Root(signed, roles)


def read_targets(role: str, raw: bytes) -> Targets:
    """``targets``, or a delegation. Raises ``Malformed``."""
    signed, fields = _open(role, raw, ("targets", "delegations"))
    named = a_map(fields.get("targets"), f"targets of {role}", MAX_TARGETS)
    targets = {name: _file_meta(value, f"the target {shown(name)}") for name, value in named.items()}
    return Targets(signed, targets, _read_delegations(role, fields.get("delegations")))


def read_snapshot(raw: bytes) -> Listing:
    """Raises ``Malformed``."""
    return _read_listing("snapshot", raw, ("root", "targets"))


def read_timestamp(raw: bytes) -> Listing:
    """Raises ``Malformed``."""
    return _read_listing("timestamp", raw, ("snapshot",))


def _read_listing(role: str, raw: bytes, required: tuple[str, ...]) -> Listing:
    signed, fields = _open(role, raw, ("meta",))
    given = a_map(fields.get("meta"), f"meta of the {role}", MAX_ROLES)
    for name in required:
        if name not in given:
            raise Malformed(f"the {role} does not list {name}")
    for name in given:
        if not is_role(name):
            raise Malformed(f"the {role} lists {shown(name)}, which is no role's name")
    return Listing(signed, {name: _file_meta(value, f"the entry {name}") for name, value in given.items()})


def _open(role: str, raw: bytes, own: tuple[str, ...]) -> tuple[Signed, dict[str, Json]]:
    """The envelope, its ``signed`` part as fields, and the form that is signed."""
    limit = _LIMITS.get(role, MAX_METADATA_BYTES)
    document = an_object(read_json(raw, max_bytes=limit), f"the {role}", ("signed", "signatures"))
    fields = an_object(document.get("signed"), f"signed of the {role}", (*_COMMON, *own))
    kind = _TYPES["targets" if is_delegation(role) else role]
    if fields.get("_type") != kind:
        raise Malformed(f"the {role} is of type {shown(fields.get('_type'))}, expected {kind!r}")
    signatures = a_list(document.get("signatures"), f"signatures of the {role}", MAX_SIGNATURES)
    signed = Signed(
        role=role,
        raw=raw,
        content=encode(fields),
        signatures=tuple(_read_signature(value, role) for value in signatures),
        version=an_integer(fields.get("version"), f"version of the {role}", least=1),
        expires=a_moment(fields.get("expires"), f"expires of the {role}"),
    )
    return signed, fields


def _read_signature(value: Json, role: str) -> Signature:
    what = f"a signature of the {role}"
    fields = an_object(value, what, ("keyid", "method", "sig"))
    return Signature(
        key_id=a_text(fields.get("keyid"), f"keyid of {what}"),
        method=a_text(fields.get("method"), f"method of {what}"),
        value=some_bytes(fields.get("sig"), f"sig of {what}", MAX_SIGNATURE_BYTES),
    )


def _read_keys(value: Json, what: str) -> dict[str, TufKey]:
    """Keys by id; an id is what its key hashes to, and not what somebody calls it."""
    keys: dict[str, TufKey] = {}
    for name, document in a_map(value, f"keys of {what}", MAX_KEYS).items():
        key = read_key(document, f"the key {shown(name)}")
        if key.id != name:
            raise Malformed(f"{what} calls a key {shown(name)} whose id is {key.id}")
        keys[name] = key
    return keys


def _role_keys(value: Json, what: str, keys: Mapping[str, TufKey]) -> RoleKeys:
    fields = an_object(value, what, ("keyids", "threshold"))
    threshold = an_integer(fields.get("threshold"), f"threshold of {what}", least=1)
    ids = [
        a_text(item, f"a key id of {what}")
        for item in a_list(fields.get("keyids"), f"keyids of {what}", MAX_ROLE_KEYS)
    ]
    if len(set(ids)) != len(ids):
        raise Malformed(f"{what} names one key twice")
    for name in ids:
        if name not in keys:
            raise Malformed(f"{what} names the key {shown(name)}, which is not given")
    return RoleKeys(tuple(keys[name] for name in ids), threshold)


def _read_delegations(parent: str, value: Json) -> dict[str, Delegation]:
    if value is None:
        return {}
    what = f"delegations of {parent}"
    fields = an_object(value, what, ("keys", "roles"))
    keys = _read_keys(fields.get("keys"), what)
    found: dict[str, Delegation] = {}
    for item in a_list(fields.get("roles"), what, MAX_ROLES):
        entry = an_object(item, f"an entry of {what}", ("name", "keyids", "threshold", "paths"))
        name = a_text(entry.get("name"), f"the name of an entry of {what}")
        if not is_delegation(name) or parent_of(name) != parent:
            raise Malformed(f"{parent} can't delegate to {shown(name)}")
        if name in found:
            raise Malformed(f"{parent} delegates to {name} twice")
        found[name] = Delegation(name, _role_keys(entry, name, keys), _read_paths(entry.get("paths"), name))
    return found


def _read_paths(value: Json, role: str) -> tuple[str, ...]:
    paths = a_list(value, f"paths of {role}", MAX_PATHS)
    if not all(isinstance(path, str) for path in paths):
        raise Malformed(f"a path of {role} is not a string")
    return tuple(map(str, paths))


def _file_meta(value: Json, what: str) -> FileMeta:
    fields = an_object(value, what, ("length", "hashes", "custom"))
    hashes: dict[str, bytes] = {}
    given = an_object(fields.get("hashes"), f"hashes of {what}", HASH_BYTES)
    for algorithm, size in HASH_BYTES.items():
        if algorithm in given:
            hashes[algorithm] = some_bytes(given[algorithm], f"{algorithm} of {what}", size)
            if len(hashes[algorithm]) != size:
                raise Malformed(f"{algorithm} of {what} does not have {size} bytes")
    if not hashes:
        raise Malformed(f"{what} has neither a sha256 nor a sha512")
    return FileMeta(an_integer(fields.get("length"), f"length of {what}", least=0), hashes)
