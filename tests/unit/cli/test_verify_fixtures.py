"""``verify`` and ``verify-attestation`` over every shared case of a real client, with its own options."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.fixture_layouts import layout_of
from tests.shared_files import shared
from tests.unit.cli.conftest import Call

LAXER_THAN_IS_SAFE = {
    "L wrong type + wrong docker-reference": "critical.type is not",
    "L duplicate key (first wrong, last right)": "'docker-manifest-digest' twice",
    "LK identity regex unanchored": "not by the trusted one",
    "B statement v0.1": "is not a cosign signature's",
    "two subjects, one matches": "must name exactly one subject",
    "referrer manifest subject is another digest, statement right": "not about this digest",
}
"""Cases that cosign 3.1.2 accepts and we refuse, each with the words that say why."""


def cosign_cases() -> list[tuple[Path, dict[str, Any]]]:
    folder = shared("fixtures", "cosign-hand-signed")
    return [
        (folder, case) for path in sorted(folder.glob("cases*.json")) for case in json.loads(path.read_text())
    ]


def test_cosigns_cases_by_cosigns_options(call: Call, tmp_path: Path) -> None:
    cases = cosign_cases()
    assert len(cases) == 45
    for number, (folder, case) in enumerate(cases):
        image = layout_of(folder / case["repo"].replace("/", "_"), tmp_path / str(number))
        options = [folder / one if (folder / one).is_file() else one for one in case["args"]]
        done = call(case["command"], *options, image)
        accepted, wanted = done.code == 0, case["cosign_3_1_2"] == "accept"
        label = case["label"]
        if label in LAXER_THAN_IS_SAFE:
            assert (done.code, wanted) == (1, True), label
            assert LAXER_THAN_IS_SAFE[label] in done.out, label
        else:
            assert accepted == wanted, f"{label}: {done.out}{done.err}"


def test_what_a_real_cosign_signed_is_verified_by_tag_and_by_digest(call: Call, tmp_path: Path) -> None:
    real = shared("fixtures", "cosign-3.1.2-signed")
    keyless = ["--certificate-identity", "https://ci.test/job/build@main"]
    keyless += ["--certificate-oidc-issuer", "https://ci.test", "--trusted-root", str(real / "tr2.json")]
    by_key = ["--key", str(real / "cosign.pub")]
    options = {
        "s_kbundle": by_key,
        "s_kbundle1": [*by_key, "--insecure-ignore-tlog"],
        "s_klegacy": [*by_key, "--insecure-ignore-tlog=true"],
        "s_less1": keyless,
        "s_less2": keyless,
        "s_lesslegacy": keyless,
    }
    for name, given in options.items():
        image = layout_of(real / name, tmp_path / name)
        digest = json.loads((real / name / "tags.json").read_text())["v1"]
        for target in (image, f"oci-layout:{tmp_path / name}@{digest}"):
            done = call("verify", *given, target, "-o", "json")
            assert (done.code, done.json["verified"]) == (0, True), f"{name}: {done.out}{done.err}"
        assert call("verify", *given, "-a", "commit=none", image).code == 1


@pytest.mark.parametrize(("name", "bundled"), [("s_kbundle", True), ("s_klegacy", False)])
def test_where_to_look_can_be_said(call: Call, tmp_path: Path, name: str, bundled: bool) -> None:
    real = shared("fixtures", "cosign-3.1.2-signed")
    image = layout_of(real / name, tmp_path / "image")
    given = ["--key", real / "cosign.pub", "--insecure-ignore-tlog", image]
    assert call("verify", "--new-bundle-format", *given).code == (0 if bundled else 1)
    assert call("verify", "--new-bundle-format=false", *given).code == (1 if bundled else 0)
    assert call("verify", "--check-claims", *given).code == 0
    assert call("verify", "--check-claims=false", *given).code == 2


def test_time_is_an_argument(call: Call, tmp_path: Path) -> None:
    """A log entry from the future proves nothing yet, and the moment that is judged is told."""
    real = shared("fixtures", "cosign-3.1.2-signed")
    image = layout_of(real / "s_less1", tmp_path / "image")
    keyless = ["--certificate-identity", "https://ci.test/job/build@main"]
    keyless += ["--certificate-oidc-issuer", "https://ci.test", "--trusted-root", str(real / "tr2.json")]
    now = call("verify", *keyless, image, "--at", "2030-01-01T00:00:00Z")
    assert now.code == 0
    assert "judged as of 2030-01-01T00:00:00Z" in now.err
    assert call("verify", *keyless, image, "--at", "yesterday").code == 2
    assert call("verify", *keyless, image, "--at", "2030-01-01T00:00:00").code == 2


def test_notations_cases_by_notations_files(call: Call, tmp_path: Path) -> None:
    folder = shared("fixtures", "notation-hand-signed")
    store = tmp_path / "store"
    (store / "x509/ca/tg").mkdir(parents=True)
    shutil.copy(folder / "root.pem", store / "x509/ca/tg/root.pem")
    policy = folder / "trustpolicy.oci.json"
    given = ["--notation-trust-policy", policy, "--notation-trust-store", store]
    verdicts = [line.split() for line in (folder / "verdicts.txt").read_text().splitlines()]
    assert len(verdicts) == 10
    for wanted, name in verdicts:
        image = layout_of(folder / f"t_{name}", tmp_path / name)
        done = call("verify", *given, "--scope", "registry.test/app", image, "-o", "json")
        assert (done.code == 0) == (wanted == "accept") == done.json["verified"], f"{name}: {done.out}"
        assert all(one["reason"] for one in done.json["candidates"])
    unscoped = call("verify", *given, image)
    assert (unscoped.code, "--scope HOST/REPOSITORY" in unscoped.err) == (2, True)


def test_a_notation_policy_that_skips_is_no_yes(call: Call, tmp_path: Path) -> None:
    folder = shared("fixtures", "notation-hand-signed")
    image = layout_of(folder / "t_p256-jws", tmp_path / "image")
    (tmp_path / "store/x509/ca/tg").mkdir(parents=True)
    statement = {"name": "p", "registryScopes": ["r.test/app"], "signatureVerification": {"level": "skip"}}
    policy = tmp_path / "trustpolicy.json"
    policy.write_text(json.dumps({"version": "1.0", "trustPolicies": [statement]}))
    given = ["--notation-trust-policy", policy, "--notation-trust-store", tmp_path / "store"]
    done = call("verify", *given, "--scope", "r.test/app", image)
    assert (done.code, "nothing was verified" in done.err) == (1, True)
    other = call("verify", *given, "--scope", "r.test/other", image)
    assert (other.code, "no trust policy applies to r.test/other" in other.err) == (2, True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "give one of --key"),
        (
            ["--key", "a.pub", "--certificate-identity", "x", "--certificate-oidc-issuer", "y"],
            "give --key, or",
        ),
        (["--certificate-identity", "x"], "exactly one of --certificate-oidc-issuer"),
        (["--certificate-oidc-issuer", "x"], "exactly one of --certificate-identity"),
        (["--certificate-identity", "x", "--certificate-oidc-issuer-regexp", "(a"], "pattern"),
        (["--key", "a.pub", "--certificate-github-workflow-ref", "x"], "no certificate"),
        (["--key", "a.pub", "-a", "x"], "KEY=VALUE"),
        (["--key", "a.pub", "-a", "env=prod", "-a", "env=dev"], "two values of one key"),
        (["--certificate-identity", ""], "--certificate-identity is empty"),
        (["--key", "a.pub", "--certificate-github-workflow-ref", ""], "workflow-ref is empty"),
        (["--key", "a.pub", "--insecure-ignore-sct"], "always asked for"),
        (["--key", "a.pub", "--policy", "dir:x"], "give one of --key"),
        (["--key", "no.pub"], "no.pub can't be read"),
        (["--key", "a.pub", "--trusted-root", "a.pub"], "a.pub: the trusted root"),
        (["--keyring", "ring.gpg"], "can't be read"),
    ],
)
def test_what_was_asked_wrongly_is_2_and_says_how(
    call: Call, tmp_path: Path, given: list[str], said: str
) -> None:
    assert call("key", "generate", "--output", "a", COSIGN_PASSWORD="").code == 0
    image = layout_of(shared("fixtures", "cosign-3.1.2-signed") / "s_kbundle", tmp_path / "image")
    done = call("verify", *given, image)
    assert (done.code, said in done.err) == (2, True), done.err


def test_an_attestation_is_handed_on_only_when_it_is_verified(call: Call, tmp_path: Path) -> None:
    real = shared("fixtures", "cosign-3.1.2-signed")
    image = layout_of(real / "s_less1", tmp_path / "image")
    keyless = ["--certificate-identity", "https://ci.test/job/build@main"]
    keyless += ["--certificate-oidc-issuer", "https://ci.test", "--trusted-root", str(real / "tr2.json")]
    done = call("verify-attestation", *keyless, "--type", "custom", image, "-o", "json")
    assert (done.code, done.json["verified"]) == (0, True), done.out
    assert any(one["predicate"] for one in done.json["attestations"])
    stranger = [one.replace("job/build", "job/other") for one in keyless]
    refused = call("verify-attestation", *stranger, "--type", "custom", image, "-o", "json")
    assert (refused.code, refused.json["verified"]) == (1, False)
    assert not any(one["predicate"] for one in refused.json["attestations"])
    other = call("verify-attestation", *keyless, "--type", "spdxjson", image)
    assert (other.code, "of another type" in other.out) == (1, True)


def test_charts_with_helms_option(call: Call, tmp_path: Path) -> None:
    """The fixture's chart was renamed: helm takes that, we say whose provenance it is."""
    folder = shared("fixtures", "helm-provenance")
    for name in ("c-1.2.3.tgz", "rsa.prov"):
        shutil.copy(folder / name, tmp_path / name.replace("rsa", "c-1.2.3.tgz"))
    done = call("verify", "--keyring", folder / "rsa.gpg", "c-1.2.3.tgz", "-o", "json")
    assert (done.code, done.json["verified"]) == (1, False)
    assert "the chart is 'hashtest-1.2.3.tgz'" in done.json["candidates"][0]["reason"]
