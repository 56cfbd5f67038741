from __future__ import annotations

import re
import string
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustgate.evidence.sigstore.pattern import (
    MAX_PATTERN_CHARACTERS,
    MAX_TEXT_CHARACTERS,
    PatternRefused,
    anchored,
    exact,
    glob,
    whole,
)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("^a$", ["a"], ["", "aa", "b", "a\n", "A"]),
        ("^a+b*c?$", ["a", "aabbc"], ["b", "acc"]),
        ("^a{2}$", ["aa"], ["a", "aaa"]),
        ("^a{2,}$", ["aa", "aaaa"], ["a"]),
        ("^a{1,2}$", ["a", "aa"], ["", "aaa"]),
        ("^(a|bc)+$", ["a", "bca"], ["b", "ab"]),
        ("^(?:a|b)x$", ["ax", "bx"], ["x", "abx"]),
        ("^a$|^b$", ["a", "b"], ["ab"]),
        ("^(a|)b$", ["ab", "b"], ["a"]),
        ("^.$", ["x", "é"], ["", "\n", "xx"]),
        (r"^\.$", ["."], ["x"]),
        (r"^\d\w\s$", ["1a ", "0_\t"], ["a1 ", "1- "]),
        ("^[a-c]$", ["a", "c"], ["d", "-"]),
        ("^[^a-c]$", ["d", "-", "\n"], ["a", ""]),
        ("^[]a]$", ["]", "a"], ["b"]),
        ("^[a-]$", ["a", "-"], ["b"]),
        (r"^[\d.\-\]]$", ["5", ".", "-", "]"], ["a", "\\"]),
        (r"^[\--/]$", ["-", ".", "/"], [","]),
        (r"^[+-\-]$", ["+", ",", "-"], ["."]),
        (r"^https://github\.com/org/.*@refs/tags/v[0-9]+$", ["https://github.com/org/x@refs/tags/v1"], []),
        ("^(a*)*b$", ["b", "aab"], ["a"]),
        ("^((a?){2}){2}b$", ["b", "aaaab"], ["aaaaab"]),
        ("^x^y$|^z$", ["z"], ["xy", "x^y"]),
    ],
)
def test_what_patterns_match(pattern: str, yes: list[str], no: list[str]) -> None:
    found = anchored(pattern)
    assert [text for text in yes if not found.matches(text)] == []
    assert [text for text in no if found.matches(text)] == []


@pytest.mark.parametrize(
    "pattern",
    ["a", "^a", "a$", "^a|b$", r"^a\$", "^(a$|b)", "a|^b$", "^a$|b", r"^a\\\$", ".*", "^a|^b$"],
)
def test_a_pattern_that_is_not_anchored_is_refused(pattern: str) -> None:
    with pytest.raises(PatternRefused, match="not anchored"):
        anchored(pattern)


def test_an_escaped_backslash_before_the_end_is_anchored() -> None:
    assert anchored(r"^a\\$").matches("a\\")


@pytest.mark.parametrize("pattern", ["job/bui", ".*", "a|b"])
def test_cosign_s_patterns_match_the_whole_text(pattern: str) -> None:
    found = whole(pattern + "x")
    assert not found.matches("https://ci.test/job/buix/more")


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("", "1 to"),
        ("a" * (MAX_PATTERN_CHARACTERS + 1), "1 to"),
        ("^$", "empty text"),
        ("^a*$", "empty text"),
        ("^(a$", "without"),
        ("^a)$", "without"),
        ("^[a$", "too early"),
        ("^a\\", "too early"),
        ("^*$", "nothing before"),
        ("^(+a)$", "nothing before"),
        ("^a**$", "after a quantifier"),
        ("^a+?$", "after a quantifier"),
        ("^a{2}{3}$", "after a quantifier"),
        ("^a{$", "no count"),
        ("^a{x}$", "no count"),
        ("^a{1,x}$", "no count"),
        ("^a{999}$", "no count"),
        ("^a{3,2}$", "lies before"),
        ("^(?i)a$", "flag"),
        ("^(?=a)b$", "look-around"),
        ("^(?P<n>a)$", "name"),
        (r"^(a)\1$", "escape"),
        (r"^\ba$", "escape"),
        (r"^\pL$", "escape"),
        ("^[[:alpha:]]$", "named class"),
        ("^[z-a]$", "range"),
        ("^[a-é]$", "range"),
        (r"^[a-\d]$", "range"),
        ("^((((((((((((((((((a))))))))))))))))))$", "deeper"),
        ("^((a{200}){200})$", "states"),
    ],
)
def test_what_is_not_a_pattern_here(pattern: str, word: str) -> None:
    with pytest.raises(PatternRefused, match=word):
        anchored(pattern)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("refs/tags/v*", ["refs/tags/v1", "refs/tags/v"], ["refs/tags/v1/x", "refs/heads/v1"]),
        ("https://ci.test/**", ["https://ci.test/a/b"], ["https://ci.test", "http://ci.test/a"]),
        ("*.test", ["a.test", ".test"], ["axtest", "a/b.test"]),
        ("a?c", ["a?c"], ["abc"]),
    ],
)
def test_globs(pattern: str, yes: list[str], no: list[str]) -> None:
    found = glob(pattern)
    assert [text for text in yes if not found.matches(text)] == []
    assert [text for text in no if found.matches(text)] == []


@pytest.mark.parametrize("pattern", ["", "*", "**", "x" * 600])
def test_globs_that_say_nothing(pattern: str) -> None:
    with pytest.raises(PatternRefused):
        glob(pattern)


def test_the_empty_text_is_no_exact_value() -> None:
    with pytest.raises(PatternRefused, match="empty"):
        exact("")
    assert exact("a").matches("a")
    assert not exact("a").matches("A")


def test_long_texts_match_nothing() -> None:
    assert anchored("^.+$").matches("a" * MAX_TEXT_CHARACTERS)
    assert not anchored("^.+$").matches("a" * (MAX_TEXT_CHARACTERS + 1))


@pytest.mark.parametrize("pattern", ["^(a+)+b$", "^(a|a)*b$", "^(a*)*b$", "^a*a*a*a*a*a*b$", "^(.*a){12}b$"])
def test_no_pattern_is_slow(pattern: str) -> None:
    found = anchored(pattern)
    started = perf_counter()
    assert not found.matches("a" * MAX_TEXT_CHARACTERS)
    assert perf_counter() - started < 2


@given(st.text(max_size=40))
def test_whatever_is_written_it_is_a_pattern_or_refused(source: str) -> None:
    for make in (anchored, whole, glob, exact):
        try:
            found = make(source)
        except PatternRefused:
            continue
        found.matches(source)
        found.matches("")


PIECES = st.sampled_from(
    [r"a", r"b", r".", r"[ab]", r"[^a]", r"(a|b)", r"(?:ab)", r"\d", r"a*", r"b+", r"c?"]
)


@given(st.lists(PIECES, min_size=1, max_size=5), st.text(alphabet="abc1", max_size=8))
def test_the_same_as_python_s_own(pieces: list[str], text: str) -> None:
    source = "".join(pieces)
    assert whole(source).matches(text) == bool(re.fullmatch(source, text))


@given(st.text(alphabet=string.ascii_letters + string.punctuation, min_size=1, max_size=20))
def test_an_escaped_text_matches_itself_alone(text: str) -> None:
    source = "".join(one if one.isalnum() else f"\\{one}" for one in text)
    found = anchored(f"^{source}$")
    assert found.matches(text)
    assert not found.matches(text + "x")
    assert not found.matches("x" + text)
