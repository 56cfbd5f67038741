"""Which tests reach which line: one measured run of the unit suite, kept for the mutants that follow.

A test that never comes to a line can't notice what stands there, so a mutant asks only those that do. What a
test does in a process of its own is not seen here.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from coverage import CoverageData

CONFIG = """\
[run]
source = trustgate
parallel = true
relative_files = true
patch = subprocess
data_file = {folder}/data
"""


@dataclass(frozen=True, slots=True)
class Reach:
    """Tests by file and line, quick ones first."""

    lines: dict[tuple[str, int], tuple[str, ...]]

    def tests(self, path: str, first: int, last: int) -> tuple[str, ...]:
        """Those that reach one of these lines."""
        found = (test for line in range(first, last + 1) for test in self.lines.get((path, line), ()))
        return tuple(dict.fromkeys(found))


def measure(tree: Path, environment: dict[str, str], folder: Path, workers: int) -> None:
    """Run the unit suite of ``tree`` and keep in ``folder`` what was reached. Raises ``SystemExit``."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "coverage.ini"
    config.write_text(CONFIG.format(folder=folder), "utf-8")
    command = [
        *(sys.executable, "-m", "coverage", "run", f"--rcfile={config}", "-m", "pytest", "-q"),
        *("-p", "no:cacheprovider", "-p", "tests.mutation.contexts", "--timeout", "600"),
        *("-n", str(workers), "--dist", "worksteal", "tests/unit"),
    ]
    environment = environment | {"TRUSTGATE_REACH": str(folder)}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the suite is not green as it stands:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def read(folder: Path) -> Reach:
    """What ``measure`` kept."""
    seconds: dict[str, float] = {}
    for times in folder.glob("times.*"):
        for line in times.read_text("utf-8").splitlines():
            taken, _tab, test = line.partition("\t")
            seconds[test] = float(taken)
    lines: dict[tuple[str, int], set[str]] = {}
    for part in folder.glob("data.*"):
        data = CoverageData(basename=str(part))
        data.read()
        for path in data.measured_files():
            for number, tests in data.contexts_by_lineno(path).items():
                lines.setdefault((path, number), set()).update(seconds.keys() & tests)
    return Reach({place: tuple(sorted(tests, key=lambda t: seconds[t])) for place, tests in lines.items()})
