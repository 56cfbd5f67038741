"""Several scanners in use: each has to have told, and none speaks for another."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from tests.unit.gate.conftest import Gated
from tests.unit.gate.test_changes import SCANNED
from tests.unit.policy.scenes import finding, pull, scan_report
from trustgate.evidence.model import Absent, Known, Role
from trustgate.evidence.scan_report import ScanFindings
from trustgate.flows.gather import Gatherer
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.policy.model import Action, Need, Request

WEB = RepositoryName("shop/web")
NOW = datetime.now(UTC)


def tell(gated: Gated, digest: Digest, scanner: str, *found: Any, ago: int = 0) -> None:
    report = replace(scan_report(*found), scanner=scanner, subject=digest)
    gated.server.store.reports.save(replace(report, scanned_at=NOW - timedelta(seconds=ago)), finishing=None)


@pytest.mark.parametrize("later", ["clean", "bad"])
def test_a_clean_report_hides_no_other(gated: Gated, later: str) -> None:
    gated.set_policy({"policies/prod.yaml": SCANNED})
    digest = gated.push(str(WEB), "1", "hello")
    tell(gated, digest, "clean", ago=later != "clean")
    assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/1").status == 200
    tell(gated, digest, "bad", finding(), ago=later != "bad")
    refused = gated.ask("prod", "GET", f"/v2/{WEB}/manifests/1")
    assert (refused.status, "CVE-2026-1234" in refused.error["message"]) == (403, True)


def scan_of(gated: Gated, digest: Digest, scanners: tuple[str, ...]) -> Known[ScanFindings] | Absent:
    store, none = gated.server.store, cast("Any", None)
    gatherer = Gatherer(
        manifests=store.manifests,
        reports=store.reports,
        signatures=none,
        attestations=none,
        scanners=scanners,
    )
    request = Request(Action.PULL, WEB, digest, pull().caller)
    needs, policies = frozenset({Need.SCAN}), gated.server.reload.current
    assert policies is not None
    found = gatherer.evidence(request, Role.IMAGE, needs=needs, policies=policies, now=NOW).subject.scan
    assert isinstance(found, Known | Absent)
    return found


def test_each_scanner_in_use_has_to_tell(gated: Gated) -> None:
    digest = gated.push(str(WEB), "1", "hello")
    assert scan_of(gated, digest, ("one", "two")) == Absent("it has not been scanned by one yet")
    assert scan_of(gated, digest, ("one",)) == Absent("it has not been scanned yet")
    tell(gated, digest, "one")
    assert scan_of(gated, digest, ("one", "two")) == Absent("it has not been scanned by two yet")
    tell(gated, digest, "two", finding())
    both = scan_of(gated, digest, ("one", "two"))
    assert isinstance(both, Known)
    assert (both.value.scanner, len(both.value.findings)) == ("one, two", 1)


def test_a_scanner_that_is_no_longer_in_use_tells_nothing(gated: Gated) -> None:
    digest = gated.push(str(WEB), "1", "hello")
    tell(gated, digest, "old", finding())
    assert scan_of(gated, digest, ("one",)) == Absent("it has not been scanned yet")
    tell(gated, digest, "one", ago=9)
    found = scan_of(gated, digest, ("one",))
    assert isinstance(found, Known)
    assert not found.value.findings
