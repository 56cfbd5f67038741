"""What a caller may do: grants, tokens, and the question that is asked before a name is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgate.flows.access import Actor
from trustgate.policy.model import Caller
from trustgate.ports import Grant, Permission

PUSH: frozenset[Permission] = frozenset({"push"})


def actor(*patterns: str, scope: dict[str, frozenset[Permission]] | None = None) -> Actor:
    return Actor(Caller("ci"), grants=tuple(Grant(pattern, PUSH) for pattern in patterns), scope=scope)


@pytest.mark.parametrize(
    ("patterns", "project", "expected"),
    [
        (["shop"], "shop", True),
        (["shop"], "shopping", False),
        (["shop/web"], "shop", True),
        (["shop/web"], "den", False),
        (["shop/*"], "shop", True),
        (["sh*/web"], "shop", True),
        (["**"], "den", True),
        (["sh**web"], "shop", True),
        (["sh**web"], "den", False),
        ([], "shop", False),
    ],
)
def test_whether_it_might_be_allowed(patterns: list[str], project: str, expected: bool) -> None:
    assert actor(*patterns).may_below("push", project) is expected
    assert not actor(*patterns).may_below("delete", project)


def test_a_token_allows_no_more_than_it_names() -> None:
    named = actor("**", scope={"shop/web": PUSH})
    assert named.may_below("push", "shop")
    assert not named.may_below("push", "den")
    assert not named.may_below("delete", "shop")
    assert not actor("den", scope={"shop/web": PUSH}).may_below("push", "shop")


def test_who_administers_may_everywhere() -> None:
    assert Actor(Caller("admin"), is_admin=True).may_below("push", "shop")
    everything: frozenset[Permission] = frozenset({"admin"})
    assert Actor(Caller("lead"), grants=(Grant("shop", everything),)).may_below("push", "shop")


words = st.sampled_from(["shop", "sh*", "**", "*", "web", "s**b"])


@given(
    st.lists(words, min_size=1, max_size=3), st.sampled_from(["shop", "den"]), st.sampled_from(["web", "a/b"])
)
def test_a_no_is_never_wrong(parts: list[str], project: str, rest: str) -> None:
    one = actor("/".join(parts))
    if one.may("push", f"{project}/{rest}"):
        assert one.may_below("push", project)
