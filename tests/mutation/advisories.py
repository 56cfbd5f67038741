"""Take away each check that answers an advisory, and see the tests go red that ``docs/advisories.md`` names.

    python -m tests.mutation.advisories [ROW ...] [--jobs N]

``advisories.toml`` holds the checks: the row that each answers, the file, the text that is the check and what
stands there without it. A row is shown when each of its checks turns a test of the row red, and each test of
the row is turned red by one of its checks. Prints a line a row and ends with 1 when one is not shown.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from tests.mutation.run import ROOT, TIMEOUT_S, Copies, environment

TABLE = Path(__file__).with_name("advisories.toml")
PAGE = ROOT / "docs" / "advisories.md"
ROWS = (*(str(number) for number in range(1, 46)), *(f"C{number}" for number in range(1, 20)))
_TEST = re.compile(r"`([a-z0-9_/]+\.py::test_\w+)`")
_RED = re.compile(r"^(?:FAILED|ERROR) tests/unit/([^:]+\.py::test_\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Check:
    """One check and what stands in its place when it is taken away."""

    row: str
    file: str
    check: str
    without: str

    def taken_from(self, source: str) -> str:
        """The file without it. Raises ``ValueError`` when it does not stand there exactly once."""
        if source.count(self.check) != 1:
            message = f"row {self.row}: {self.file} has this {source.count(self.check)} times:\n{self.check}"
            raise ValueError(message)
        return source.replace(self.check, self.without)


def checks() -> tuple[Check, ...]:
    """All of them, in the order of the rows."""
    found = [Check(**one) for one in tomllib.loads(TABLE.read_text("utf-8"))["taken"]]
    return tuple(sorted(found, key=lambda one: ROWS.index(one.row)))


def tests_of(row: str) -> frozenset[str]:
    """The tests that the page names for a row, as ``evidence/test_x.py::test_y``."""
    (line,) = (line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(f"| {row} |"))
    return frozenset(_TEST.findall(line))


def red(check: Check, tests: Iterable[str], copies: Copies) -> frozenset[str]:
    """Those tests that fail without the check."""
    copy = copies.mine()
    target = copy / check.file
    original = target.read_text("utf-8")
    target.write_text(check.taken_from(original), "utf-8")
    try:
        return _asked(copy, sorted(tests))
    finally:
        target.write_text(original, "utf-8")


def _asked(copy: Path, tests: Sequence[str]) -> frozenset[str]:
    command = [*(sys.executable, "-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider")]
    command += [f"tests/unit/{test}" for test in tests]
    done = subprocess.run(
        command,
        cwd=copy,
        env=environment(copy),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise RuntimeError(f"pytest could not be asked: {done.stdout[-3000:]}{done.stderr[-3000:]}")
    return frozenset(_RED.findall(done.stdout))


def unshown(row: str, told: Sequence[tuple[Check, frozenset[str]]]) -> Iterator[str]:
    """What a row does not show, in words."""
    for check, failed in told:
        if not failed:
            yield f"no test notices that this is gone from {check.file}:\n{check.check}"
    for test in sorted(tests_of(row).difference(*(failed for _check, failed in told))):
        yield f"{test} stays green without any of the checks"


def main() -> int:
    asked = argparse.ArgumentParser(prog="tests.mutation.advisories")
    asked.add_argument("rows", nargs="*", choices=[*ROWS, []], metavar="ROW")
    asked.add_argument("--jobs", type=int, default=2, metavar="N")
    given = asked.parse_args()
    taken = [check for check in checks() if not given.rows or check.row in given.rows]
    missing = 0
    with (
        tempfile.TemporaryDirectory(prefix="trustgate-advisories-") as folder,
        ThreadPoolExecutor(given.jobs) as pool,
    ):
        copies = Copies(Path(folder))
        work = [(check, pool.submit(red, check, tests_of(check.row), copies)) for check in taken]
        for row, some in groupby(work, key=lambda one: one[0].row):
            told = [(check, outcome.result()) for check, outcome in some]
            found = list(unshown(row, told))
            missing += bool(found)
            print(f"{row}: {len(told)} checks, {len(tests_of(row))} tests", *found, sep="\n  ", flush=True)
    print(f"{len(taken)} checks taken away, {missing} rows not shown")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
