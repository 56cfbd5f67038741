"""The Notary v1 server: ask the store, let ``evidence/notary`` decide, write once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from trustgate.errors import Conflict, InvalidInput, NotFound, StorageUnavailable
from trustgate.evidence.notary.canonical import Malformed
from trustgate.evidence.notary.chain import MAX_ROOTS
from trustgate.evidence.notary.judge import MetadataSet
from trustgate.evidence.notary.keys import TufKey
from trustgate.evidence.notary.publication import Held, Refusal, Update
from trustgate.evidence.notary.server_signed import current_key, has_expired, refresh
from trustgate.evidence.notary.signing import MetadataSigner
from trustgate.evidence.notary.update import decide_update, root_key_ids
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.ports import (
    Clock,
    Publication,
    ServerRole,
    StoredMetadata,
    TrustChange,
    TrustFiles,
    TrustKey,
    TrustKeys,
)

T = TypeVar("T")

ATTEMPTS: Final = 4
"""How often a publish is decided anew when another one came between."""
MAX_CHAIN_BYTES: Final = 4 * 1024 * 1024
"""Of all roots of a repository together; behind them no pinned key is looked for."""
DEFAULT_CHANGES: Final = 100
MAX_CHANGES: Final = 1000
MAX_GUN_CHARACTERS: Final = 255


class GunInvalid(InvalidInput):
    """Trust data is kept for this registry's own repositories only, under HOST/REPOSITORY."""

    code = "gun-invalid"


class TrustDataUnknown(NotFound):
    """There is no such Notary metadata."""

    code = "trust-data-unknown"


class TrustUpdateRefused(InvalidInput):
    """Uploaded Notary metadata is not valid, or older than what is published; nothing was stored."""

    code = "trust-update-refused"

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.message} {refusal.reason}")
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class TrustData:
    """What is published for a repository under one name, ready to be judged."""

    gun: str
    metadata: MetadataSet
    seen: Mapping[str, int] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Publishing:
    """A publish that is valid in itself, as it would be stored. ``roles`` are the client's own."""

    repository: RepositoryName
    data: TrustData
    roles: tuple[str, ...]

    @property
    def digest(self) -> Digest:
        """What stands for it in a decision: the first of its files."""
        first = self.roles[0] if self.roles else "root"
        files = self.data.metadata
        return Digest.of(files.roots[-1] if first == "root" else files.targets[first])


Admit: TypeAlias = Callable[[Publishing], None]
"""Raises to refuse it."""


class TrustFlow:
    """``hosts`` are the names under which clients know this registry: a GUN begins with one of them."""

    def __init__(self, *, files: TrustFiles, keys: TrustKeys, clock: Clock, hosts: frozenset[str]) -> None:
        self._files = files
        self._keys = keys
        self._clock = clock
        self._hosts = hosts

    def repository(self, gun: str) -> RepositoryName:
        """Whose permissions count. Raises ``GunInvalid`` or ``NameInvalid``."""
        host, _slash, name = gun.partition("/")
        if host not in self._hosts or len(gun) > MAX_GUN_CHARACTERS:
            known = " or ".join(sorted(self._hosts)[:2])
            raise GunInvalid(
                f"{gun[:80]!a} is not a repository of this registry",
                hint=f"names begin with {known}/; --public-url says how clients reach the registry",
            )
        return RepositoryName(name)

    def publish(self, gun: str, uploaded: Sequence[tuple[str, bytes]], *, admit: Admit) -> None:
        """Take all files or none. Raises ``TrustUpdateRefused``, and what ``admit`` raises."""

        def attempt() -> None:
            held = self._held(gun, dict(uploaded).get("root"))
            decided = decide_update(held, uploaded, self._clock.now())
            if isinstance(decided, Refusal):
                raise TrustUpdateRefused(decided)
            admit(self._publishing(held, decided))
            self._write(held, decided, self.repository(gun))

        _retried(attempt)

    def read(self, gun: str, role: str, *, checksum: str = "", version: int | None = None) -> StoredMetadata:
        """A file: the current one, or exactly the one that is named. Raises ``TrustDataUnknown``."""
        if checksum or version is not None:
            found = self._files.find(gun, role, checksum=checksum, version=version)
        elif role in {"timestamp", "snapshot"}:
            found = _retried(lambda: self._refreshed(gun, self.repository(gun))).get(role)
        else:
            found = self._files.current(gun).get(role)
        if found is None:
            raise TrustDataUnknown(f"there is no such {role} of {gun}")
        return found

    def key(self, gun: str, role: ServerRole) -> TufKey:
        """The server's key for the role: the published one, else one that waits, else a new one."""
        held = self._held(gun, None)
        mine = (signer.key for stored, signer in self._signers(gun) if stored.role == role)
        return current_key(held, role, mine) or self.rotate_key(gun, role)

    def rotate_key(self, gun: str, role: ServerRole) -> TufKey:
        """A new key, which signs as soon as a root names it."""
        private = ec.generate_private_key(ec.SECP256R1())
        signer = MetadataSigner.of(private)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key = TrustKey(role, signer.key.id, pem, self._clock.now())
        self._keys.add(gun, key, keep=frozenset({key.key_id, *self._published(gun)}))
        return signer.key

    def delete(self, gun: str) -> None:
        """Remove everything of the GUN; no error when there is nothing."""
        self._files.delete(gun, self.repository(gun), at=self._clock.now())

    def changes(self, gun: str, change_id: str, records: int) -> tuple[TrustChange, ...]:
        """The feed, as notary pages it: from after ``change_id`` on, or with negative ``records`` before it.

        ``change_id`` -1 is the newest end. Raises ``InvalidInput``.
        """
        try:
            after = int(change_id or "0")
        except ValueError as exc:
            raise InvalidInput(f"change_id is {change_id[:20]!a}, expected a number") from exc
        limit = min(abs(records), MAX_CHANGES) or DEFAULT_CHANGES
        if not -1 <= after < 2**63:
            raise InvalidInput("change_id is out of range")
        return self._files.changes(
            gun, after=None if after == -1 else after, limit=limit, backwards=records < 0
        )

    def published(self, repository: RepositoryName) -> tuple[TrustData, ...]:
        """What the gate has to judge: renewed where only the server's own signatures had expired."""
        found = []
        for gun in self._files.guns(repository):
            # a name under which the registry was known before is the repository's all the same
            files = _retried(lambda gun=gun: self._refreshed(gun, repository))  # type: ignore[misc]  # at once
            roots = newest_within(self._files.roots(gun, newest=MAX_ROOTS))
            needed = [files.get(role) for role in ("timestamp", "snapshot")]
            if not roots or None in needed:
                continue
            targets = {role: one.file.raw for role, one in files.items() if role.startswith("targets")}
            stamp, snapshot = (one.file.raw for one in needed if one is not None)
            metadata = MetadataSet(roots, stamp, snapshot, targets)
            found.append(TrustData(gun, metadata, self._files.floors(gun, _remembered(roots))))
        return tuple(found)

    # --- inside ------------------------------------------------------------------------------------

    def _publishing(self, held: Held, update: Update) -> Publishing:
        new = {file.role: file.raw for file in update.files}
        files = {role: raw for role, raw in {**held.listed, **new}.items() if role not in update.dropped}
        stored = self._files.roots(held.gun, newest=MAX_ROOTS) if held.files else ()
        roots = newest_within((*stored, new["root"])[-MAX_ROOTS:] if "root" in new else stored)
        targets = {role: raw for role, raw in files.items() if role.startswith("targets")}
        metadata = MetadataSet(tuple(roots), new["timestamp"], new["snapshot"], targets)
        signed = tuple(role for role in new if role == "root" or role in targets)
        return Publishing(self.repository(held.gun), TrustData(held.gun, metadata, held.floors), signed)

    def _held(self, gun: str, new_root: bytes | None) -> Held:
        files = {role: stored.file for role, stored in self._files.current(gun).items()}
        roots = tuple(file.raw for role, file in files.items() if role == "root")
        known = _remembered((*roots, new_root) if new_root is not None else roots)
        return Held(
            gun=gun,
            files=files,
            signers=tuple(signer for _stored, signer in self._signers(gun)),
            floors=self._files.floors(gun, known),
        )

    def _refreshed(self, gun: str, repository: RepositoryName) -> Mapping[str, StoredMetadata]:
        current = self._files.current(gun)
        if not has_expired({role: stored.file for role, stored in current.items()}, self._clock.now()):
            return current
        held = self._held(gun, None)
        update = refresh(held, self._clock.now())
        if update is None:
            return current
        self._write(held, update, repository)
        return self._files.current(gun)

    def _write(self, held: Held, update: Update, repository: RepositoryName) -> None:
        self._files.publish(
            Publication(
                gun=held.gun,
                repository=repository,
                files=update.files,
                dropped=update.dropped,
                root_key_ids=update.root_key_ids,
                expected={role: file.version for role, file in held.files.items()},
                at=self._clock.now(),
            )
        )

    def _signers(self, gun: str) -> tuple[tuple[TrustKey, MetadataSigner], ...]:
        return tuple((stored, _signer(stored)) for stored in self._keys.all(gun))

    def _published(self, gun: str) -> frozenset[str]:
        """Ids of the server's keys that the current root names."""
        held = self._held(gun, None)
        roles: tuple[ServerRole, ...] = ("snapshot", "timestamp")
        keys = [signer.key for signer in held.signers]
        named = (current_key(held, role, keys) for role in roles)
        return frozenset(key.id for key in named if key is not None)


def _retried(attempt: Callable[[], T]) -> T:
    """Decide again when somebody else's publish came between. Raises ``Conflict`` when it always does."""
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except Conflict:
            continue
    return attempt()


def newest_within(roots: Sequence[bytes]) -> tuple[bytes, ...]:
    """The newest of them, oldest first, as many as one judgement reads."""
    left, found = MAX_CHAIN_BYTES, []
    for raw in reversed(roots):
        left -= len(raw)
        if left < 0:
            break
        found.append(raw)
    return tuple(reversed(found))


def _remembered(roots: Sequence[bytes]) -> tuple[str, ...]:
    """Under which root keys versions are remembered; an unreadable root has none, and is refused later."""
    ids: dict[str, None] = {}
    for raw in roots:
        try:
            ids |= dict.fromkeys(root_key_ids(raw))
        except Malformed:
            continue
    return tuple(ids)


def _signer(stored: TrustKey) -> MetadataSigner:
    private = serialization.load_pem_private_key(stored.private_pem, password=None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise StorageUnavailable(f"the stored key {stored.key_id} is not an EC key")
    return MetadataSigner.of(private)
