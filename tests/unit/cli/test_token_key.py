"""Keys in tokens, as a shell names them: where module and PIN come from, and that no PIN is ever shown."""

from __future__ import annotations

from pathlib import Path

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.notation_world import DAY, NOW, issue, root
from tests.signing_world import image, key, public_pem
from tests.simulators.places import put
from tests.simulators.tokens import PIN, SimulatedModule, SimulatedToken
from tests.unit.cli.conftest import Call, Done
from trustgate.cli.token_key import MAX_PIN_BYTES
from trustgate.evidence.cosign_key import write_private_key
from trustgate.remote.layout import LayoutSource

KEY = "pkcs11:token=release;object=web"
IMAGE = image()


class World:
    def __init__(self, folder: Path) -> None:
        self.module = folder / "module.so"
        self.module.write_bytes(b"")
        self.pin_file = folder / "pin"
        self.pin_file.write_text(f"{PIN}\n")
        self.loaded: list[str] = []
        self.simulated = SimulatedModule()
        self.token = SimulatedToken()
        self.simulated.put(self.token)
        self.token.add(key("p256"))
        put(LayoutSource(folder / "image", create=True), IMAGE, "1")
        self.image = f"oci-layout:{folder / 'image'}:1"
        self.uri = f"{KEY}?module-path={self.module}"
        self.with_pin = f"{self.uri}&pin-value={PIN}"
        (folder / "web.pub").write_bytes(public_pem(key("p256")))

    def load(self, path: str) -> SimulatedModule:
        self.loaded.append(path)
        return self.simulated(path)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(pkcs11, "lib", made.load)
    return made


def silent(done: Done, *secrets: str) -> Done:
    for secret in (PIN, *secrets):
        assert secret not in done.out + done.err
    return done


# --- sign, attest, verify --------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [(), ("--legacy",)])
def test_sign_and_verify(call: Call, world: World, extra: tuple[str, ...]) -> None:
    done = silent(call("sign", "--key", world.with_pin, *extra, world.image))
    assert (done.code, "signed" in done.out) == (0, True)
    assert call("verify", "--key", "web.pub", world.image).code == 0
    pins = list(world.token.pins)
    done = silent(call("verify", "--key", world.uri, world.image))
    assert (done.code, "1 of 1 signatures good" in done.out) == (0, True)
    assert world.token.pins == pins, "who verifies logs in nowhere"
    assert all(one.closed for one in world.token.sessions)


@pytest.mark.parametrize("extra", [(), ("--legacy",)])
def test_attest(call: Call, world: World, tmp_path: Path, extra: tuple[str, ...]) -> None:
    (tmp_path / "sbom").write_text("an SBOM")
    done = silent(call("attest", "--key", world.with_pin, "--predicate", "sbom", *extra, world.image))
    assert (done.code, "attested" in done.out) == (0, True)
    done = silent(call("verify-attestation", "--key", world.uri, world.image))
    assert done.code == 0


def test_another_key_is_no(call: Call, world: World) -> None:
    assert call("sign", "--key", world.with_pin, world.image).code == 0
    world.token.objects.clear()
    world.token.add(key("p256", "mallory"))
    assert call("verify", "--key", world.uri, world.image).code == 1


def test_verify_without_the_token_is_3(call: Call, world: World) -> None:
    world.simulated.slots.clear()
    done = silent(call("verify", "--key", world.with_pin, world.image))
    assert (done.code, done.out) == (3, "")
    assert "no token fits pkcs11:token=release;object=web; there are: none" in done.err


def test_notation(call: Call, world: World, tmp_path: Path) -> None:
    issued = issue(root(), private=key("p256"), not_before=NOW - 200 * DAY)
    (tmp_path / "chain.pem").write_bytes(issued.chain_pem)
    sign = ("sign", "--notation", "--key", world.with_pin, "--cert", "chain.pem", world.image)
    done = silent(call(*sign))
    assert (done.code, "signed" in done.out) == (0, True)
    assert [one["kind"] for one in call("tree", "-o", "json", world.image).json["attached"]] == ["signature"]
    world.token.pins.clear()
    (tmp_path / "chain.pem").write_bytes(b"x")
    assert silent(call(*sign)).code == 2
    assert world.token.pins == [], "the chain is read before a PIN is told"


def test_a_kind_that_cosign_does_not_verify(call: Call, world: World) -> None:
    world.token.objects.clear()
    world.token.add(ec.generate_private_key(ec.SECP521R1()))
    done = silent(call("sign", "--key", world.with_pin, world.image))
    assert (done.code, "secp521r1 can't be used" in done.err) == (2, True)


# --- where module and PIN come from ----------------------------------------------------------------


def test_the_module(call: Call, world: World) -> None:
    done = call("key", "public", KEY)
    assert (done.code, "COSIGN_PKCS11_MODULE_PATH" in done.err) == (2, True)
    assert call("key", "public", KEY, COSIGN_PKCS11_MODULE_PATH="module.so").code == 2
    assert call("key", "public", KEY, COSIGN_PKCS11_MODULE_PATH=str(world.module)).code == 0
    assert call("key", "public", world.uri, COSIGN_PKCS11_MODULE_PATH="/elsewhere").code == 0
    assert world.loaded == [str(world.module)] * 2


def test_the_pin(call: Call, world: World) -> None:
    source = f"{world.uri}&pin-source=file:{world.pin_file}"
    for given, environment in (
        (source, {"COSIGN_PKCS11_PIN": "unused"}),
        (world.with_pin, {"COSIGN_PKCS11_PIN": "unused"}),
        (world.uri, {"COSIGN_PKCS11_PIN": PIN}),
    ):
        assert silent(call("sign", "--key", given, world.image, **environment)).code == 0
    assert world.token.pins == [PIN] * 3
    done = call("sign", "--key", world.uri, world.image)
    assert (done.code, done.out) == (2, "")
    assert "there is no terminal to ask for the pin of the token 'release': set COSIGN_PKCS11_PIN" in done.err


def test_the_pin_is_asked_for(call: Call, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def prompt(what: str, **_: object) -> str:
        asked.append(what)
        return PIN

    monkeypatch.setattr("trustgate.cli.secret.click.prompt", prompt)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert silent(call("sign", "--key", world.uri, world.image)).code == 0
    assert asked == ["PIN of the token 'release'"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no PIN"),
        (b"\n", "holds no PIN"),
        (b"12\n34\n", "holds no PIN"),
        (b"\xff", "holds no PIN"),
        (b"1" * (MAX_PIN_BYTES + 1), "more than 1024 bytes"),
        (None, "can't be read"),
    ],
)
def test_a_pin_file_that_is_none(call: Call, world: World, content: bytes | None, said: str) -> None:
    world.pin_file.unlink()
    if content is not None:
        world.pin_file.write_bytes(content)
    done = call("sign", "--key", f"{world.uri}&pin-source={world.pin_file}", world.image)
    assert (done.code, said in done.err) == (2, True)
    assert world.token.pins == []


def test_a_wrong_pin(call: Call, world: World) -> None:
    done = silent(call("sign", "--key", world.uri, world.image, COSIGN_PKCS11_PIN="98761234"), "98761234")
    assert (done.code, done.out) == (2, "")
    assert "does not take the PIN; it does not say how many tries are left" in done.err
    assert len(world.token.pins) == 1


# --- nothing of a PIN is shown ---------------------------------------------------------------------

BAD = f"pkcs11:token=release?pin-value={PIN}"
GOOD = f"{KEY}?pin-value={PIN}"


@pytest.mark.parametrize(
    "arguments",
    [
        ("sign", "--key", BAD, "IMAGE"),
        ("sign", "--key", GOOD, "IMAGE"),
        ("sign", "--key", GOOD.replace("pkcs11", "PKCS11"), "IMAGE"),
        ("sign", "--notation", "--cert", "web.pub", "--key", BAD, "IMAGE"),
        (
            "sign",
            "--notary-v1",
            "--role",
            "targets/a",
            "--root-key",
            "0" * 64,
            "--key",
            GOOD,
            "localhost:1/a:1",
        ),
        ("sign", "--helm", "--key", GOOD, "web-1.0.0.tgz"),
        ("attest", "--predicate", "web.pub", "--key", BAD, "IMAGE"),
        ("verify", "--key", BAD, "IMAGE"),
        ("verify", "--key", GOOD, "IMAGE"),
        ("verify-attestation", "--key", BAD, "IMAGE"),
        ("key", "public", BAD),
        ("key", "public", GOOD),
        ("key", "import", GOOD),
        ("trust", "inspect", GOOD),
    ],
)
def test_no_refusal_shows_a_pin(call: Call, world: World, arguments: tuple[str, ...]) -> None:
    done = silent(call(*(world.image if one == "IMAGE" else one for one in arguments)))
    assert done.code == 2
    assert done.err


# --- key public ------------------------------------------------------------------------------------


def test_key_public_of_a_token(call: Call, world: World) -> None:
    done = silent(call("key", "public", world.with_pin))
    assert (done.code, done.err) == (0, "")
    assert done.out.encode() == public_pem(key("p256"))


def test_key_public_of_a_token_in_a_policy_s_sight(call: Call, world: World) -> None:
    """A key that no policy takes is shown, with a word on that."""
    world.token.objects.clear()
    world.token.add(key("p521"))
    done = call("key", "public", world.uri)
    assert (done.code, done.out.encode()) == (0, public_pem(key("p521")))
    assert "can't be used to sign or verify images" in done.err


def test_key_public_of_a_file(call: Call, tmp_path: Path) -> None:
    (tmp_path / "web.key").write_bytes(write_private_key(key("p256"), b"secret"))
    done = call("key", "public", "web.key", COSIGN_PASSWORD="secret")
    assert (done.code, done.out.encode()) == (0, public_pem(key("p256")))
    assert call("key", "public", "web.key", COSIGN_PASSWORD="x").code == 2
    assert call("key", "public", "missing.key").code == 2
