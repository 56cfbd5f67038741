"""CVSS base scores: FIRST's own examples, and any text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trustgate_scanners.embedded.cvss import base_score, level

from trustgate.scanning import Severity

EXAMPLES = [
    # vectors and scores from the examples that FIRST publishes with versions 3.1, 3.0 and 2.0
    ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
    ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
    ("CVSS_V3", "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1),
    ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 9.9),
    ("CVSS_V3", "CVSS:3.0/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8),
    ("CVSS_V3", "CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 6.8),
    ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
    ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
    ("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H/E:P/RL:O", 7.5),
    ("CVSS_V2", "AV:N/AC:L/Au:N/C:N/I:N/A:C", 7.8),
    ("CVSS_V2", "AV:N/AC:L/Au:N/C:C/I:C/A:C", 10.0),
    ("CVSS_V2", "AV:L/AC:H/Au:N/C:C/I:C/A:C", 6.2),
    ("CVSS_V4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", None),
    ("CVSS_V3", "CVSS:3.1/AV:N/AC:L", None),
    ("CVSS_V3", "9.8", None),
    ("CVSS_V3", "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", None),
]


@pytest.mark.parametrize(("kind", "vector", "score"), EXAMPLES)
def test_examples(kind: str, vector: str, score: float | None) -> None:
    assert base_score(kind, vector) == score


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["CVSS_V2", "CVSS_V3", "CVSS_V4", ""]),
    st.text() | st.from_regex(r"CVSS:3\.1(/[A-Z]{1,2}:[A-Z])*"),
)
def test_any_text_has_a_score_or_none(kind: str, vector: str) -> None:
    score = base_score(kind, vector)
    assert score is None or 0 <= score <= 10


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0.0, "none"),
        (0.1, "low"),
        (3.9, "low"),
        (4.0, "medium"),
        (6.9, "medium"),
        (7.0, "high"),
        (9.0, "critical"),
    ],
)
def test_levels(score: float, expected: str) -> None:
    assert level(score) is Severity(expected)
