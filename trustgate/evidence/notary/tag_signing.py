"""Sign a tag into a repository's delegations: only on top of what a pinned root proves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from trustgate.errors import InvalidInput
from trustgate.evidence.notary.canonical import Malformed
from trustgate.evidence.notary.chain import TrustedSet, open_set
from trustgate.evidence.notary.fields import is_delegation
from trustgate.evidence.notary.judge import MetadataSet, is_anchored
from trustgate.evidence.notary.keys import TufKey, bare_key
from trustgate.evidence.notary.metadata import Delegation, FileMeta
from trustgate.evidence.notary.signing import MetadataSigner, sign_tag
from trustgate.evidence.notary.trust import RELEASES, NotaryTrust
from trustgate.evidence.signature_bytes import PrivateKey

SIGNER_ADD: Final = "docker trust signer add NAME HOST/REPO --key KEY.pub delegates both roles"
PREFIX: Final = "targets/"


def delegation_name(role: str) -> str:
    """The NAME of ``targets/NAME``. Raises ``InvalidInput``."""
    name = role.removeprefix(PREFIX)
    if not is_delegation(role) or "/" in name:
        raise InvalidInput(f"{role[:80]!a} is not a signer's role", hint="write targets/NAME")
    return name


def files_for_tag(
    metadata: MetadataSet,
    *,
    gun: str,
    tag: str,
    meta: FileMeta,
    role: str,
    private: PrivateKey,
    trust: NotaryTrust,
    now: datetime,
) -> dict[str, bytes]:
    """What to publish so that ``role`` and ``targets/releases`` name the tag, everything else as it stands.

    What stands is signed anew along with it, so it is taken from nobody but a root that ``trust`` pins.
    Raises ``InvalidInput``.
    """
    name = delegation_name(role)
    try:
        # 1. everything that is there is proven, from a pinned root down
        opened = open_set(
            metadata.roots,
            metadata.timestamp,
            metadata.snapshot,
            metadata.targets,
            gun=gun,
            now=now,
            seen={},
        )
        if not is_anchored(opened, trust):
            raise InvalidInput(
                f"the root of {gun} is not signed by a root key that you pinned: nothing was signed",
                hint="docker trust inspect shows the root key; compare it with who made the repository",
            )
        # 2. the key may speak, for this tag, in both roles
        signer = MetadataSigner(_key_for(opened, role, tag, private), private)
        if _key_for(opened, RELEASES, tag, private).id != signer.key.id:
            raise InvalidInput(f"{RELEASES} knows the key in another form than {role}", hint=SIGNER_ADD)
        # 3. the tag is added to what was proven
        current = _standing(opened, (role, RELEASES))
        return sign_tag(name, tag, meta, current=current, by=signer, now=now)
    except Malformed as exc:
        raise InvalidInput(f"the trust data of {gun} can't be built on: {exc}") from exc


def _key_for(opened: TrustedSet, role: str, tag: str, private: PrivateKey) -> TufKey:
    """The delegation's own form of the key: bare, or a certificate."""
    delegation = opened.targets.delegations.get(role)
    if delegation is None:
        raise InvalidInput(f"{opened.gun} has no role {role}", hint=SIGNER_ADD)
    own = bare_key(private.public_key())
    found = next((key for key in delegation.signers.keys if key.canonical_id == own.canonical_id), None)
    if found is None:
        raise InvalidInput(f"{role} does not name this key ({own.id})", hint=SIGNER_ADD)
    _check_alone(delegation, tag)
    return found


def _check_alone(delegation: Delegation, tag: str) -> None:
    if delegation.signers.threshold > 1:
        raise InvalidInput(
            f"{delegation.role} needs {delegation.signers.threshold} signatures, and this would be one",
            hint="sign with notary, which gathers them",
        )
    if not delegation.speaks_for(tag):
        raise InvalidInput(f"{delegation.role} may not name {tag}", hint="its paths don't hold that tag")


def _standing(opened: TrustedSet, roles: tuple[str, ...]) -> Mapping[str, bytes]:
    spoken = {role: opened.open_role(role) for role in roles}
    return {role: found.targets.signed.raw for role, found in spoken.items() if found is not None}
