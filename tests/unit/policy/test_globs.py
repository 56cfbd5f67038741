"""Globs: what they match, what they can't match, and that no name makes them slow."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgate.policy.globs import (
    GlobInvalid,
    caller_glob,
    matches_any,
    repository_glob,
    rule_glob,
    tag_glob,
)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("**", "a/b/c", True),
        ("a", "a", True),
        ("a", "a/b", False),
        ("a/*", "a/b", True),
        ("a/*", "a", False),
        ("a/**", "a", True),
        ("a/**", "ab", False),
        ("**/c", "a/b/c", True),
        ("**/c", "c", True),
        ("a/**/d", "a/d", True),
        ("a/**/d", "a/b/c/d", True),
        ("a/**/d", "a/b/c", False),
        ("a/**/b/**/c", "a/x/b/y/b/c", True),
        ("base-*", "base-", True),
        ("ba?e", "base", True),
        ("ba?e", "bae", False),
        ("*", "a/b", False),
    ],
)
def test_repositories(pattern: str, name: str, expected: bool) -> None:
    assert repository_glob(pattern).matches(name) is expected


def test_tags_callers_rules() -> None:
    assert tag_glob("**").matches("v1.0")
    assert tag_glob("v*.*").matches("v1.0")
    assert not tag_glob("v*.*").matches("v1")
    assert caller_glob("robot$*").matches("robot$a")
    assert rule_glob("*").matches("prod/signed")
    assert rule_glob("*/signed").matches("prod/signed")
    assert not rule_glob("*/signed").matches("prod/severity")
    assert not matches_any((), "a")


@pytest.mark.parametrize(
    "text", ["", "A", "a b", "/a", "a/", "a//b", "a***", "x**", "a/**b", ".a", "a/_", "[ab]"]
)
def test_patterns_that_can_match_nothing(text: str) -> None:
    with pytest.raises(GlobInvalid):
        repository_glob(text)


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ("**", "a", True),
        ("a/**", "a/b", True),
        ("a/**", "a/**", True),
        ("a/**", "a", True),
        ("a/**", "ab/c", False),
        ("a/*", "a/b", False),
        ("*/**", "a/b", False),
    ],
)
def test_covers(outer: str, inner: str, expected: bool) -> None:
    assert repository_glob(outer).covers(repository_glob(inner)) is expected


def test_no_pattern_is_slow() -> None:
    began = time.perf_counter()
    assert not tag_glob("*a" * 60 + "b").matches("a" * 128)
    assert not repository_glob("**/a/" * 50 + "b").matches("/".join("a" * 127))
    assert time.perf_counter() - began < 0.5


@given(st.text(alphabet="ab*?", min_size=1, max_size=8), st.text(alphabet="ab", min_size=1, max_size=8))
def test_agrees_with_a_regular_expression(pattern: str, name: str) -> None:
    expected = re.sub(r"\*+", ".*", pattern).replace("?", ".")
    assert tag_glob(pattern).matches(name) is bool(re.fullmatch(expected, name))
