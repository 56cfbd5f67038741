"""What is written into a statement's subject: shown as it was signed, and bounded."""

from __future__ import annotations

from typing import Any

import pytest

from trustgate.evidence.dsse import MAX_ANNOTATION_CHARACTERS, MAX_ANNOTATIONS, Statement


def annotations(subjects: Any) -> tuple[tuple[str, str], ...]:
    return Statement("type", "predicate", subjects, None).annotations


def test_the_texts_of_the_only_subject_in_order() -> None:
    assert annotations([{"annotations": {"z": "1", "a": "2", "n": 3}}]) == (("a", "2"), ("z", "1"))
    most = {str(number): "" for number in range(MAX_ANNOTATIONS)}
    assert len(annotations([{"annotations": most}])) == MAX_ANNOTATIONS


@pytest.mark.parametrize(
    "subjects",
    [
        None,
        {"annotations": {"a": "1"}},
        {0: {"annotations": {"a": "1"}}},
        [],
        [{"annotations": {"a": "1"}}] * 2,
        [["annotations"]],
        [{}],
        [{"annotations": [["a", "1"]]}],
        [{"annotations": {str(number): "" for number in range(MAX_ANNOTATIONS + 1)}}],
        [{"annotations": {"a": "1" * MAX_ANNOTATION_CHARACTERS}}],
    ],
)
def test_what_is_left_out(subjects: Any) -> None:
    assert annotations(subjects) == ()
