"""Sign a tag in Notary v1 metadata: what stands is asked for, the tag is added, both roles are published."""

from __future__ import annotations

from datetime import datetime

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
    """Sign as docker trust does: ``role`` and ``targets/releases`` name the tag's manifest."""
    delegation_name(role)  # before anything is asked
    found = source.manifest(tag)
    parse_manifest(found.raw, content_type=found.media_type)  # no login page
    standing: MetadataSet = server.metadata(dict.fromkeys((role, RELEASES)))
    files = files_for_tag(
        standing,
        gun=gun,
        tag=str(tag),
        meta=file_meta(found.raw),
        role=role,
        private=private,
        trust=trust,
        now=now,
    )
    server.publish(files)
    return Signed(found.digest, Digest.of(files[role]), role)
