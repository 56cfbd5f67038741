"""A whole set of metadata, verified from its roots down to the targets; delegations when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Final

from trustgate.evidence.notary.canonical import Malformed
from trustgate.evidence.notary.fields import parent_of
from trustgate.evidence.notary.keys import TufKey
from trustgate.evidence.notary.metadata import (
    Delegation,
    FileMeta,
    Listing,
    Root,
    Targets,
    read_root,
    read_snapshot,
    read_targets,
    read_timestamp,
)
from trustgate.evidence.notary.verify import (
    check_content,
    check_in_time,
    check_next_root,
    check_signatures,
    check_version,
    root_signers,
)

MAX_ROOTS: Final = 128
"""Root versions of one repository; a root is made for ten years."""


@dataclass(frozen=True, slots=True)
class SpokenRole:
    """A targets role that was verified, with the keys that signed it and what it may speak for."""

    targets: Targets
    signers: tuple[TufKey, ...]
    limits: tuple[Delegation, ...]

    def names(self) -> Iterator[tuple[str, FileMeta]]:
        """The targets that every delegation on the way lets it name."""
        for name, meta in self.targets.targets.items():
            if all(limit.speaks_for(name) for limit in self.limits):
                yield name, meta


@dataclass(slots=True)
class TrustedSet:
    """Roots, timestamp, snapshot and targets that belong together and are in time."""

    gun: str
    roots: tuple[Root, ...]
    timestamp: Listing
    snapshot: Listing
    targets: Targets
    files: Mapping[str, bytes] = field(repr=False)
    now: datetime
    seen: Mapping[str, int]
    _spoken: dict[str, SpokenRole] = field(default_factory=dict)

    @property
    def root(self) -> Root:
        return self.roots[-1]

    def role(self, name: str) -> Targets:
        """A targets role that was opened already."""
        return self._spoken[name].targets

    def open_role(self, name: str) -> SpokenRole | None:
        """Verify ``targets`` or a delegation below it; ``None`` when there is none.

        Raises ``Malformed`` when it is there and is not what its parent, the snapshot and time ask for.
        """
        known = self._spoken.get(name)
        if known is not None:
            return known
        parent = self.open_role(parent_of(name))
        delegation = parent.targets.delegations.get(name) if parent else None
        if parent is None or delegation is None or name not in self.snapshot.meta:
            return None
        targets = read_targets(name, self._file(name))
        signers = check_signatures(targets.signed, delegation.signers)
        check_version(targets.signed, self.seen)
        check_in_time(targets.signed, self.now)
        spoken = SpokenRole(targets, signers, (*parent.limits, delegation))
        self._spoken[name] = spoken
        return spoken

    @property
    def valid_until(self) -> datetime:
        """The earliest expiry of everything that was opened."""
        listings = (self.root.signed, self.timestamp.signed, self.snapshot.signed)
        spoken = (role.targets.signed for role in self._spoken.values())
        return min(signed.expires for signed in (*listings, *spoken))

    def versions(self, seen: Mapping[str, int]) -> dict[str, int]:
        """``seen``, raised to what was proven here."""
        found = dict(seen)
        proven = (self.root.signed, self.timestamp.signed, self.snapshot.signed)
        for signed in (*proven, *(role.targets.signed for role in self._spoken.values())):
            found[signed.role] = max(found.get(signed.role, 0), signed.version)
        return found

    def _file(self, name: str) -> bytes:
        raw = self.files.get(name)
        if raw is None:
            raise Malformed(f"the snapshot lists {name}, which is missing")
        check_content(raw, self.snapshot.meta[name], name)
        return raw

    def open_targets(self) -> None:
        """The one role that the root itself names."""
        signers = check_signatures(self.targets.signed, self.root.roles["targets"])
        self._spoken["targets"] = SpokenRole(self.targets, signers, ())


def open_set(
    roots: Sequence[bytes],
    timestamp: bytes,
    snapshot: bytes,
    targets: Mapping[str, bytes],
    *,
    gun: str,
    now: datetime,
    seen: Mapping[str, int],
) -> TrustedSet:
    """Everything but who is trusted: forms, signatures, versions, expiry, and that the files are one set.

    Raises ``Malformed``.
    """
    # 1. a chain of roots, each signed by the keys before it and by its own
    chain = open_roots(roots, gun=gun, now=now, seen=seen)
    root = chain[-1]
    # 2. the timestamp says which snapshot, the snapshot which of all other files
    stamp = read_timestamp(timestamp)
    check_signatures(stamp.signed, root.roles["timestamp"])
    listing = read_snapshot(snapshot)
    check_content(snapshot, stamp.meta["snapshot"], "snapshot")
    check_signatures(listing.signed, root.roles["snapshot"])
    check_content(root.signed.raw, listing.meta["root"], "root")
    main = targets.get("targets")
    if main is None:
        raise Malformed("there is no targets file")
    check_content(main, listing.meta["targets"], "targets")
    top = read_targets("targets", main)
    # 3. never back, never too late
    for signed in (stamp.signed, listing.signed, top.signed):
        check_version(signed, seen)
        check_in_time(signed, now)
    opened = TrustedSet(gun, chain, stamp, listing, top, targets, now, seen)
    opened.open_targets()
    return opened


def open_roots(
    roots: Sequence[bytes], *, gun: str, now: datetime, seen: Mapping[str, int]
) -> tuple[Root, ...]:
    """Raises ``Malformed``; only the newest has to be in time."""
    if not 1 <= len(roots) <= MAX_ROOTS:
        raise Malformed(f"there are {len(roots)} roots, expected 1 to {MAX_ROOTS}")
    chain = tuple(read_root(raw) for raw in roots)
    for root in chain:
        check_signatures(root.signed, root_signers(root, gun, now if root is chain[-1] else None))
    for previous, following in pairwise(chain):
        check_next_root(previous, following, gun)
    check_version(chain[-1].signed, seen)
    check_in_time(chain[-1].signed, now)
    return chain
