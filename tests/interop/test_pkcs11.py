"""Keys in a real token (SoftHSM): what they sign here, real cosign and real notation verify."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.clients.catalog import require
from tests.interop.notation_client import Notation, make_notation, make_signers
from tests.interop.softhsm import KEY_TYPES, PIN, TOKEN, SoftHsm, make_softhsm
from tests.interop.world import World, add_image
from tests.notation_world import KINDS as NOTATION_KINDS
from tests.notation_world import issue
from tests.simulators.signing_keys import SimulatedKey
from trustgate.remote.layout import LayoutSource
from trustgate.remote.trust_root import bundled_trusted_root

pytestmark = pytest.mark.interop
COSIGN_KINDS = ("p256", "p384", "ed25519", "rsa2048", "rsa3072")
IGNORE_LOG = ("--allow-http-registry", "--insecure-ignore-tlog=true")


class Signer:
    """Somebody with a token, who signs in the world's registry."""

    def __init__(self, world: World, hsm: SoftHsm, layout: Path) -> None:
        self.world, self.hsm, self.layout = world, hsm, layout

    def trustgate(
        self, *arguments: object, check: bool = True, pin: str = PIN
    ) -> subprocess.CompletedProcess[str]:
        """With the PIN in the environment; it is in nothing that is said."""
        words = (sys.executable, "-m", "trustgate", *arguments)
        extra = {**self.hsm.environment, **({"COSIGN_PKCS11_PIN": pin} if pin else {})}
        done = self.world.run("ci", *words, check=check, **extra)
        assert PIN not in done.stdout + done.stderr
        return done

    def push(self, name: str) -> str:
        image = f"{self.world.host}/open/{name}:1"
        self.world.trustgate("ci", "push", f"oci-layout:{self.layout}:web", image)
        return image

    def public(self, label: str, folder: Path) -> Path:
        """As a policy wants it."""
        path = folder / f"{label}.pub"
        path.write_text(self.trustgate("key", "public", self.hsm.uri(label), pin="").stdout)
        return path

    def cosign(self, program: str, command: str, *arguments: object, bundle: bool = False) -> bool:
        """cosign 2 is told that it is a bundle, and wants a root then, whose services it asks nothing of."""
        if bundle and program == "cosign2":
            root = self.world.folder / "trusted_root.json"
            root.write_bytes(bundled_trusted_root())
            arguments = ("--new-bundle-format", "--trusted-root", root, *arguments)
        done = self.world.run("prod", require(program).path, command, *IGNORE_LOG, *arguments, check=False)
        return done.returncode == 0


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    made = make_softhsm(tmp_path_factory.mktemp("softhsm"))
    for number, kind in enumerate(KEY_TYPES, start=1):
        made.make_key(kind, kind, f"{number:02x}")
    made.make_key("p256", "twin", "aa")
    made.make_key("p256", "twin", "bb")
    made.make_key_that_may_not_sign("derives")
    return made


@pytest.fixture
def signer(images: World, hsm: SoftHsm, layout: Path) -> Signer:
    return Signer(images, hsm, layout)


# --- cosign ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", COSIGN_KINDS)
def test_what_a_token_signs_both_cosigns_verify(signer: Signer, tmp_path: Path, kind: str) -> None:
    public = signer.public(kind, tmp_path)
    for shape in (), ("--legacy",):
        image = signer.push(f"token-{kind}-{len(shape)}")
        signer.trustgate("sign", "--key", signer.hsm.uri(kind), *shape, image)
        for program in ("cosign", "cosign2"):
            assert signer.cosign(program, "verify", "--key", public, image, bundle=not shape)
            stranger = ("--key", signer.world.public_key_file)
            assert not signer.cosign(program, "verify", *stranger, image, bundle=not shape)
        assert signer.trustgate("verify", "--key", public, image).stdout.startswith("verified")
        done = signer.trustgate("verify", "--key", signer.hsm.uri(kind), image, pin="")
        assert done.stdout.startswith("verified")


@pytest.mark.parametrize("kind", ["p256", "ed25519", "rsa2048"])
def test_what_a_token_attests_both_cosigns_verify(signer: Signer, tmp_path: Path, kind: str) -> None:
    public = signer.public(kind, tmp_path)
    (tmp_path / "note").write_text("built here")
    for shape in (), ("--legacy",):
        image = signer.push(f"attested-{kind}-{len(shape)}")
        key = ("--key", signer.hsm.uri(kind))
        signer.trustgate("attest", *key, "--predicate", tmp_path / "note", *shape, image)
        known = ("--type", "custom", "--key", public)
        for program in ("cosign", "cosign2"):
            assert signer.cosign(program, "verify-attestation", *known, image, bundle=not shape)
        assert signer.trustgate("verify-attestation", *key, image, pin="").stdout


def test_a_layout_without_a_network(signer: Signer, tmp_path: Path) -> None:
    source = LayoutSource(tmp_path / "image", create=True)
    add_image(source, "1", "token")
    place, key = f"oci-layout:{tmp_path / 'image'}:1", signer.hsm.uri("p384")
    signer.trustgate("sign", "--key", key, place)
    assert signer.trustgate("verify", "--key", key, place, pin="").stdout.startswith("verified")
    public = signer.public("p256", tmp_path)
    assert signer.trustgate("verify", "--key", public, place, check=False).returncode == 1


def test_the_pin_in_the_uri_or_in_a_file(signer: Signer, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(f"{PIN}\n")
    image = signer.push("token-pins")
    for more in (f"pin-value={PIN}", f"pin-source=file:{tmp_path / 'pin'}", f"pin-source={tmp_path / 'pin'}"):
        signer.trustgate("sign", "--key", signer.hsm.uri("p256", more), image, pin="")
    done = signer.trustgate("sign", "--key", signer.hsm.uri("p256"), image, pin="", check=False)
    assert (done.returncode, "COSIGN_PKCS11_PIN" in done.stderr) == (2, True)


def test_every_attribute_of_a_uri_is_held_against_the_token(signer: Signer) -> None:
    about = "model=SoftHSM%20v2;manufacturer=SoftHSM%20project"
    uri = signer.hsm.uri("p256").replace("pkcs11:", f"pkcs11:{about};id=%01;type=private;")
    signer.trustgate("sign", "--key", uri, signer.push("token-narrow"))
    refused(signer, uri.replace("v2", "v3"), 3, "no token fits")
    refused(signer, uri.replace("%01", "%02"), 2, "there is no private key")


# --- notation --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def notation(
    images: World, hsm: SoftHsm, layout: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Notation, dict[str, Path]]:
    """Real notation, and a chain for each key in the token, by an authority that it trusts."""
    require("notation")
    folder = tmp_path_factory.mktemp("notation")
    signers = make_signers(["p256"])
    client = make_notation(folder, signers, images.environment("ci"))
    signer, now = Signer(images, hsm, layout), datetime.now(UTC)
    chains = {}
    for kind in NOTATION_KINDS:
        public = load_pem_public_key(signer.public(kind, folder).read_bytes())
        leaf = issue(
            signers.root,
            private=PublicOnly(public),
            purposes=[ExtendedKeyUsageOID.CODE_SIGNING],
            not_before=now - timedelta(hours=1),
            not_after=now + timedelta(days=30),
        )
        chains[kind] = folder / f"{kind}.pem"
        chains[kind].write_bytes(leaf.chain_pem)
    return client, chains


class PublicOnly(SimulatedKey):
    """What a certificate is made for: nobody has the private half."""

    def public_key(self) -> object:
        return self.private


@pytest.mark.parametrize("form", ["jws", "cose"])
@pytest.mark.parametrize("kind", NOTATION_KINDS)
def test_what_a_token_signs_notation_verifies(
    signer: Signer, notation: tuple[Notation, dict[str, Path]], kind: str, form: str
) -> None:
    client, chains = notation
    image = signer.push(f"notation-token-{kind}-{form}")
    given = ("--key", signer.hsm.uri(kind), "--cert", chains[kind], "--signature-format", form)
    signer.trustgate("sign", "--notation", *given, image)
    done = client.run("verify", "--insecure-registry", image)
    assert "Successfully verified signature" in done.stdout + done.stderr


# --- what is refused -------------------------------------------------------------------------------


def refused(signer: Signer, uri: str, code: int, *said: str, pin: str = PIN) -> None:
    place = f"oci-layout:{signer.layout}:bare"
    done = signer.trustgate("sign", "--key", uri, place, check=False, pin=pin)
    assert (done.returncode, done.stdout) == (code, "")
    for text in said:
        assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_refusals(signer: Signer) -> None:
    hsm = signer.hsm
    refused(signer, hsm.uri("p256", token="other"), 3, "no token fits", f"there are: '{TOKEN}' (serial '")
    refused(signer, hsm.uri("nothing"), 2, "there is no private key pkcs11:token=release;object=nothing")
    refused(signer, hsm.uri("twin"), 2, "2 keys fit", "'twin' (id aa)", "'twin' (id bb)")
    refused(signer, hsm.uri("derives"), 2, "may not sign")
    refused(signer, hsm.uri("p521"), 2, "secp521r1 can't be used")
    refused(signer, "pkcs11:token=release;object=p256?module-path=/nowhere.so", 3, "no PKCS#11 module")
    libc = next(Path("/lib").glob("*-linux-gnu/libc.so.6"), None)
    if libc is not None:
        refused(signer, f"pkcs11:token=release;object=p256?module-path={libc}", 3, "can't be used")


def test_a_wrong_pin(signer: Signer) -> None:
    """SoftHSM never locks a token, and says after the first wrong PIN that there are fewer tries."""
    for pin in ("00000000", "x", "y" * 300):
        refused(signer, signer.hsm.uri("p256"), 2, "does not take the PIN", "fewer tries left", pin=pin)
    signer.trustgate("sign", "--key", signer.hsm.uri("p256"), signer.push("token-again"))


def test_two_tokens_of_one_name(signer: Signer, tmp_path: Path) -> None:
    hsm = make_softhsm(tmp_path / "two")
    hsm.make_token(TOKEN)
    refused(Signer(signer.world, hsm, signer.layout), hsm.uri("p256"), 2, "2 tokens fit", "serial or slot-id")


def test_a_module_without_a_place_for_tokens(signer: Signer, tmp_path: Path) -> None:
    hsm = SoftHsm(tmp_path, signer.hsm.module)
    refused(Signer(signer.world, hsm, signer.layout), hsm.uri("p256"), 3)
