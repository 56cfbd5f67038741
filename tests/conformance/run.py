"""The official conformance suite of the distribution specification, in two settings, with login on.

    python -m tests.conformance.run

Prints what failed and what was skipped, with the suite's own reason, and per setting a last line
``N passed, M failed, K skipped``. Exit code 1 on any failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.conformance.server import OPEN_POLICY, PASSWORD, USER, serving
from trustgate.settings import Settings
from trustgate.wiring import build

PROGRAM = Path(__file__).parents[2] / ".clients" / "bin" / "conformance"
TIMEOUT_S = 300
SWITCHED_OFF = "switched off in this setting (the suite's own default for this version of the specification)"
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "1.1": {"OCI_VERSION": "1.1"},
    "strict": {
        "OCI_VERSION": "dev",
        "OCI_API_BLOBS_DIGEST_HEADER": "true",
        "OCI_API_MANIFESTS_DIGEST_HEADER": "true",
        "OCI_API_BLOBS_UPLOAD_CANCEL": "true",
        "OCI_API_MANIFESTS_TAG_PARAM": "true",
        "OCI_DATA_SPARSE": "true",
    },
}


@dataclass(frozen=True, slots=True)
class Case:
    """One case of the suite: ``passed``, ``failure``, ``error`` or ``skipped``."""

    name: str
    status: str
    why: str


@dataclass(frozen=True, slots=True)
class Result:
    """What the suite said of one setting."""

    cases: tuple[Case, ...]
    exit_code: int
    output: str

    def of(self, *statuses: str) -> tuple[Case, ...]:
        return tuple(case for case in self.cases if case.status in statuses)

    @property
    def failed(self) -> tuple[Case, ...]:
        return self.of("failure", "error")

    @property
    def line(self) -> str:
        """The last line that is printed of a setting."""
        counts = len(self.of("passed")), len(self.failed), len(self.of("skipped"))
        return "{} passed, {} failed, {} skipped".format(*counts)


def run(setting: str, results: Path) -> Result:
    """Start the whole server on an empty directory, under a policy that lets all through, and the suite."""
    options = SETTINGS[setting]
    policy = results / "policy"
    policy.mkdir()
    (policy / "trustgate.yaml").write_bytes(OPEN_POLICY)
    sparse = options.get("OCI_DATA_SPARSE") == "true"
    server = build(Settings(data=results / "data", policy=f"dir:{policy}", sparse_indexes=sparse))
    server.accounts.create_user(USER, PASSWORD, is_admin=True)
    with closing(server), serving(server.app) as registry:
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(results),
            "OCI_REGISTRY": registry,
            "OCI_TLS": "disabled",
            "OCI_USERNAME": USER,
            "OCI_PASSWORD": PASSWORD,
            "OCI_RESULTS_DIR": str(results),
            "OCI_LOG": "error",
            **options,
        }
        done = subprocess.run(
            [str(PROGRAM)],
            env=environment,
            cwd=results,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    report = results / "junit.xml"
    cases = _cases(report) if report.exists() else ()
    return Result(cases, done.returncode, done.stdout + done.stderr)


def _cases(report: Path) -> tuple[Case, ...]:
    found = ET.parse(report).getroot().iter("testcase")  # noqa: S314 - written by the program just run
    return tuple(
        Case(case.get("name", ""), case.get("status", "error"), case.findtext("system-out", "").strip())
        for case in found
    )


def main() -> int:
    """Both settings; the exit code."""
    if not PROGRAM.is_file():
        print(f"{PROGRAM} is not there: make clients builds it", file=sys.stderr)
        return 1
    well = True
    for setting in SETTINGS:
        with tempfile.TemporaryDirectory() as folder:
            result = run(setting, Path(folder))
        for case in result.of("skipped"):
            print(f"skipped {case.name}: {case.why or SWITCHED_OFF}")
        for case in result.failed:
            print(f"FAILED  {case.name}: {case.why}")
        if result.exit_code != 0 and not result.failed:
            print(result.output)
        well = well and result.exit_code == 0 and not result.failed and bool(result.of("passed"))
        print(f"conformance {setting}: {result.line}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
