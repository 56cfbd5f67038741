"""Keyless signatures and attestations: what is made, whom is asked in which order, what is not begun."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.signing_world import NOW, image, index, key
from tests.simulators.places import KINDS, client_of, place, put
from tests.simulators.registry import Answer, SimulatedRegistry
from tests.simulators.sigstore import PrivateSigstore, trusted_root
from tests.simulators.sigstore.faults import only
from tests.simulators.sigstore.server import SigstoreServer
from tests.simulators.wires import loopback
from trustgate.errors import (
    Conflict,
    InvalidInput,
    ManifestInvalid,
    NotFound,
    UpstreamFailed,
    UpstreamRefused,
)
from trustgate.evidence.attesting import Predicate
from trustgate.evidence.shape import MAX_SIGNATURE_LAYERS
from trustgate.evidence.sigstore.trusted_root import read_trusted_root
from trustgate.evidence.sigstore_signing.identity_token import read_identity_token
from trustgate.evidence.sigstore_signing.signing_config import read_signing_config
from trustgate.flows.sign import attest_image, attest_image_legacy, sign_image, sign_image_legacy
from trustgate.flows.sign_file import sign_file
from trustgate.flows.signatory import SelfCheck, Signatory, bearer
from trustgate.flows.tree import tree_of
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import parse_manifest
from trustgate.oci.names import Tag
from trustgate.ports import ImageSource
from trustgate.ports.signing import SigningServices
from trustgate.remote.sigstore_services import open_services, signing_http

IMAGE = image()
DIGEST = IMAGE.manifest.digest
SBOM = Predicate("https://cyclonedx.org/bom", {"bomFormat": "CycloneDX"})
NAME = "registry.test/shop/web"


@pytest.fixture
def sigstore() -> Iterator[SigstoreServer]:
    with SigstoreServer() as made:
        yield made


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with signing_http(loopback()) as made:
        yield made


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImageSource]:
    with place(request.param, tmp_path / "image") as made:
        put(made, IMAGE, "1")
        yield made


def services(sigstore: SigstoreServer, http: httpx.Client, rekor: int | None, tsa: bool) -> SigningServices:
    config = read_signing_config(sigstore.signing_config(rekor=rekor, tsa=tsa), datetime.now(UTC))
    return open_services(config, http)


def somebody(
    sigstore: SigstoreServer, http: httpx.Client, rekor: int | None = 1, *, tsa: bool = True
) -> Signatory:
    token = read_identity_token(sigstore.token(), datetime.now(UTC))
    return bearer(token, services(sigstore, http, rekor, tsa))


def bundle_at(source: ImageSource, signature: Digest) -> dict[str, Any]:
    manifest = parse_manifest(source.manifest(signature).raw)
    assert manifest.subject is not None
    assert manifest.subject.digest == DIGEST
    (layer,) = manifest.layers
    made: dict[str, Any] = json.loads(source.blob(layer.digest, max_bytes=1024 * 1024))
    return made


def said_by(bundle: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    return said


def asked(sigstore: SigstoreServer) -> list[str]:
    return [seen.path for seen in sigstore.seen]


# --- bundles -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rekor", "tsa"), [(1, False), (1, True), (2, True), (None, True)])
def test_a_bundle_holds_all_that_was_given(
    source: ImageSource, sigstore: SigstoreServer, http: httpx.Client, rekor: int | None, tsa: bool
) -> None:
    by = somebody(sigstore, http, rekor, tsa=tsa)
    done = sign_image(source, Tag("1"), by, annotations={"by": "ci"}, now=NOW)
    assert done.subject == DIGEST
    bundle = bundle_at(source, done.signature)
    assert said_by(bundle)["subject"] == [{"digest": {"sha256": DIGEST.hex}, "annotations": {"by": "ci"}}]
    material = bundle["verificationMaterial"]
    assert set(material) == {
        "certificate",
        *(["tlogEntries"] if rekor else []),
        *(["timestampVerificationData"] if tsa else []),
    }
    # cosign's order: what is written into the log has been stamped by then
    paths = asked(sigstore)
    assert paths[0] == "/api/v2/signingCert"
    assert paths[-1] == (f"/api/v{rekor}/log/entries" if rekor else "/api/v1/timestamp")


def test_an_attestation_says_so(source: ImageSource, sigstore: SigstoreServer, http: httpx.Client) -> None:
    done = attest_image(source, DIGEST, somebody(sigstore, http), SBOM, name=NAME, now=NOW)
    said = said_by(bundle_at(source, done.signature))
    assert (said["predicateType"], said["predicate"]) == (SBOM.type, SBOM.content)
    assert said["subject"] == [{"name": NAME, "digest": {"sha256": DIGEST.hex}}]
    annotations = json.loads(source.manifest(done.signature).raw)["annotations"]
    assert annotations["dev.sigstore.bundle.predicateType"] == SBOM.type


def test_a_key_hints_at_itself_and_may_be_logged(
    source: ImageSource, sigstore: SigstoreServer, http: httpx.Client
) -> None:
    by = Signatory(key("p256", "alice"), services(sigstore, http, 1, True))
    material = bundle_at(source, sign_image(source, DIGEST, by, annotations={}, now=NOW).signature)
    assert set(material["verificationMaterial"]) == {
        "publicKey",
        "tlogEntries",
        "timestampVerificationData",
    }
    assert asked(sigstore) == ["/api/v1/timestamp", "/api/v1/log/entries"]


def test_each_signature_has_a_key_of_its_own(sigstore: SigstoreServer, http: httpx.Client) -> None:
    first, second = somebody(sigstore, http), somebody(sigstore, http)
    assert first.key.public_key() != second.key.public_key()
    assert first.public_key is None
    assert "key=" not in repr(first)


# --- legacy layers -----------------------------------------------------------------------------------


def layer_at(source: ImageSource, end: str, number: int = 0) -> tuple[bytes, dict[str, str]]:
    found = source.manifest(Tag(f"sha256-{DIGEST.hex}.{end}"))
    layer = parse_manifest(found.raw).layers[number]
    return source.blob(layer.digest, max_bytes=1024 * 1024), dict(layer.annotations)


@pytest.mark.parametrize("tsa", [False, True])
def test_a_sig_layer(source: ImageSource, sigstore: SigstoreServer, http: httpx.Client, tsa: bool) -> None:
    by = somebody(sigstore, http, tsa=tsa)
    done = sign_image_legacy(source, DIGEST, by, docker_reference=NAME, annotations={})
    assert done.stored == ".sig tag"
    payload, annotations = layer_at(source, "sig")
    assert json.loads(payload)["critical"]["image"]["docker-manifest-digest"] == DIGEST
    assert set(annotations) == {
        "dev.cosignproject.cosign/signature",
        "dev.sigstore.cosign/certificate",
        "dev.sigstore.cosign/chain",
        "dev.sigstore.cosign/bundle",
        *(["dev.sigstore.cosign/rfc3161timestamp"] if tsa else []),
    }
    assert annotations["dev.sigstore.cosign/chain"].count("BEGIN CERTIFICATE") == 2


def test_an_att_layer_keeps_the_bytes_that_were_logged(
    source: ImageSource, sigstore: SigstoreServer, http: httpx.Client
) -> None:
    by = somebody(sigstore, http)
    for number in range(2):
        assert attest_image_legacy(source, DIGEST, by, SBOM, name=NAME).stored == ".att tag"
        envelope, annotations = layer_at(source, "att", number)
        assert annotations["dev.cosignproject.cosign/signature"] == ""
        assert annotations["predicateType"] == SBOM.type
        entry = json.loads(annotations["dev.sigstore.cosign/bundle"])["Payload"]
        logged = json.loads(base64.b64decode(entry["body"]))["spec"]["envelopeHash"]["value"]
        assert logged == Digest.of(envelope).hex


@pytest.mark.parametrize("end", ["sig", "att"])
def test_what_has_no_room_asks_nobody(
    tmp_path: Path, sigstore: SigstoreServer, http: httpx.Client, end: str
) -> None:
    """A log keeps for ever: first comes everything that can fail."""
    with place("layout", tmp_path / "image") as source:
        put(source, IMAGE, "1")
        for rekor, tsa in ((2, True), (2, False)):
            with pytest.raises(InvalidInput):
                _legacy(source, somebody(sigstore, http, rekor, tsa=tsa), end)
        digest = source.put_manifest(IMAGE.raw, media.OCI_MANIFEST, Digest.of(IMAGE.raw, "sha512"))
        with pytest.raises(InvalidInput, match="sha256 digests only"):
            _legacy(source, somebody(sigstore, http), end, digest)
        with pytest.raises(NotFound):
            _legacy(source, somebody(sigstore, http), end, Tag("2"))
        put(source, image(b"not a signature"), f"sha256-{DIGEST.hex}.{end}")
        with pytest.raises(Conflict):
            _legacy(source, somebody(sigstore, http), end)
    assert asked(sigstore) == []


def _legacy(source: ImageSource, by: Signatory, end: str, target: Tag | Digest = DIGEST) -> None:
    if end == "sig":
        sign_image_legacy(source, target, by, docker_reference=NAME, annotations={})
    else:
        attest_image_legacy(source, target, by, SBOM, name=NAME)


def test_a_layer_has_room_for_one_of_each(
    source: ImageSource, sigstore: SigstoreServer, http: httpx.Client
) -> None:
    one = services(sigstore, http, 1, True)
    token = read_identity_token(sigstore.token(), datetime.now(UTC))
    for twice in (
        SigningServices(one.authority, one.logs * 2, one.timestamps),
        SigningServices(one.authority, one.logs, one.timestamps * 2),
    ):
        with pytest.raises(InvalidInput, match="room for one"):
            _legacy(source, bearer(token, twice), "sig")
        assert sign_image(source, DIGEST, bearer(token, twice), annotations={}, now=NOW)


def test_an_att_tag_that_is_full(tmp_path: Path) -> None:
    with place("layout", tmp_path / "image") as source:
        put(source, IMAGE, "1")
        by = Signatory(key("p256", "alice"))
        for _ in range(MAX_SIGNATURE_LAYERS):
            _legacy(source, by, "att")
        with pytest.raises(Conflict, match="as many as are read"):
            _legacy(source, by, "att")


# --- verified before it is stored --------------------------------------------------------------------

Made = Callable[[ImageSource, Signatory], object]
MAKERS: dict[str, Made] = {
    "bundle": lambda source, by: sign_image(source, DIGEST, by, annotations={}, now=NOW),
    "attestation": lambda source, by: attest_image(source, DIGEST, by, SBOM, name=NAME, now=NOW),
    "sig": lambda source, by: _legacy(source, by, "sig"),
    "att": lambda source, by: _legacy(source, by, "att"),
}


def checked(sigstore: SigstoreServer, http: httpx.Client, rekor: int | None, *, keyed: bool) -> Signatory:
    """With the trusted root of a sigstore in which nothing is wrong."""
    good = trusted_root(PrivateSigstore(at=sigstore.authorities.at))
    check = SelfCheck(read_trusted_root(good), datetime.now(UTC))
    made = services(sigstore, http, rekor, tsa=True)
    if keyed:
        return Signatory(key("p256", "alice"), made, check=check)
    return bearer(read_identity_token(sigstore.token(), datetime.now(UTC)), made, check)


@pytest.mark.parametrize("keyed", [False, True], ids=["keyless", "key"])
@pytest.mark.parametrize(
    ("maker", "rekor"),
    [(maker, rekor) for maker in MAKERS for rekor in (1, 2, None) if rekor != 2 or len(maker) > 3],
)
def test_our_own_judge_accepts_what_we_make(
    tmp_path: Path, sigstore: SigstoreServer, http: httpx.Client, maker: str, rekor: int | None, keyed: bool
) -> None:
    with place("layout", tmp_path / "image") as source:
        put(source, IMAGE, "1")
        MAKERS[maker](source, checked(sigstore, http, rekor, keyed=keyed))
        assert tree_of(source, DIGEST).attached


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(
    ("fault", "keyed"),
    [
        ("no_sct", False),
        ("leaf_by_foreign_ca", False),
        ("unknown_log", False),
        ("unknown_log", True),
        ("set_by_other_key", True),
        ("entry_with_other_key", True),
        ("tsa_unknown", False),
        ("tsa_unknown", True),
    ],
)
def test_what_would_not_verify_is_not_stored(
    tmp_path: Path, http: httpx.Client, maker: str, fault: str, keyed: bool
) -> None:
    with SigstoreServer(only(fault)) as broken, place("layout", tmp_path / "image") as source:
        put(source, IMAGE, "1")
        with pytest.raises(UpstreamFailed, match="does not verify under the trusted root") as caught:
            MAKERS[maker](source, checked(broken, http, 1, keyed=keyed))
        assert "nothing was stored" in caught.value.hint
        assert tree_of(source, DIGEST).attached == ()


# --- what is not begun -------------------------------------------------------------------------------


@pytest.mark.parametrize(("rekor", "tsa"), [(None, False), (2, False)])
def test_somebody_must_tell_the_time(
    sigstore: SigstoreServer, http: httpx.Client, rekor: int | None, tsa: bool
) -> None:
    with pytest.raises(InvalidInput, match="nothing would prove when"):
        somebody(sigstore, http, rekor, tsa=tsa)


def test_somebody_must_certify(sigstore: SigstoreServer, http: httpx.Client) -> None:
    token = read_identity_token(sigstore.token(), datetime.now(UTC))
    with pytest.raises(InvalidInput, match="no certificate authority"):
        bearer(token, SigningServices(logs=services(sigstore, http, 1, False).logs))
    forged = Signatory(key("ed25519"), services(sigstore, http, 1, True), token)
    with pytest.raises(InvalidInput, match="asked for ECDSA keys"):
        sign_file(forged, b"content", statement=False)


@pytest.mark.parametrize(
    "sign",
    [
        lambda source, by: _legacy(source, by, "sig", Tag("1")),
        lambda source, by: _legacy(source, by, "att", Tag("1")),
        lambda source, by: sign_image(source, Tag("1"), by, annotations={}, now=NOW),
        lambda source, by: attest_image(source, Tag("1"), by, SBOM, name=NAME, now=NOW),
    ],
    ids=["sig", "att", "bundle", "attestation"],
)
def test_only_a_manifest_is_signed_and_nobody_is_asked(
    sigstore: SigstoreServer, http: httpx.Client, sign: Callable[[ImageSource, Signatory], object]
) -> None:
    with SimulatedRegistry() as registry, client_of(registry) as client:
        registry.rig("GET .*/manifests/1", Answer(200, {"Content-Type": "text/html"}, b"<html>"))
        by = somebody(sigstore, http)
        with pytest.raises(ManifestInvalid):
            sign(client, by)
    assert asked(sigstore) == []


def test_a_service_that_refuses_leaves_nothing_behind(
    source: ImageSource, sigstore: SigstoreServer, http: httpx.Client
) -> None:
    sigstore.rig("POST /api/v1/log/entries", Answer(400, {}, b"no"))
    with pytest.raises(UpstreamRefused):
        sign_image(source, DIGEST, somebody(sigstore, http), annotations={}, now=NOW)
    assert source.referrers(DIGEST, limit=5) == ()


def test_an_index_is_attested_by_itself(
    source: ImageSource, sigstore: SigstoreServer, http: httpx.Client
) -> None:
    top = put(source, index(IMAGE), "multi")
    attest_image(source, Tag("multi"), somebody(sigstore, http), SBOM, name=NAME, now=NOW)
    assert len(source.referrers(top, limit=5)) == 1
    assert source.referrers(DIGEST, limit=5) == ()


# --- files -------------------------------------------------------------------------------------------


def test_a_file_and_a_statement(sigstore: SigstoreServer, http: httpx.Client) -> None:
    by = somebody(sigstore, http)
    plain = json.loads(sign_file(by, b"content", statement=False))
    digest = base64.b64decode(plain["messageSignature"]["messageDigest"]["digest"])
    assert digest.hex() == Digest.of(b"content").hex
    said = b'{"_type": "https://in-toto.io/Statement/v1", "predicateType": "a", "subject": []}'
    envelope = json.loads(sign_file(by, said, statement=True))["dsseEnvelope"]
    assert base64.b64decode(envelope["payload"]) == said
    with pytest.raises(InvalidInput, match="statement"):
        sign_file(by, b"{}", statement=True)
