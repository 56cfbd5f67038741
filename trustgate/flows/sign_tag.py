"""Sign a tag in Notary v1 metadata: what stands is asked for, the tag is added, both roles are published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from trustgate.errors import UpstreamRefused
from trustgate.evidence.notary.judge import MetadataSet
from trustgate.evidence.notary.signing import file_meta
from trustgate.evidence.notary.tag_signing import delegation_name, files_for_tag
from trustgate.evidence.notary.trust import RELEASES, NotaryTrust
from trustgate.evidence.signature_bytes import PrivateKey
from trustgate.flows.sign import Signed
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import parse_manifest
from trustgate.oci.names import Tag
from trustgate.ports import ImageSource
from trustgate.ports.notary import TrustServer

ATTEMPTS: Final = 4
"""How often a tag is signed anew when another publish came between."""


def sign_tag(
    source: ImageSource,
    tag: Tag,
    server: TrustServer,
    private: PrivateKey,
    *,
    gun: str,
    role: str,
    trust: NotaryTrust,
    now: datetime,
) -> Signed:
    """Sign as docker trust does: ``role`` and ``targets/releases`` name the tag's manifest.

    When somebody else publishes in between it is signed anew, on top of theirs.
    """
    delegation_name(role)  # before anything is asked
    found = source.manifest(tag)
    parse_manifest(found.raw, content_type=found.media_type)  # no login page
    meta = file_meta(found.raw)

    def attempt(standing: MetadataSet) -> Mapping[str, bytes]:
        files = files_for_tag(
            standing, gun=gun, tag=str(tag), meta=meta, role=role, private=private, trust=trust, now=now
        )
        server.publish(files)
        return files

    files = _published(server, tuple(dict.fromkeys((role, RELEASES))), attempt)
    return Signed(found.digest, Digest.of(files[role]), role)


def _published(
    server: TrustServer, roles: tuple[str, ...], attempt: Callable[[MetadataSet], Mapping[str, bytes]]
) -> Mapping[str, bytes]:
    """Once more when what stands is no longer what was built on; any other refusal is one."""
    standing = server.metadata(roles)
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt(standing)
        except UpstreamRefused:
            before, standing = standing, server.metadata(roles)
            if standing == before:
                raise
    return attempt(standing)
