"""Real notation: what it signs is verified here, what is signed here it accepts, in three kinds of place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.clients.catalog import require
from tests.interop.notation_client import (
    STORE,
    Notation,
    Signers,
    distribution,
    facts,
    make_notation,
    make_signers,
    write_trust_policy,
)
from tests.interop.world import World, add_image, add_index
from tests.notation_world import KINDS
from tests.simulators.sigstore.authorities import pem_of
from tests.simulators.sigstore.server import SigstoreServer
from trustgate.evidence.model import Outcome, Role
from trustgate.evidence.notation.envelope import COSE, JWS
from trustgate.evidence.notation.signing import signer_of
from trustgate.evidence.shape import role_of, signature_blobs
from trustgate.flows.sign import sign_image_notation
from trustgate.flows.transfer import copy_image
from trustgate.oci.manifest import parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.remote.docker_config import DockerConfig
from trustgate.remote.layout import LayoutSource
from trustgate.remote.registry import RegistryClient

pytestmark = pytest.mark.interop
FORMATS = {"jws": JWS, "cose": COSE}


@pytest.fixture(scope="module")
def signers() -> Signers:
    require("notation")
    return make_signers(KINDS)


@pytest.fixture(scope="module")
def notation(world: World, signers: Signers, tmp_path_factory: pytest.TempPathFactory) -> Notation:
    return make_notation(tmp_path_factory.mktemp("notation"), signers, world.environment("ci"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> LayoutSource:
    source = LayoutSource(tmp_path_factory.mktemp("images") / "layout", create=True)
    add_image(source, "web", "notation")
    add_index(source, "multi", "notation")
    return source


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with distribution(tmp_path_factory.mktemp("peer") / "distribution") as host:
        yield host


def client(world: World, host: str, repository: str) -> RegistryClient:
    credential = DockerConfig({"DOCKER_CONFIG": str(world.configs["ci"])}, world.folder).find(host)
    return RegistryClient(host, RepositoryName(repository), credential)


def repository(world: World, images: LayoutSource, host: str, name: str) -> RegistryClient:
    source = client(world, host, f"open/{name}")
    for tag in ("web", "multi"):
        copy_image(images, Tag(tag), source, Tag(tag), progress=lambda *_: None)
    return source


@pytest.fixture(params=["trustgate", "distribution"])
def host(request: pytest.FixtureRequest, world: World, peer: str) -> str:
    return world.host if request.param == "trustgate" else peer


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_notation_signs_is_verified(
    kind: str, form: str, host: str, world: World, images: LayoutSource, notation: Notation, signers: Signers
) -> None:
    with repository(world, images, host, f"theirs-{kind}-{form}") as source:
        reference = f"{host}/open/theirs-{kind}-{form}:web"
        notation.run("sign", "--insecure-registry", "--key", kind, "--signature-format", form, reference)
        (fact,) = facts(source, Tag("web"), signers.root.pem)
        assert fact.outcome is Outcome.VERIFIED, fact.reason
        assert notation.verifies("--insecure-registry", reference)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_signed_here_notation_accepts(
    kind: str, form: str, host: str, world: World, images: LayoutSource, notation: Notation, signers: Signers
) -> None:
    issued = signers.by_kind[kind]
    signer = signer_of(issued.key, issued.chain)
    with repository(world, images, host, f"ours-{kind}-{form}") as source:
        for tag in ("web", "multi"):
            sign_image_notation(
                source,
                Tag(tag),
                signer,
                media_type=FORMATS[form],
                metadata={"build": "7"},
                now=datetime.now(UTC),
            )
            reference = f"{host}/open/ours-{kind}-{form}:{tag}"
            done = notation.run("verify", "--insecure-registry", "-m", "build=7", reference)
            assert "Successfully verified signature" in done.stdout + done.stderr
            (fact,) = facts(source, Tag(tag), signers.root.pem)
            assert fact.outcome is Outcome.VERIFIED, fact.reason


@pytest.mark.parametrize("form", FORMATS)
def test_what_the_command_signs_notation_accepts(
    form: str, host: str, world: World, images: LayoutSource, notation: Notation, signers: Signers
) -> None:
    local = notation.home / "notation" / "localkeys"
    keys = ("--key", local / "p256.key", "--cert", local / "p256.crt", "--signature-format", form)
    name = f"command-{form}"
    with repository(world, images, host, name) as source, SigstoreServer() as sigstore:
        tsa = notation.home / "tsa.pem"
        tsa.write_bytes(pem_of(sigstore.authorities.tsa_root))
        store = notation.home / "notation" / "truststore" / "x509" / "tsa" / STORE
        store.mkdir(parents=True, exist_ok=True)
        (store / "tsa.crt").write_bytes(tsa.read_bytes())
        stamp = ("--timestamp-url", f"{sigstore.url}/api/v1/timestamp", "--timestamp-root-cert", tsa)
        more = ("--expiry", "90d", "-m", "build=7")
        reference = f"{host}/open/{name}:web"
        world.trustgate("ci", "sign", "--notation", *keys, *stamp, *more, reference)
        write_trust_policy(notation.home, trustStores=[f"ca:{STORE}", f"tsa:{STORE}"])
        try:
            done = notation.run("verify", "-v", "--insecure-registry", "-m", "build=7", reference)
        finally:
            write_trust_policy(notation.home)
        assert "Successfully verified signature" in done.stdout + done.stderr
        (fact,) = facts(source, Tag("web"), signers.root.pem)
        assert fact.outcome is Outcome.VERIFIED, fact.reason


def test_both_refuse_a_stranger(
    world: World, images: LayoutSource, notation: Notation, signers: Signers, tmp_path: Path
) -> None:
    stranger = make_signers(["p256"]).by_kind["p256"]
    other = signer_of(stranger.key, stranger.chain)
    with repository(world, images, world.host, "stranger") as source:
        sign_image_notation(source, Tag("web"), other, media_type=JWS, metadata={}, now=datetime.now(UTC))
        assert not notation.verifies("--insecure-registry", f"{world.host}/open/stranger:web")
        (fact,) = facts(source, Tag("web"), signers.root.pem)
        assert fact.outcome is Outcome.UNTRUSTED


def test_a_layout(notation: Notation, signers: Signers, tmp_path: Path) -> None:
    source = LayoutSource(tmp_path / "layout", create=True)
    add_image(source, "web", "layout")
    place = f"{tmp_path / 'layout'}:web"
    notation.run("sign", "--oci-layout", "--key", "p256", "--signature-format", "cose", place)
    issued = signers.by_kind["rsa3072"]
    sign_image_notation(
        source,
        Tag("web"),
        signer_of(issued.key, issued.chain),
        media_type=JWS,
        metadata={},
        now=datetime.now(UTC),
    )
    found = facts(source, Tag("web"), signers.root.pem)
    assert [one.outcome for one in found] == [Outcome.VERIFIED, Outcome.VERIFIED]
    assert notation.verifies("--oci-layout", "--scope", "local/layout", place)


def test_what_notation_pushes_is_a_signature_by_its_shape(
    world: World, images: LayoutSource, notation: Notation
) -> None:
    with repository(world, images, world.host, "shape") as source:
        notation.run("sign", "--insecure-registry", "--key", "p256", f"{world.host}/open/shape:web")
        subject = source.manifest(Tag("web")).digest
        (digest,) = source.referrers(subject, limit=5)
        manifest = parse_manifest(source.manifest(digest).raw)
        contents = {
            one.digest: source.blob(one.digest, max_bytes=one.size) for one in signature_blobs(manifest)
        }
        assert role_of(manifest, contents) is Role.SIGNATURE


def test_its_trust_policy_is_read(notation: Notation) -> None:
    from trustgate.evidence.notation.trust_policy import read_trust_policy, statement_trust

    document = read_trust_policy(write_trust_policy(notation.home))
    statement = document.for_scope("localhost:1/any")
    assert statement is not None
    folder = notation.home / "notation" / "truststore"
    store = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert len(statement_trust(statement, store).ca) == 1
