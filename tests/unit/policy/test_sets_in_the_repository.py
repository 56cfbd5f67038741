"""The sets that we hand out load, do what they say, and are the ones in the package."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from tests.unit.policy.scenes import DIGEST, OTHER, by, evidence, finding, judge, pull, report, subject, tags
from trustgate.evidence.attestor import Trust
from trustgate.oci.names import RepositoryName
from trustgate.policy.document import load
from trustgate.policy.layout import belongs
from trustgate.policy.model import Action, VerdictKind
from trustgate.policy.starter import starter_files
from trustgate.remote.trust_root import bundled_roots

POLICIES = Path(__file__).parents[3] / "policies"


def files_of(name: str) -> dict[str, bytes]:
    folder = POLICIES / name
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return {name: raw for name, raw in named.items() if belongs(name)}


def test_the_packaged_starter_set_is_the_one_in_the_repository() -> None:
    assert dict(starter_files()) == files_of("starter")


@pytest.mark.parametrize("name", ["starter", "strict", "examples"])
def test_every_set_loads(name: str) -> None:
    assert load(files_of(name), revision="r", known_roots=bundled_roots()).rules


def test_the_examples_have_an_attestor_of_every_type() -> None:
    found = load(files_of("examples"), revision="r", known_roots=bundled_roots())
    assert {type(one.trust) for one in found.attestors} == set(get_args(Trust))


def test_the_starter_set_warns_and_keeps_versions() -> None:
    policies = load(starter_files(), revision="r")
    assert judge(policies, subject(scan=report())).kind is VerdictKind.ALLOW
    assert judge(policies, subject(scan=report(finding()))).kind is VerdictKind.WARN
    assert judge(policies, subject()).kind is VerdictKind.WARN
    assert not policies.gates_pulls_of(RepositoryName("a"))
    again = pull(action=Action.PUSH, tag="v1.2.3")
    assert judge(policies, evidence(tag=tags(OTHER)), again).kind is VerdictKind.DENY
    assert judge(policies, evidence(tag=tags(DIGEST)), again).kind is VerdictKind.ALLOW
    latest = pull(action=Action.PUSH, tag="latest")
    assert judge(policies, evidence(tag=tags(OTHER)), latest).kind is VerdictKind.ALLOW


def test_the_strict_set_refuses_what_is_not_proven() -> None:
    policies = load(files_of("strict"), revision="r")
    assert judge(policies, subject(scan=report())).kind is VerdictKind.DENY
    assert judge(policies, subject(signatures=by("release"), scan=report(finding()))).kind is VerdictKind.DENY
    assert policies.gates_pulls_of(RepositoryName("anything"))
    signer = pull(caller="robot$signer")
    assert judge(policies, subject(), signer).kind is VerdictKind.DENY  # not scanned
    assert judge(policies, subject(scan=report()), signer).kind is VerdictKind.ALLOW
