"""``immutability``: what tags point to stays what it is, and stays there."""

from __future__ import annotations

from typing import Final

from trustgate.evidence.model import Role, Unreachable
from trustgate.evidence.shape import is_referrers_tag
from trustgate.policy.checks.answer import Answer, failed, passed, unknown
from trustgate.policy.model import Action, Evidence, Request, TagState
from trustgate.policy.rules import Immutability, TagScope

_ATTACHED: Final = (".sig", ".att")


def check_immutability(check: Immutability, tags: TagScope, request: Request, evidence: Evidence) -> Answer:
    """``tags`` is the scope of the policy: the tags that it protects."""
    if request.tag is None and request.action is not Action.DELETE:
        return passed("not-a-tag", "a push by digest moves no tag")
    if isinstance(evidence.tag, Unreachable):
        return _not_known(evidence.tag)
    state = evidence.tag.value
    if request.action is Action.DELETE:
        return _delete_tag(check, state) if request.tag else _delete_artifact(check, tags, state)
    return _move(check, request, evidence.subject.role, state)


def _not_known(lost: Unreachable) -> Answer:
    if lost.beyond:
        why, fix = f"which protected tags need it is not known: {lost.why}", "delete those indexes first"
        return unknown("too-many-indexes", why, fix, is_error=False)
    return unknown("tag-unreachable", f"where the tag points can't be read: {lost.why}", "try again")


def _move(check: Immutability, request: Request, role: Role, state: TagState) -> Answer:
    if state.current is None:
        return passed("new-tag", "the tag is new")
    if check.exempt_referrers and _is_referrers(str(request.tag), role):
        return passed("referrers-tag", "a list of referrers or signatures may grow")
    if state.current == request.digest:
        if check.same_digest:
            return failed("same-digest", "the tag exists, and may not be pushed again", fix="use a new tag")
        return passed("same-digest", "the tag points to this digest already")
    if not check.overwrite:
        return passed("overwrite-allowed", "the tag may move")
    return failed(
        "tag-immutable", f"the tag exists and points to {state.current.short}", fix="push under a new tag"
    )


def _is_referrers(tag: str, role: Role) -> bool:
    """By content as well as by name: an image called ``sha256-….sig`` is an image."""
    if not is_referrers_tag(tag):
        return False
    if tag.endswith(_ATTACHED):
        return role is Role.SIGNATURE
    return role is Role.INDEX and "." not in tag


def _delete_tag(check: Immutability, state: TagState) -> Answer:
    if state.current is None:
        return passed("no-such-tag", "there is no such tag")
    if not check.delete_tag:
        return passed("delete-allowed", "the tag may be deleted")
    return failed("tag-protected", "the tag may not be deleted", fix="leave it, or ask the policy's owner")


def _delete_artifact(check: Immutability, tags: TagScope, state: TagState) -> Answer:
    protected = [tag for tag in (*state.tags_of_digest, *state.tags_of_parents) if tags.covers(tag)]
    if not protected:
        return passed("no-protected-tag", "no protected tag points to it")
    if not check.delete_artifact:
        return passed("delete-allowed", "the manifest may be deleted")
    rest = f" and {len(protected) - 1} more" if len(protected) > 1 else ""
    return failed(
        "digest-protected",
        f"the protected tag {protected[0]}{rest} points to it, or to an index that contains it",
        fix="leave it, or ask the policy's owner",
    )
