"""sign, attest, tree, key import and the conformance protocol, as a shell calls them."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.signing_world import image, private_pem
from tests.signing_world import key as private
from tests.simulators.places import put
from tests.simulators.sigstore.faults import only
from tests.simulators.sigstore.server import SigstoreServer
from tests.unit.cli.conftest import Call, Done
from trustgate.remote.layout import LayoutSource

IMAGE = image()


@pytest.fixture
def layout(tmp_path: Path) -> str:
    put(LayoutSource(tmp_path / "image", create=True), IMAGE, "1")
    return f"oci-layout:{tmp_path / 'image'}:1"


@pytest.fixture
def sigstore(tmp_path: Path) -> Iterator[SigstoreServer]:
    with SigstoreServer() as made:
        for rekor in (1, 2):
            (tmp_path / f"services-{rekor}.json").write_bytes(made.signing_config(rekor=rekor))
        yield made


def _kinds(call: Call, layout: str) -> list[str]:
    return [one["kind"] for one in call("tree", "-o", "json", layout).json["attached"]]


# --- sign --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rekor", [1, 2])
def test_keyless_with_services_of_ones_own(
    call: Call, layout: str, sigstore: SigstoreServer, rekor: int
) -> None:
    services = ("--signing-config", f"services-{rekor}.json")
    done = call("sign", *services, "--identity-token", sigstore.token(), layout)
    assert (done.code, "signed" in done.out) == (0, True)
    assert "you named the tag 1" in done.err
    assert _kinds(call, layout) == ["signature"]


def test_keyless_with_urls_a_token_file_and_json(
    call: Call, layout: str, sigstore: SigstoreServer, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(sigstore.token())
    urls = ("--fulcio-url", sigstore.url, "--rekor-url", sigstore.url)
    stamp = ("--timestamp-server-url", f"{sigstore.url}/api/v1/timestamp")
    done = call("sign", *urls, *stamp, "--legacy", "-o", "json", "--identity-token", "token", layout)
    assert done.code == 0
    assert done.json["schema"] == "trustgate.sign/1"
    assert done.json["stored"] == ".sig tag"
    assert len(sigstore.asked("POST")) == 3


def test_keyless_with_a_token_of_the_environment(call: Call, layout: str, sigstore: SigstoreServer) -> None:
    services = ("--signing-config", "services-1.json")
    assert call("sign", *services, layout, SIGSTORE_ID_TOKEN=sigstore.token()).code == 0


def test_a_public_log_is_not_written_into_by_mistake(
    call: Call, layout: str, sigstore: SigstoreServer
) -> None:
    done = call("sign", "--identity-token", sigstore.token(), layout)
    assert (done.code, done.out) == (2, "")
    assert "for ever" in done.err
    assert "--yes" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--key", "a", "--identity-token", "b"), "not both"),
        (("--signing-config", "services-1.json", "--rekor-url", "https://a"), "not both"),
        (("--signing-config", "missing.json", "--identity-token", "TOKEN"), "missing.json can't be read"),
        (("--fulcio-url", "https://a", "--identity-token", "TOKEN"), "nothing would prove when"),
        (("--rekor-url", "https://a", "--identity-token", "TOKEN"), "no certificate authority"),
        (("--fulcio-url", "http://a.test", "--identity-token", "TOKEN"), "is not the address"),
        (("--identity-token", "eyJa.b.c"), "claims can't be read"),
        (
            ("--signing-config", "services-2.json", "--identity-token", "TOKEN", "--legacy"),
            "promise of a Rekor",
        ),
        (("--signing-config", "services-1.json", "--identity-token", "TOKEN", "-a", "x"), "is not K=V"),
    ],
)
def test_asked_wrongly(
    call: Call, layout: str, sigstore: SigstoreServer, arguments: tuple[str, ...], said: str
) -> None:
    given = [sigstore.token() if one == "TOKEN" else one for one in arguments]
    done = call("sign", *given, layout)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert not sigstore.asked("POST")


def test_a_service_that_does_not_take_the_token_is_3(
    call: Call, layout: str, sigstore: SigstoreServer
) -> None:
    with SigstoreServer() as other:
        token = other.token()
    done = call("sign", "--signing-config", "services-1.json", "--identity-token", token, layout)
    assert (done.code, done.out) == (3, "")
    assert "processing the identity token" in done.err
    assert token not in done.err


def test_verified_under_the_trusted_root_before_it_is_stored(
    call: Call, layout: str, sigstore: SigstoreServer, tmp_path: Path
) -> None:
    (tmp_path / "root.json").write_bytes(sigstore.trusted_root())
    services = ("--signing-config", "services-1.json", "--identity-token", sigstore.token())
    assert call("sign", *services, "--trusted-root", "root.json", layout).code == 0
    with SigstoreServer(only("no_sct")) as broken:
        (tmp_path / "broken.json").write_bytes(broken.signing_config())
        services = ("--signing-config", "broken.json", "--identity-token", broken.token())
        done = call("sign", *services, "--trusted-root", "root.json", layout)
    assert (done.code, done.out) == (3, "")
    assert "does not verify under the trusted root" in done.err
    assert len(_kinds(call, layout)) == 1
    (tmp_path / "no-root.json").write_text("{}")
    assert call("sign", *services, "--trusted-root", "no-root.json", layout).code == 2


# --- attest and tree ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), ("--legacy",)])
def test_attest(call: Call, layout: str, sigstore: SigstoreServer, tmp_path: Path, shape: tuple) -> None:
    (tmp_path / "sbom.json").write_text('{"bomFormat": "CycloneDX"}')
    call("key", "generate", COSIGN_PASSWORD="")
    about = ("--predicate", "sbom.json", "--type", "cyclonedx")
    done = call("attest", *about, *shape, "--key", "cosign.key", layout, COSIGN_PASSWORD="")
    assert (done.code, "attested https://cyclonedx.org/bom" in done.out) == (0, True)
    keyless = ("--signing-config", "services-1.json", "--identity-token", sigstore.token())
    assert (
        call("attest", *about, *shape, *keyless, "-o", "json", layout).json["schema"] == "trustgate.attest/1"
    )
    assert _kinds(call, layout) == ["attestation", "attestation"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing option '--predicate'"),
        (("--predicate", "missing"), "missing can't be read"),
        (("--predicate", "text", "--type", "sbom"), "is not a predicate type"),
        (("--predicate", "text", "--type", "cyclonedx"), "is not JSON"),
    ],
)
def test_attested_wrongly(
    call: Call, layout: str, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "text").write_text("text")
    done = call("attest", *arguments, "--key", "cosign.key", layout)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_the_tree_is_drawn(call: Call, layout: str) -> None:
    assert "(nothing is attached)" in call("tree", layout).out
    call("key", "generate", COSIGN_PASSWORD="")
    for shape in ((), ("--legacy",)):
        call("sign", *shape, "--key", "cosign.key", layout, COSIGN_PASSWORD="")
    done = call("tree", layout)
    assert done.code == 0
    lines = done.out.splitlines()
    assert [line[:14] for line in lines[1:]] == ["├── signature ", "└── signature "]
    assert "https://sigstore.dev/cosign/sign/v1" in lines[2]
    assert call("tree", layout.replace(":1", ":2")).code == 3


# --- keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["PKCS8", "TraditionalOpenSSL"])
@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_a_key_is_brought_along(call: Call, layout: str, tmp_path: Path, kind: str, form: str) -> None:
    (tmp_path / "own.pem").write_bytes(private_pem(private(kind), form))
    done = call("key", "import", "own.pem", "--output", "own", COSIGN_PASSWORD="new")
    assert (done.code, done.out) == (0, "")
    assert b"ENCRYPTED SIGSTORE PRIVATE KEY" in (tmp_path / "own.key").read_bytes()
    assert stat.S_IMODE((tmp_path / "own.key").stat().st_mode) == 0o600
    assert call("sign", "--key", "own.key", layout, COSIGN_PASSWORD="new").code == 0
    assert call("sign", "--key", "own.key", layout, COSIGN_PASSWORD="old").code == 2
    assert call("verify", "--key", "own.pub", layout).code == 0


def test_a_key_changes_its_password(call: Call, tmp_path: Path) -> None:
    call("key", "generate", COSIGN_PASSWORD="old")
    move = ("key", "import", "cosign.key", "--output", "new")
    wrong = call(*move, COSIGN_PASSWORD="new", TRUSTGATE_OLD_PASSWORD="wrong")
    assert (wrong.code, (tmp_path / "new.key").exists()) == (2, False)
    assert call(*move, COSIGN_PASSWORD="new", TRUSTGATE_OLD_PASSWORD="old").code == 0
    assert (tmp_path / "new.pub").read_bytes() == (tmp_path / "cosign.pub").read_bytes()
    assert "exists" in call(*move, COSIGN_PASSWORD="new", TRUSTGATE_OLD_PASSWORD="old").err


def test_what_is_no_key(call: Call, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    done = call("key", "import", "text", COSIGN_PASSWORD="")
    assert (done.code, "not a private key" in done.err) == (2, True)
    weak = ec.generate_private_key(ec.SECP521R1())
    (tmp_path / "p521").write_bytes(
        weak.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    assert "secp521r1" in call("key", "import", "p521", COSIGN_PASSWORD="").err


# --- conformance -------------------------------------------------------------------------------------


@pytest.fixture
def conformance(call: Call) -> Call:
    def run(*arguments: object, **environment: str) -> Done:
        return call("conformance", "sign-bundle", *arguments, **environment)

    return run


def test_a_bundle_for_a_file(conformance: Call, sigstore: SigstoreServer, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("an artifact")
    options = ("--identity-token", sigstore.token(), "--bundle", "a.json")
    done = conformance(*options, "--signing-config", "services-1.json", "a.txt")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert "messageSignature" in json.loads((tmp_path / "a.json").read_bytes())
    (tmp_path / "s.json").write_text(
        '{"_type": "https://in-toto.io/Statement/v1", "predicateType": "a", "subject": []}'
    )
    done = conformance(*options, "--in-toto", "--signing-config", "services-2.json", "s.json")
    assert done.code == 0
    assert "dsseEnvelope" in json.loads((tmp_path / "a.json").read_bytes())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("missing.txt",), "can't be read"), (("--bundle", "no/where.json", "a.txt"), "can't be written")],
)
def test_files_that_can_not_be(
    conformance: Call, sigstore: SigstoreServer, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "a.txt").write_text("an artifact")
    options = ("--identity-token", sigstore.token(), "--signing-config", "services-1.json")
    done = conformance(*options, "--bundle", "a.json", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_the_protocol_names_its_options() -> None:
    from trustgate.cli.conformance_sign import sign_bundle

    named = {option.opts[0] for option in sign_bundle.params if isinstance(option, click.Option)}
    assert named == {
        "--staging",
        "--in-toto",
        "--identity-token",
        "--bundle",
        "--trusted-root",
        "--signing-config",
    }
