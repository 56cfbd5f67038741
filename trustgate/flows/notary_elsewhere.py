"""Trust data on somebody else's Notary v1 server, asked for as it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from trustgate.errors import InvalidInput, NotFound, StorageUnavailable
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.notary.fields import parent_of
from trustgate.evidence.notary.trust import TARGETS, NotaryTrust
from trustgate.flows.notary import TrustData, newest_within
from trustgate.flows.source_reader import as_storage
from trustgate.oci.names import RepositoryName
from trustgate.ports.notary import TrustServer


class TrustElsewhere:
    """``PublishedTrust`` of one GUN, read once. Nobody here knows older versions: rollbacks go unnoticed."""

    def __init__(self, server: TrustServer, gun: str, roles: tuple[str, ...]) -> None:
        self._server = server
        self._gun = gun
        self._roles = roles
        self._found: tuple[TrustData, ...] | None = None

    def published(self, repository: RepositoryName) -> tuple[TrustData, ...]:  # noqa: ARG002 - the port's
        if self._found is None:
            self._found = self._published()
        return self._found

    def _published(self) -> tuple[TrustData, ...]:
        try:
            with as_storage():
                metadata = self._server.metadata(self._roles)
        except NotFound:
            return ()
        except InvalidInput as exc:
            raise StorageUnavailable(f"the trust data of {self._gun} can't be read: {exc.message}") from exc
        bounded = replace(metadata, roots=newest_within(metadata.roots))
        return (TrustData(self._gun, bounded, {}),)


@dataclass(frozen=True, slots=True)
class TrustNotAsked:
    """``PublishedTrust`` where nobody can be asked (``why``), or nobody has to be (no ``why``)."""

    why: str = ""

    def published(self, repository: RepositoryName) -> tuple[TrustData, ...]:  # noqa: ARG002 - the port's
        if self.why:
            raise StorageUnavailable(self.why)
        return ()


def roles_to_read(attestors: Iterable[Attestor]) -> tuple[str, ...]:
    """Every role that one of them counts, and those above it that have to vouch for it."""
    roles: dict[str, None] = {}
    for one in attestors:
        for role in one.trust.roles if isinstance(one.trust, NotaryTrust) else ():
            while role not in ("", TARGETS):
                roles[role] = None
                role = parent_of(role)  # noqa: PLW2901 - upwards
    return tuple(roles)
