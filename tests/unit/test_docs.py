"""What the documentation says about the code is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mutation import advisories

ROOT = Path(__file__).resolve().parents[2]
ADVISORIES = (ROOT / "docs" / "advisories.md").read_text("utf-8")
VERIFIED = (ROOT / "docs" / "what-verified-means.md").read_text("utf-8")
NUMBERED = [*(str(number) for number in range(1, 46)), *(f"C{number}" for number in range(1, 20))]
_TEST = re.compile(r"`([a-z0-9_/]+\.py)::(test_\w+)`")


def _is_there(path: Path, name: str) -> bool:
    return path.is_file() and f"\ndef {name}(" in path.read_text("utf-8")


@pytest.mark.parametrize("number", NUMBERED)
def test_every_advisory_and_class_has_its_row_and_its_tests(number: str) -> None:
    (row,) = (line for line in ADVISORIES.splitlines() if line.startswith(f"| {number} |"))
    tests = _TEST.findall(row)
    assert tests or "not here" in row or "no test" in row, row
    missing = [name for path, name in tests if not _is_there(ROOT / "tests" / "unit" / path, name)]
    assert not missing, "a test was renamed: name it anew in docs/advisories.md"


@pytest.mark.parametrize("number", NUMBERED)
def test_the_checks_of_a_row_stand_where_its_table_says(number: str) -> None:
    """``python -m tests.mutation.advisories`` takes each away and sees the row's tests go red."""
    taken = [one for one in advisories.checks() if one.row == number]
    assert bool(taken) == bool(advisories.tests_of(number)), "tests without a check, or a check without tests"
    for one in taken:
        assert one.taken_from((ROOT / one.file).read_text("utf-8"))


def test_what_the_page_of_verified_names_is_there() -> None:
    tests = _TEST.findall(VERIFIED)
    assert tests
    for path, name in tests:
        assert _is_there(ROOT / "tests" / "unit" / "evidence" / path, name), name


def test_every_table_of_verdicts_is_in_the_page() -> None:
    for path in (ROOT / "tests").glob("**/golden/stricter*.md"):
        text = path.read_text("utf-8").strip()
        assert text.removeprefix("# ") in VERIFIED, f"{path.name}: run python docs/generate.py"
