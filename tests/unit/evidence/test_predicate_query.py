"""Queries to predicates: only what is true is a yes, and nothing that a document holds raises."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustgate.evidence.cel import Expression
from trustgate.evidence.predicate_query import (
    MAX_ITEMS,
    MAX_SHOWN,
    MAX_SHOWN_CHARACTERS,
    MAX_VIOLATIONS,
    PredicateQuery,
    QueryRefused,
    read_expression,
    read_path,
    read_query,
)

LOOPS = "predicate.a.all(x, predicate.a.all(y, predicate.a.all(z, x < 9)))"
BUILDER = "predicate.runDetails.builder.id == 'https://ci.test/runner'"
LOG4J = "item.name == 'log4j-core' && item.versionInfo.matches('^2[.](0|1[0-6])[.]')"
PROVENANCE = {"runDetails": {"builder": {"id": "https://ci.test/runner"}}}


def query(cel: str = "", each: str = "", deny_when: str = "") -> PredicateQuery:
    return read_query(cel_text=cel, each=each, deny_when=deny_when)


def packages(*versions: str) -> dict[str, Any]:
    return {"packages": [{"name": "log4j-core", "versionInfo": version} for version in versions]}


@pytest.mark.parametrize(
    ("cel", "predicate", "holds", "why"),
    [
        (BUILDER, PROVENANCE, True, ""),
        (BUILDER, {"runDetails": {"builder": {"id": "https://evil.test"}}}, False, "it is false"),
        (BUILDER, {"runDetails": {"builder": {}}}, False, 'Key not found in map : "id"'),
        (BUILDER, {"runDetails": {"builder": "x"}}, False, "can't be answered"),
        (BUILDER, {}, False, "can't be answered"),
        (BUILDER, None, False, "can't be answered"),
        (BUILDER, "SPDXVersion: SPDX-2.3", False, "can't be answered"),
        (BUILDER, [], False, "can't be answered"),
        ("!(has(predicate.a) && predicate.a == 1)", {"a": 2}, True, ""),
        ("has(predicate.a) && predicate.a", {"a": "true"}, False, "can't be answered"),
        ("has(predicate.a) && predicate.a", {"a": 1}, False, "can't be answered"),
        ("has(predicate.a) && predicate.a", {"a": True}, True, ""),
        ("predicate.a == 18446744073709551615u", {"a": 2**64 - 1}, True, ""),
        ("predicate.a > 0", {"a": 2**64}, True, ""),
        (LOOPS, {"a": [1] * 300}, False, "can't be answered: "),
        ("predicate.a.matches('^(a+)+$')", {"a": "a" * 4000 + "b"}, False, "it is false"),
        ("predicate.a == 'x'", {"a": "a" * 5000}, False, "a text of more than 4096 characters"),
        ("predicate.a == 'x'", {"a": "x", "other": "a" * 5000}, True, ""),
        ("predicate.a[0] == 1", {"a": [1] * 20_001}, False, "more than 20000 values"),
        ("predicate.a == 1", {"a": 10**400}, False, "a number that is too large"),
        ("predicate.a == 1", {"a": 1.0}, True, ""),
    ],
)
def test_cel(cel: str, predicate: Any, holds: bool, why: str) -> None:
    said = query(cel).ask(predicate)
    assert (said.holds, why in said.reason) == (holds, True), said
    assert said.query == query(cel).id


@pytest.mark.parametrize(
    ("predicate", "holds", "reason", "items"),
    [
        (packages("2.17.0"), True, "", ()),
        (
            packages("2.17.0", "2.16.0"),
            False,
            "1 of 2 in predicate.packages are denied",
            ("log4j-core 2.16.0",),
        ),
        (packages(), False, "predicate.packages is empty: nothing was looked at", ()),
        ({}, False, "predicate.packages is no list", ()),
        ({"packages": {"a": 1}}, False, "predicate.packages is no list", ()),
        ("text", False, "predicate.packages is no list", ()),
        ({"packages": [{"name": "log4j-core"}]}, False, "1 of 1 in predicate.packages are denied", None),
        ({"packages": [{"name": "other"}]}, True, "", ()),
        ({"packages": [{}]}, False, "1 of 1 in predicate.packages are denied", None),
        ({"packages": [None, 3, "x"]}, False, "3 of 3 in predicate.packages are denied", None),
        (
            {"packages": [{"name": "a"}] * (MAX_ITEMS + 1)},
            False,
            f"has {MAX_ITEMS + 1} items, at most {MAX_ITEMS}",
            (),
        ),
        ({"packages": [{"name": "a"}] * MAX_ITEMS}, True, "", ()),
    ],
)
def test_each(predicate: Any, holds: bool, reason: str, items: tuple[str, ...] | None) -> None:
    said = query(each="predicate.packages", deny_when=LOG4J).ask(predicate)
    assert (said.holds, reason in said.reason) == (holds, True), said
    if items is None:
        assert all("can't be" in item for item in said.items)
    else:
        assert said.items == items


def test_what_denies_is_named_and_counted_within_bounds() -> None:
    asked = query(each="predicate.packages", deny_when="item.name != ''")
    said = asked.ask({"packages": [{"name": "x" * 500}] * (MAX_VIOLATIONS + 5)})
    assert (len(said.items), said.more) == (MAX_SHOWN, MAX_VIOLATIONS - MAX_SHOWN)
    assert said.reason.startswith(f"{MAX_VIOLATIONS} or more of")
    assert {len(item) for item in said.items} == {MAX_SHOWN_CHARACTERS}
    named = [
        {"purl": "pkg:npm/a@1", "name": "a"},
        {"name": "b", "version": "2"},
        {"id": "c"},
        {"x": 1, "name": ""},
    ]
    assert query(each="predicate.p", deny_when="has(item.id) || !has(item.id)").ask({"p": named}).items == (
        "pkg:npm/a@1",
        "b 2",
        "c",
        '{"x": 1, "name": ""}',
    )


def test_both_have_to_hold() -> None:
    both = query(BUILDER, "predicate.packages", LOG4J)
    assert both.ask(PROVENANCE | packages("2.17.0")).holds
    assert not both.ask(PROVENANCE | packages("2.16.0")).holds
    assert not both.ask(packages("2.17.0")).holds
    assert not both.ask(PROVENANCE).holds


def test_a_question_is_known_by_what_it_asks() -> None:
    one, two = "item.x == 1", "item.x == 2"
    asked = [query(BUILDER), query("has(predicate.a)"), query(each="predicate.a", deny_when=one)]
    asked += [query(each="predicate.b", deny_when=one), query(each="predicate.a", deny_when=two)]
    assert len({one.id for one in asked}) == len(asked)
    assert query(BUILDER).id == query(BUILDER).id


@pytest.mark.parametrize(
    "text", ["predicate", "predicate.", ".a", "predicate.a b", "predicate.a[0]", "item.a", "predicate.1"]
)
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(QueryRefused, match="no path"):
        read_path(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.booleans())
def test_any_text_compiles_or_is_refused(text: str, of_item: bool) -> None:
    with contextlib.suppress(QueryRefused):
        assert read_expression(text, of_item=of_item) == text


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(
    values,
    st.sampled_from(
        [BUILDER, "predicate.a == predicate.b", "predicate.exists(x, x == 1)", "has(predicate.a)"]
    ),
)
def test_no_document_raises_and_a_yes_is_true(document: Any, cel: str) -> None:
    for predicate in (document, {"a": document, "b": document, "packages": [document]}):
        said = query(cel, "predicate.packages", LOG4J).ask(predicate)
        assert said.holds is True or said.reason


def test_an_engine_that_raises_is_no_yes() -> None:
    class Broken:
        def eval(self, **_named: Any) -> Any:
            raise OverflowError("too much")

    said = Expression("true", "predicate", None, Broken()).ask({})
    assert (said.is_true, said.why) == (None, "too much")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("predicate.a + 'x' == 'y'", "undeclared reference to '_+_'"),
        ("predicate.a.map(x, x) == predicate.b", "undeclared reference to"),
        ("predicate.a.filter(x, x == 1) == predicate.b", "undeclared reference to"),
        ("predicate.a in [predicate.b]", "a list of what is not constant"),
        ("predicate == {'a': 1}", "writes a map"),
        ("predicate.a.matches(predicate.b)", "a pattern that is written out"),
        ("predicate.a.matches('a{101}')", "has a pattern of more than"),
        ("predicate.a.matches('a{2}b{2}')", "with more than one {n}"),
        ("predicate.a.matches('(')", "a pattern that can't be read"),
        (f"predicate.a.matches('{'a' * 257}')", "has a pattern of more than 256"),
        ("predicate.b == predicate.b && 1 == 2 ? 1 : 2", "has to be true or false"),
        ("true", "does not mention predicate"),
    ],
)
def test_expressions_that_could_grow_are_not_read(text: str, why: str) -> None:
    with pytest.raises(QueryRefused) as caught:
        read_expression(text, of_item=False)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "predicate.a in ['x', \"y\", r'[z]', 1, -2, 1.5, true, null]",
        "predicate.a['b'][0] == 1",
        "predicate.a.exists(x, x.b.matches('^v[0-9]{1,3}$')) // [a comment]",
        "size(predicate.a) > 0 && int(predicate.b) == 3",
    ],
)
def test_expressions_that_are_read(text: str) -> None:
    assert read_expression(text, of_item=False) == text
