"""sign --notation and sign --helm: what they write is verified by this very command, and by nobody else's."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import openpgp_world
from tests.interop.notation_client import IDENTITY, Signers, make_signers
from tests.signing_world import image, private_pem
from tests.simulators.places import put
from tests.simulators.sigstore.authorities import pem_of
from tests.simulators.sigstore.faults import Faults
from tests.simulators.sigstore.server import SigstoreServer
from tests.unit.cli.conftest import Call, Done
from trustgate.evidence.notation.envelope import COSE, JWS
from trustgate.evidence.notation.manifest import envelope_blobs
from trustgate.oci.manifest import parse_manifest
from trustgate.oci.names import Tag
from trustgate.remote.layout import LayoutSource

IMAGE = image()
KEYS = ("--key", "signer.key", "--cert", "chain.pem")
CHART = "web-1.2.3.tgz"
needs_gpg = pytest.mark.skipif(
    shutil.which("gpg") is None, reason="gpg is not installed: apt-get install gpg"
)


@pytest.fixture(scope="module")
def signers() -> Signers:
    return make_signers(["p256", "rsa2048"])


@pytest.fixture
def layout(tmp_path: Path, signers: Signers) -> str:
    """An image, and beside it a signer's files and notation's trust in their root."""
    put(LayoutSource(tmp_path / "image", create=True), IMAGE, "1")
    issued = signers.by_kind["p256"]
    (tmp_path / "signer.key").write_bytes(private_pem(issued.key))
    (tmp_path / "chain.pem").write_bytes(issued.chain_pem)
    (tmp_path / "leaf.pem").write_bytes(issued.pem)
    trust(tmp_path, signers.root.pem)
    return f"oci-layout:{tmp_path / 'image'}:1"


def trust(folder: Path, root: bytes, tsa: bytes = b"") -> None:
    for kind, pem in {"ca": root, "tsa": tsa}.items():
        store = folder / "trust" / "x509" / kind / "acme"
        store.mkdir(parents=True, exist_ok=True)
        if pem:
            (store / "root.pem").write_bytes(pem)
    statement = {
        "name": "all",
        "registryScopes": ["*"],
        "signatureVerification": {"level": "strict", "override": {"revocation": "skip"}},
        "trustStores": ["ca:acme", *(["tsa:acme"] if tsa else [])],
        "trustedIdentities": [IDENTITY],
    }
    document = {"version": "1.0", "trustPolicies": [statement]}
    (folder / "policy.json").write_text(json.dumps(document))


def verify(call: Call, layout: str) -> Done:
    options = ("--notation-trust-policy", "policy.json", "--notation-trust-store", "trust")
    return call("verify", *options, "--scope", "h.test/web", "-o", "json", layout)


def media_type(folder: Path) -> str:
    source = LayoutSource(folder / "image")
    (digest,) = source.referrers(source.manifest(Tag("1")).digest, limit=5)
    (envelope,) = envelope_blobs(parse_manifest(source.manifest(digest).raw))
    return envelope.media_type


# --- notation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "expected"), [((), JWS), (("--signature-format", "cose"), COSE)])
def test_a_notation_signature(
    call: Call, layout: str, tmp_path: Path, form: tuple[str, ...], expected: str
) -> None:
    more = ("-m", "build=7", "--user-metadata", "a=b=c", "--expiry", "1d2h3m")
    done = call("sign", "--notation", *KEYS, *form, *more, layout)
    assert (done.code, "signed" in done.out) == (0, True), done.err
    assert "you named the tag 1" in done.err
    found = verify(call, layout)
    assert (found.code, found.json["verified"]) == (0, True)
    (candidate,) = found.json["candidates"]
    assert candidate["metadata"] == {"build": "7", "a": "b=c"}
    assert media_type(tmp_path) == expected


def test_its_json(call: Call, layout: str) -> None:
    done = call("sign", "--notation", *KEYS, "-o", "json", layout)
    assert (done.json["schema"], done.json["stored"]) == ("trustgate.sign/1", "referrer")


def test_a_signature_past_its_best_by_time(call: Call, layout: str) -> None:
    assert call("sign", "--notation", *KEYS, "--expiry", "5m", layout).code == 0
    later = (datetime.now(UTC) + timedelta(minutes=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
    options = ("--notation-trust-policy", "policy.json", "--notation-trust-store", "trust")
    assert call("verify", *options, "--scope", "h.test/web", "--at", later, layout).code == 1


@pytest.mark.parametrize("form", ["jws", "cose"])
def test_a_timestamp_is_verified_and_kept(
    call: Call, layout: str, tmp_path: Path, signers: Signers, form: str
) -> None:
    with SigstoreServer() as sigstore:
        root = pem_of(sigstore.authorities.tsa_root)
        (tmp_path / "tsa.pem").write_bytes(root)
        stamp = ("--timestamp-url", f"{sigstore.url}/api/v1/timestamp", "--timestamp-root-cert", "tsa.pem")
        done = call("sign", "--notation", *KEYS, "--signature-format", form, *stamp, layout)
    assert done.code == 0, done.err
    trust(tmp_path, signers.root.pem, root)
    assert verify(call, layout).json["verified"] is True


def test_without_a_timestamp_where_one_is_asked_for(
    call: Call, layout: str, tmp_path: Path, signers: Signers
) -> None:
    assert call("sign", "--notation", *KEYS, layout).code == 0
    with SigstoreServer() as sigstore:
        trust(tmp_path, signers.root.pem, pem_of(sigstore.authorities.tsa_root))
    assert verify(call, layout).code == 1


@pytest.mark.parametrize(
    ("faults", "code", "said"),
    [
        (Faults(timestamp_refused=True), 3, "the timestamp"),
        (Faults(timestamp_over_other_bytes=True), 3, "other bytes"),
        (Faults(timestamp_signature_broken=True), 2, "would not be accepted"),
        (Faults(tsa_unknown=True), 2, "would not be accepted"),
        (Faults(tsa_without_eku=True), 2, "not for timestamps"),
    ],
)
def test_a_timestamp_that_proves_nothing_is_not_kept(
    call: Call, layout: str, tmp_path: Path, faults: Faults, code: int, said: str
) -> None:
    with SigstoreServer(faults) as sigstore:
        (tmp_path / "tsa.pem").write_bytes(pem_of(sigstore.authorities.tsa_root))
        stamp = ("--timestamp-url", f"{sigstore.url}/api/v1/timestamp", "--timestamp-root-cert", "tsa.pem")
        done = call("sign", "--notation", *KEYS, *stamp, layout)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert call("tree", "-o", "json", layout).json["attached"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--key FILE and --cert FILE"),
        (("--key", "signer.key"), "--key FILE and --cert FILE"),
        (("--key", "none.key", "--cert", "chain.pem"), "none.key can't be read"),
        (("--key", "signer.key", "--cert", "leaf.pem"), "the self-signed root last"),
        (("--key", "chain.pem", "--cert", "chain.pem"), "not an unencrypted private key"),
        ((*KEYS, "--timestamp-url", "https://tsa.test"), "go together"),
        ((*KEYS, "--timestamp-root-cert", "chain.pem"), "go together"),
        ((*KEYS, "--timestamp-root-cert", "leaf.pem", "--timestamp-url", "https://t.test"), "self-signed"),
        ((*KEYS, "--timestamp-root-cert", "root", "--timestamp-url", "ftp://t.test"), "not the address"),
        ((*KEYS, "--expiry", "soon"), "not a duration"),
        ((*KEYS, "--expiry", "0m"), "not a duration"),
        ((*KEYS, "--expiry", "99999d"), "not a duration"),
        ((*KEYS, "-m", "x"), "'x' is not K=V"),
        ((*KEYS, "-m", "io.cncf.notary.x=1"), "reserved"),
        ((*KEYS, "--legacy"), "--legacy is for cosign's signatures"),
        ((*KEYS, "--identity-token", "x"), "--identity-token is for cosign's signatures"),
        ((*KEYS, "--force"), "--force is for --helm"),
        ((*KEYS, "--helm"), "not both"),
    ],
)
def test_notation_asked_wrongly(
    call: Call, layout: str, tmp_path: Path, signers: Signers, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "root").write_bytes(signers.root.pem)
    done = call("sign", "--notation", *arguments, layout)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert call("tree", "-o", "json", layout).json["attached"] == []


def test_options_of_another_form_are_no_silent_wish(call: Call, layout: str) -> None:
    for option in (("--cert", "chain.pem"), ("--expiry", "1d"), ("-m", "a=b"), ("--signature-format", "jws")):
        done = call("sign", "--key", "signer.key", *option, layout)
        assert (done.code, "is for --notation" in done.err) == (2, True), option
    done = call("sign", "--helm", "--key", "x", "--plain-http", CHART)
    assert "--plain-http is for cosign's signatures and --notation" in done.err


# --- helm --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gpg_home() -> Iterator[Path]:
    """A GnuPG home; an agent's socket has no room for long paths."""
    home = Path(tempfile.mkdtemp(prefix="tg-", dir="/tmp"))
    command = ["gpg", "--homedir", str(home), "--batch", "--no-options", "--pinentry-mode", "loopback"]

    def gpg(*arguments: str) -> bytes:
        return subprocess.run([*command, *arguments], check=True, capture_output=True, timeout=60).stdout

    for name, secret in (("open", ""), ("locked", "a secret")):
        generate = ("--quick-gen-key", f"{name}@example.test", "ed25519", "sign", "never")
        gpg("--passphrase", secret, *generate)
        (home / f"{name}.gpg").write_bytes(gpg("--export", f"{name}@example.test"))
        exported = gpg("--passphrase", secret, "--export-secret-keys", f"{name}@example.test")
        (home / f"{name}.secret").write_bytes(exported)
    yield home
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, timeout=30)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    path = tmp_path / CHART
    path.write_bytes(openpgp_world.package())
    return path


@needs_gpg
def test_a_chart_of_ones_own_keys(call: Call, chart: Path, gpg_home: Path) -> None:
    done = call("sign", "--helm", "--key", "open@example.test", CHART, GNUPGHOME=str(gpg_home))
    assert (done.code, done.out, done.err) == (0, f"signed {CHART}  ({CHART}.prov)\n", "")
    written = chart.with_name(f"{CHART}.prov")
    assert written.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in chart.parent.iterdir() if path.name.startswith(".")] == []
    assert call("verify", "--keyring", gpg_home / "open.gpg", CHART).code == 0
    assert call("verify", "--keyring", gpg_home / "locked.gpg", CHART).code == 1
    # and it is not overwritten by mistake
    before = written.read_bytes()
    again = call("sign", "--helm", "--key", "open@example.test", CHART, GNUPGHOME=str(gpg_home))
    assert (again.code, "exists" in again.err, "--force" in again.err) == (2, True, True)
    assert written.read_bytes() == before
    forced = ("sign", "--helm", "--force", "--key", "open@example.test", "-o", "json", CHART)
    document = call(*forced, GNUPGHOME=str(gpg_home)).json
    assert document["schema"] == "trustgate.sign-chart/1"
    assert set(document) == {"schema", "chart", "digest", "provenance"}
    assert call("verify", "--keyring", gpg_home / "open.gpg", CHART).code == 0


@needs_gpg
def test_without_gpg_a_chart_cannot_be_judged(
    call: Call, chart: Path, tmp_path: Path, gpg_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = ("sign", "--helm", "--key", "open@example.test")
    assert call(*by, CHART, GNUPGHOME=str(gpg_home)).code == 0
    monkeypatch.setenv("PATH", str(tmp_path))
    done = call("verify", "--keyring", gpg_home / "open.gpg", CHART)
    assert (done.code, "gpg is not installed" in done.err, "hint: " in done.err) == (3, True, True)


@needs_gpg
@pytest.mark.parametrize("given", ["file", "stdin"])
def test_a_chart_with_a_keyring_and_a_passphrase(
    call: Call, chart: Path, tmp_path: Path, gpg_home: Path, given: str
) -> None:
    (tmp_path / "passphrase").write_text("a secret\nand a remark\n")
    options = ("--keyring", gpg_home / "locked.secret", "--key", "locked@example.test")
    source = "passphrase" if given == "file" else "-"
    done = call("sign", "--helm", *options, "--passphrase-file", source, CHART, stdin="a secret\n")
    assert done.code == 0, done.err
    assert call("verify", "--keyring", gpg_home / "locked.gpg", CHART).code == 0


@needs_gpg
def test_a_wrong_passphrase_writes_nothing(call: Call, chart: Path, tmp_path: Path, gpg_home: Path) -> None:
    (tmp_path / "wrong").write_text("no\n")
    (tmp_path / "empty").write_text("\n")
    options = ("--keyring", gpg_home / "locked.secret", "--key", "locked@example.test", "--passphrase-file")
    done = call("sign", "--helm", *options, "wrong", CHART)
    assert (done.code, done.out) == (2, "")
    assert "gpg did not sign" in done.err
    assert "no passphrase in it" in call("sign", "--helm", *options, "empty", CHART).err
    assert not chart.with_name(f"{CHART}.prov").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--helm takes --key NAME"),
        (("--key", "x", "--keyring", "none"), "none can't be read"),
        (("--key", "x", "--passphrase-file", "none"), "none can't be read"),
        (("--key", "x", "--cert", "c"), "--cert is for --notation"),
        (("--key", "x", "--yes"), "is for cosign's signatures"),
    ],
)
def test_helm_asked_wrongly(call: Call, chart: Path, arguments: tuple[str, ...], said: str) -> None:
    done = call("sign", "--helm", *arguments, CHART)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_what_stands_beside_the_chart_is_seen_before_a_key_is_asked_for(call: Call, chart: Path) -> None:
    chart.with_name(f"{CHART}.prov").write_text("mine")
    done = call("sign", "--helm", "--key", "x", "--keyring", "absent", CHART)
    assert (done.code, "absent" in done.err) == (2, False)
    assert f"{CHART}.prov exists" in done.err


def test_a_file_that_is_no_chart_or_has_another_name(call: Call, chart: Path) -> None:
    (chart.parent / "web.tgz").write_bytes(chart.read_bytes())
    done = call("sign", "--helm", "--key", "x", "web.tgz")
    assert (done.code, f"rename it to {CHART}" in done.err) == (2, True)
    chart.write_bytes(b"no chart")
    done = call("sign", "--helm", "--key", "x", CHART)
    assert (done.code, "helm package" in done.err) == (2, True)
    assert "can't be read" in call("sign", "--helm", "--key", "x", "absent-1.0.0.tgz").err


@needs_gpg
def test_a_place_that_cannot_be_written(call: Call, chart: Path, gpg_home: Path) -> None:
    chart.with_name(f"{CHART}.prov").mkdir()
    given = ("sign", "--helm", "--force", "--key", "open@example.test", CHART)
    done = call(*given, GNUPGHOME=str(gpg_home))
    assert (done.code, "can't be written" in done.err) == (2, True)
    assert [path.name for path in chart.parent.iterdir() if path.name.startswith(".")] == []
