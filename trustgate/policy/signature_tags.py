"""Tags under which clients keep signatures may grow: nobody hides another's signature by pushing over it.

cosign reads ``sha256-….sig`` and ``sha256-….att``, and where a registry lists no referrers ``sha256-…``.
Whoever may push could replace what lies there; that takes a signature away, so it asks for the permission
to delete.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from trustgate.evidence.model import Role
from trustgate.evidence.shape import MAX_SIGNATURE_LAYERS
from trustgate.oci import media
from trustgate.oci.manifest import Manifest
from trustgate.policy.house_rule import house_refusal
from trustgate.policy.model import Request, Verdict

RULE: Final = "registry/signature-tags"
_ATTACHED: Final = re.compile(r"sha256-[0-9a-f]{64}\.(sig|att)")
_FIXES: Final = {
    "signatures-lost": "add to what stands there (cosign does), or push as someone who may delete",
    "signatures-full": "sign with a bundle (cosign 3 does), or have someone who may delete clear the tag",
    "not-a-signature": "push it under another tag",
}
_LISTED: Final = re.compile(r"sha(256|512)-[0-9a-f]{64}")


def why_not(
    tag: str, *, current: Manifest | None, held_as: Role | None, new: Manifest, role: Role
) -> tuple[str, str]:
    """(reason code, message) against letting ``tag`` point to ``new``; both empty when nothing is.

    ``held_as`` is the role of ``current``, ``role`` that of ``new``.
    """
    if _ATTACHED.fullmatch(tag):
        if not _is_attached(tag, new, role):
            return _full(new) or ("not-a-signature", "only signatures may stand under such a tag")
    elif not (_LISTED.fullmatch(tag) and new.kind == "index"):
        return "", ""
    if current is None or current.kind != new.kind:
        return "", ""
    if held_as is Role.SIGNATURE and role is not Role.SIGNATURE:
        return "signatures-lost", "with what is added, what stands under the tag would not be read any more"
    kept = set(_entries(new))
    lost = [one for one in _entries(current) if one not in kept]
    if lost:
        return "signatures-lost", f"{len(lost)} of those that stand under the tag would be lost"
    return "", ""


def _full(new: Manifest) -> tuple[str, str] | None:
    count = len(new.layers)
    if count <= MAX_SIGNATURE_LAYERS or not _all_layers(new, media.COSIGN_SIMPLE_SIGNING):
        return None
    return "signatures-full", f"{count} signatures would stand under the tag, {MAX_SIGNATURE_LAYERS} are read"


def _is_attached(tag: str, new: Manifest, role: Role) -> bool:
    """By content for signatures; of attestations the envelopes are enough, whatever their number and size."""
    if tag.endswith(".sig"):
        return (
            role is Role.SIGNATURE and new.subject is None and _all_layers(new, media.COSIGN_SIMPLE_SIGNING)
        )
    return _all_layers(new, media.DSSE_ENVELOPE)


def _all_layers(new: Manifest, media_type: str) -> bool:
    return bool(new.layers) and all(layer.media_type == media_type for layer in new.layers)


def _entries(manifest: Manifest) -> tuple[str, ...]:
    """What must stay: each signature with its annotations, each listed manifest by its digest."""
    if manifest.kind == "index":
        return tuple(str(child.digest) for child in manifest.children)
    return tuple(f"{layer.digest} {sorted(layer.annotations.items())}" for layer in manifest.layers)


def refusal(request: Request, code: str, message: str, *, policy_revision: str, now: datetime) -> Verdict:
    """The verdict on such a push."""
    return house_refusal(
        request, RULE, code, message, fix=_FIXES[code], policy_revision=policy_revision, now=now
    )
