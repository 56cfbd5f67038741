"""Keys, signatures and scans without any server: on OCI layouts."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests import images
from tests.interop.world import add_image
from tests.unit.cli.conftest import Call
from trustgate.oci.digest import Digest
from trustgate.oci.names import Tag
from trustgate.remote.layout import LayoutSource

POLICY = {
    "trustgate.yaml": "apiVersion: trustgate.dev/v1\nkind: Root\n"
    "defaults: {noMatch: {pull: allow, push: allow, delete: allow}}\n",
    "trust/attestors.yaml": "apiVersion: trustgate.dev/v1\nkind: TrustStore\n"
    "attestors: {release: {type: cosign-key, key: keys/a.pub}}\n",
    "policies/all.yaml": "apiVersion: trustgate.dev/v1\nkind: Policy\nmetadata: {name: all}\nmode: enforce\n"
    'scope: {actions: [pull], repositories: ["**"]}\n'
    "rules: [{id: signed, contentTrust: {require: {attestor: release}}}]\n",
}


@pytest.fixture
def image(tmp_path: Path, call: Call) -> str:
    """A layout with one image, and two key pairs beside it."""
    add_image(LayoutSource(tmp_path / "image", create=True), "1", "hello")
    for name in ("a", "b"):
        assert call("key", "generate", "--output", name, COSIGN_PASSWORD="secret").code == 0
    return "oci-layout:image:1"


def test_keys_are_made_once_and_for_their_owner(call: Call, tmp_path: Path) -> None:
    done = call("key", "generate", COSIGN_PASSWORD="secret")
    assert (done.code, done.out) == (0, "")
    assert stat.S_IMODE((tmp_path / "cosign.key").stat().st_mode) == 0o600
    before = (tmp_path / "cosign.key").read_bytes()
    again = call("key", "generate", COSIGN_PASSWORD="secret")
    assert again.code == 2
    assert (tmp_path / "cosign.key").read_bytes() == before


@pytest.mark.parametrize("kind", ["p256", "ed25519", "rsa"])
@pytest.mark.parametrize("legacy", [False, True])
def test_sign_and_verify(call: Call, image: str, kind: str, legacy: bool) -> None:
    assert call("key", "generate", "--type", kind, "--output", kind, COSIGN_PASSWORD="secret").code == 0
    unsigned = call("verify", "--key", f"{kind}.pub", image)
    assert (unsigned.code, unsigned.out.split()[0]) == (1, "unsigned")
    more = ["--legacy"] if legacy else []
    signed = call("sign", "--key", f"{kind}.key", *more, image, COSIGN_PASSWORD="secret")
    assert signed.code == 0, signed.err
    good = call("verify", "--key", f"{kind}.pub", image, "-o", "json")
    assert (good.code, good.json["verified"], good.json["schema"]) == (0, True, "trustgate.verify/1")
    foreign = call("verify", "--key", "b.pub", image, "-o", "json")
    assert (foreign.code, foreign.json["verified"]) == (1, False)
    assert [c["outcome"] for c in foreign.json["candidates"]] == ["untrusted"]
    either = call("verify", "--key", "b.pub", "--key", f"{kind}.pub", image)
    assert (either.code, either.out.split()[0]) == (0, "verified")


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_wrong_password_signs_nothing(call: Call, image: str, password: str) -> None:
    done = call("sign", "--key", "a.key", image, COSIGN_PASSWORD=password)
    assert done.code == 2
    assert "password" in done.err
    assert "secret" not in done.err
    assert call("verify", "--key", "a.pub", image).code == 1


def test_verify_by_policy(call: Call, image: str, tmp_path: Path) -> None:
    for name, text in POLICY.items():
        (tmp_path / "policy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "policy" / name).write_text(text)
    (tmp_path / "policy/trust/keys").mkdir()
    (tmp_path / "policy/trust/keys/a.pub").write_bytes((tmp_path / "a.pub").read_bytes())
    assert call("policy", "lint", "dir:policy").code == 0
    asked = ("verify", "--policy", "dir:policy", "--scope", "r.test/shop/web", image)
    assert call(*asked).code == 1
    call("sign", "--key", "b.key", image, COSIGN_PASSWORD="secret")
    refused = call(*asked, "-o", "json")
    assert (refused.code, refused.json["rules"][0]["outcome"]) == (1, "fail")
    call("sign", "--key", "a.key", image, COSIGN_PASSWORD="secret")
    done = call(*asked, "-o", "json")
    assert (done.code, done.json["rules"][0]["rule"], done.json["verified"]) == (0, "all/signed", True)


def test_lint_tells_every_problem_with_its_place(call: Call, tmp_path: Path) -> None:
    for name, text in POLICY.items():
        (tmp_path / "policy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "policy" / name).write_text(text.replace("attestor: release", "attestor: relaese"))
    (tmp_path / "policy/trust/keys").mkdir()
    call("key", "generate", "--output", "policy/trust/keys/a", COSIGN_PASSWORD="x")
    done = call("policy", "lint", "dir:policy")
    assert done.code == 1
    assert "policies/all.yaml:" in done.out
    assert "relaese" in done.out
    (tmp_path / "empty").mkdir()
    assert call("policy", "lint", "dir:empty").code == 1
    for source in ("dir:nothing", "nothing"):
        unread = call("policy", "lint", source)
        assert (unread.code, unread.out, "nothing" in unread.err) == (3, "", True)
    problems = call("policy", "lint", "dir:policy", "-o", "json").json["problems"]
    assert {"path", "line", "column", "code", "message"} <= set(problems[0])


def test_what_is_not_there_could_not_be_decided(call: Call, image: str) -> None:
    for place in ("oci-layout:image:2", "oci-layout:nothing:1", f"oci-layout:image@{Digest.of(b'x')}"):
        done = call("verify", "--key", "a.pub", place)
        assert (done.code, done.out) == (3, ""), place
        assert "error" in done.err
    nothing = call("verify", "--key", "nothing.pub", image)
    assert (nothing.code, "nothing.pub" in nothing.err) == (2, True)


def test_a_damaged_image_is_no_answer(call: Call, image: str, tmp_path: Path) -> None:
    call("sign", "--key", "a.key", image, COSIGN_PASSWORD="secret")
    for path in (tmp_path / "image/blobs/sha256").iterdir():
        path.chmod(0o644)
        path.write_bytes(path.read_bytes() + b" ")
    done = call("verify", "--key", "a.pub", image)
    assert (done.code, done.out) == (3, "")
    assert "other bytes than its digest" in done.err
    assert "hint" in done.err


def test_scan_and_advisories(call: Call, tmp_path: Path) -> None:
    layout = LayoutSource(tmp_path / "image", create=True)
    made = images.image(images.layer(images.python_package("acme", "1.0")))
    for digest, blob in made.blobs.items():
        layout.put_blob(digest, iter([blob]), len(blob))
    layout.put_manifest(made.manifest.raw, made.manifest.media_type, Tag("1"))
    image = "oci-layout:image:1"
    assert call("db", "status").code == 1
    blind = call("scan", image)
    assert (blind.code, "not covered" in blind.err) == (3, True)
    rated = [{"type": "CVSS_V3", "score": images.CRITICAL}]
    record = images.advisory("CVE-2026-1001", "PyPI", "acme", images.until("2.0"), severity=rated)
    images.write_osv_zip(tmp_path / "a.zip", [record])
    assert call("db", "import", "a.zip").code == 0
    assert call("db", "status", "-o", "json").json["records"] == {"PyPI": 1}
    assert call("scan", image).code == 0
    found = call("scan", image, "--fail-on", "high", "-o", "json")
    assert found.code == 1
    assert [f["vulnerability"] for f in found.json["reports"][0]["findings"]] == ["CVE-2026-1001"]
    assert call("db", "import", "nothing.zip").code == 2
    assert call("db", "status", "-o", "json").json["records"] == {"PyPI": 1}


@pytest.mark.parametrize(
    ("version", "severity", "level", "code"),
    [
        ("1.0", [{"type": "CVSS_V3", "score": images.CRITICAL}], "critical", 1),
        ("2.0", [{"type": "CVSS_V3", "score": images.CRITICAL}], "critical", 0),
        ("1.0", [], "critical", 3),  # nobody ranked it: it may be critical
        ("1.0", [], "unknown", 1),
        ("1.0-oddity!", [{"type": "CVSS_V3", "score": images.CRITICAL}], "low", 3),  # can't be compared
    ],
)
def test_what_may_be_bad_is_not_clean(
    call: Call, tmp_path: Path, version: str, severity: list[dict[str, str]], level: str, code: int
) -> None:
    layout = LayoutSource(tmp_path / "image", create=True)
    made = images.image(images.layer(images.python_package("acme", version)))
    for digest, blob in made.blobs.items():
        layout.put_blob(digest, iter([blob]), len(blob))
    layout.put_manifest(made.manifest.raw, made.manifest.media_type, Tag("1"))
    record = images.advisory("CVE-2026-1001", "PyPI", "acme", images.until("2.0"), severity=severity)
    images.write_osv_zip(tmp_path / "a.zip", [record])
    assert call("db", "import", "a.zip").code == 0
    done = call("scan", "oci-layout:image:1", "--fail-on", level)
    assert done.code == code, done.err + done.out
    assert ("may be" in done.err) == (code == 3)
    assert ("CVE-2026-1001" in done.out) == (code != 0), "what is not ranked is not hidden"
    assert call("scan", "oci-layout:image:1").code == 0
