"""A judge that fails on one piece of evidence: that is broken, hides and opens nothing, and is not kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.gate.conftest import Answer, Gated
from trustgate.flows import signatures
from trustgate.flows.defects import DEFECT

STRANGER = ec.generate_private_key(ec.SECP256R1())


class Bug(Exception):
    """What no judge is expected to raise."""


def failing(judge: Callable[..., Any], *, times: int) -> Callable[..., Any]:
    """``judge``, which fails so many times first."""
    left = [times]

    def judged(*given: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise Bug("a secret")
        return judge(*given, **named)

    return judged


def rows(gated: Gated, answer: Answer) -> list[dict[str, str]]:
    page = gated.ask("ci", "GET", f"/d/{answer.headers['trustgate-decision']}", accept="application/json")
    found: list[dict[str, str]] = json.loads(page.body)["evidence"]
    return found


@pytest.mark.parametrize("name", ["candidates_in", "questions_about", "judge_attached"])
def test_one_bad_signature_takes_no_good_one_along(
    gated: Gated, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    digest = gated.push("shop/web", "1", "hello")
    monkeypatch.setattr(signatures, name, failing(getattr(signatures, name), times=2))
    with caplog.at_level(logging.ERROR, "trustgate.evidence"):
        bad = gated.sign("shop/web", digest, STRANGER)  # its push judges it: the first failure
        refused = gated.ask("prod", "GET", f"/v2/shop/web/manifests/{digest}")
    assert refused.status == 403
    assert "a secret" not in refused.body.decode()
    assert [(row["outcome"], row["reason"]) for row in rows(gated, refused) if row["digest"] == bad] == [
        ("broken", DEFECT)
    ]
    assert "Bug: a secret" in caplog.text
    monkeypatch.setattr(signatures, name, failing(getattr(signatures, name), times=1))
    gated.sign("shop/web", digest)  # … fails, and is judged again by the pull
    assert gated.ask("prod", "GET", f"/v2/shop/web/manifests/{digest}").status == 200
