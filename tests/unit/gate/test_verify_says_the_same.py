"""``verify --policy`` on an image in a registry says what the gate of that registry says, in every format."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import notation_world
from tests.unit.evidence.notary import scene
from tests.unit.gate.conftest import Gated, serve_gated
from tests.unit.gate.test_formats import (
    ACME,
    CHARTS,
    STRANGER,
    gated,
    leaf_of,
    notation_signer,
    publish,
    push_chart,
    trust,
)
from trustgate.evidence.notation.envelope import JWS
from trustgate.flows.notary import TrustFlow
from trustgate.flows.notary_elsewhere import TrustElsewhere, roles_to_read
from trustgate.flows.sign import sign_image_notation
from trustgate.flows.source_reader import GivenReports
from trustgate.flows.verify_policy import Surroundings, judge_pull
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Caller
from trustgate.policy.pull_answer import answer_of
from trustgate.remote.docker_config import Credential
from trustgate.remote.gpg import Gpg
from trustgate.remote.notary import NotaryClient
from trustgate.remote.revocation import RevocationClient
from trustgate.wiring.clock import SystemClock

__all__ = ["gated", "trust"]
GUN = "localhost:5080/shop/dct"


def gate_says(gated: Gated, repository: str, target: str) -> str:
    answer = gated.ask("prod", "GET", f"/v2/{repository}/manifests/{target}")
    return {200: "yes", 403: "no"}[answer.status]


def verify_says(gated: Gated, repository: str, target: Tag | Digest) -> str:
    """Read as ``ci``, which may read what is refused to others; judged as a pull of ``prod``."""
    policies = gated.server.reload.current
    assert policies is not None
    with closing(Gpg()) as gpg, closing(RevocationClient(SystemClock())) as revocation:
        notary = NotaryClient(gated.host, GUN, Credential("robot$ci", gated.secrets["ci"], "test"))
        with gated.client("ci", repository) as client, closing(notary):
            judged = judge_pull(
                Surroundings(
                    source=client,
                    listed=client.tags,
                    openpgp=gpg,
                    revocation=revocation,
                    offline=False,
                    trust=lambda asked: TrustElsewhere(notary, GUN, roles_to_read(asked)),
                    reports=GivenReports([]),
                ),
                target,
                policies,
                repository=RepositoryName(repository),
                tag=target if isinstance(target, Tag) else None,
                caller=Caller("robot$prod"),
                now=datetime.now(UTC),
            )
    return str(answer_of(policies, judged.verdict).said)


def same(gated: Gated, repository: str, *targets: Tag | Digest) -> set[str]:
    """What both say of each; they never differ."""
    both = {(gate_says(gated, repository, one), verify_says(gated, repository, one)) for one in targets}
    assert all(gate == verify for gate, verify in both), both
    return {verify for _, verify in both}


def test_notation(gated: Gated) -> None:
    digest = gated.push("shop/acme", "1", "hello")
    asked = (Tag("1"), digest)
    assert same(gated, "shop/acme", *asked) == {"no"}
    for issued, wanted in ((leaf_of(notation_world.authority()), "no"), (ACME, "yes")):
        with gated.client("ci", "shop/acme") as client:
            signer = notation_signer(issued)
            sign_image_notation(client, digest, signer, media_type=JWS, metadata={}, now=datetime.now(UTC))
        assert same(gated, "shop/acme", *asked) == {wanted}


@pytest.mark.parametrize("key", [None, STRANGER, CHARTS], ids=["unsigned", "stranger", "charts"])
def test_charts(gated: Gated, key: object) -> None:
    digest = push_chart(gated, key)  # type: ignore[arg-type]
    wanted = "yes" if key is CHARTS else "no"
    assert same(gated, "shop/charts", Tag("1.2.3"), digest) == {wanted}
    with gated.client("ci", "shop/charts") as client:
        found = client.manifest(digest)
        client.put_manifest(found.raw, found.media_type, Tag("9.9.9"))
    assert same(gated, "shop/charts", Tag("9.9.9")) == {"no"}, "another name is another chart"


def test_tags_of_docker_trust(gated: Gated, trust: TrustFlow) -> None:
    digest = gated.push("shop/dct", "1", "hello")
    assert same(gated, "shop/dct", Tag("1"), digest) == {"no"}
    with gated.client("ci", "shop/dct") as client:
        raw = client.manifest(digest).raw
    publish(trust, GUN, scene.root("root", GUN), {"1": scene.meta(raw)})
    assert same(gated, "shop/dct", Tag("1"), digest) == {"yes"}
    gated.push("shop/dct", "2", "another")
    assert same(gated, "shop/dct", Tag("2")) == {"no"}
    other = gated.push("shop/dct", "1", "moved")
    assert same(gated, "shop/dct", Tag("1"), other) == {"no"}


def test_docker_trust_by_another_root(gated: Gated, trust: TrustFlow) -> None:
    digest = gated.push("shop/dct", "1", "hello")
    with gated.client("ci", "shop/dct") as client:
        raw = client.manifest(digest).raw
    publish(trust, GUN, scene.root("another", GUN), {"1": scene.meta(raw)})
    assert same(gated, "shop/dct", Tag("1"), digest) == {"no"}


def test_keys_and_indexes(tmp_path: Path) -> None:
    with serve_gated(tmp_path) as gated:
        digest = gated.push_index("shop/web", "1", "both")
        with gated.client("ci", "shop/web") as client:
            found = client.manifest(digest)
        whole = parse_manifest(found.raw, content_type=found.media_type)
        asked = (Tag("1"), digest, *(one.digest for one in whole.children))
        assert same(gated, "shop/web", *asked) == {"no"}
        gated.sign("shop/web", digest)
        assert same(gated, "shop/web", *asked) == {"yes"}
