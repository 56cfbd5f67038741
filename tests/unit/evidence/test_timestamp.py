from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import cms, core
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from tests import notation_world, signing_world
from tests import timestamp_world as world
from tests.shared_files import shared
from trustgate.evidence.timestamp import (
    MAX_TOKEN_BYTES,
    MAX_TOKEN_CERTIFICATES,
    Timestamp,
    TimestampRefused,
    read_token,
    token_of_response,
    verify_timestamp,
)

OVER = b"a signature"
STAMPING = ExtendedKeyUsageOID.TIME_STAMPING
CODE = ExtendedKeyUsageOID.CODE_SIGNING


def verified(raw: bytes, over: bytes = OVER, which: str = "one", **more: Any) -> Timestamp:
    anchors = more.pop("anchors", [world.stamps(which).root.certificate])
    return verify_timestamp(read_token(raw), over=over, anchors=anchors, **more)


def refused(raw: bytes, match: str, over: bytes = OVER, **more: Any) -> None:
    with pytest.raises(TimestampRefused, match=match):
        verified(raw, over, **more)


def test_a_good_token_proves_its_time() -> None:
    found = verified(world.token(OVER))
    assert (found.moment, found.accuracy) == (world.MOMENT, timedelta(seconds=1))
    assert found.chain == world.stamps().chain
    assert found.latest - found.earliest == timedelta(seconds=2)


@pytest.mark.parametrize("status", ["granted", "granted_with_mods"])
def test_a_response_that_grants_a_token(status: str) -> None:
    raw = world.token(OVER)
    assert token_of_response(world.response(raw, status)) == read_token(raw)


@pytest.mark.parametrize("status", ["rejection", "waiting", "revocation_notification"])
def test_a_response_that_grants_none(status: str) -> None:
    with pytest.raises(TimestampRefused, match="not a grant"):
        token_of_response(world.response(world.token(OVER), status))


def test_a_response_without_a_token() -> None:
    with pytest.raises(TimestampRefused):
        token_of_response(world.EMPTY_GRANT)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("p384", {"digest": "sha384"}),
        ("p256", {"imprint": "sha512"}),
        ("rsa2048", {}),
        ("rsa2048", {"pss": True}),
        ("ed25519", {}),
        (None, {"by_key_identifier": True}),
    ],
)
def test_keys_and_ways_to_name_the_signer(kind: str | None, more: dict[str, Any]) -> None:
    key = signing_world.key(kind, "stamps") if kind else None
    holder = world.signer(world.stamps().between, key=key)
    assert verified(world.token(OVER, holder, **more)).chain[0] == holder.certificate


def test_certificates_may_come_from_elsewhere() -> None:
    raw = world.token(OVER, certificates=())
    known = world.stamps().chain[:2]
    assert verified(raw, intermediates=known).chain == world.stamps().chain
    refused(raw, "neither embedded nor known")


def test_a_known_signer_may_be_the_anchor_itself() -> None:
    signer = world.stamps().signer.certificate
    assert verified(world.token(OVER), anchors=[signer]).chain == (signer,)


def test_of_other_bytes() -> None:
    refused(world.token(OVER), "over other bytes", over=b"another signature")


def test_an_embedded_root_is_no_anchor() -> None:
    foreign = world.stamps("foreign")
    raw = world.token(OVER, foreign.signer, certificates=foreign.chain)
    assert verified(raw, which="foreign")
    refused(raw, "no certificate on its path is an anchor")


def test_without_signed_attributes() -> None:
    def bare(document: dict[str, Any]) -> None:
        del document["signer_infos"][0]["signed_attrs"]

    refused(world.token(OVER, edit=bare), "no signed attributes")


@pytest.mark.parametrize(
    ("drop", "match"),
    [
        ("content_type", "exactly one signed attribute content_type"),
        ("message_digest", "exactly one signed attribute message_digest"),
        ("signing_certificate_v2", "no signing-certificate attribute"),
    ],
)
def test_each_attribute_is_needed(drop: str, match: str) -> None:
    def without(found: list[dict[str, Any]]) -> None:
        found[:] = [one for one in found if one["type"] != drop]

    refused(world.token(OVER, edit_attributes=without), match)


def test_an_attribute_that_stands_there_twice() -> None:
    refused(world.token(OVER, edit_attributes=lambda found: found.append(found[1])), "stands there twice")


def test_an_attribute_with_two_values() -> None:
    def twice(found: list[dict[str, Any]]) -> None:
        found[1]["values"] = [b"0" * 32, b"1" * 32]

    refused(world.token(OVER, edit_attributes=twice), "exactly one signed attribute message_digest")


def test_too_many_attributes() -> None:
    def many(found: list[dict[str, Any]]) -> None:
        found.extend({"type": f"1.2.3.{n}", "values": [core.Integer(n)]} for n in range(20))

    refused(world.token(OVER, edit_attributes=many), "signed attributes")


def test_the_signed_content_type_is_another() -> None:
    def other(found: list[dict[str, Any]]) -> None:
        found[0]["values"] = ["data"]

    refused(world.token(OVER, edit_attributes=other), "signed content type")


def test_the_content_is_not_the_signed_one() -> None:
    def later(document: dict[str, Any]) -> None:
        content = world.tsp.TSTInfo(world.info(OVER, world.MOMENT - timedelta(days=100))).dump()
        document["encap_content_info"]["content"] = core.ParsableOctetString(content)

    refused(world.token(OVER, edit=later), "not the one that was signed")


def test_the_signing_certificate_attribute_names_another() -> None:
    other = world.signer(world.stamps().between)

    def foreign(found: list[dict[str, Any]]) -> None:
        found[2] = world.attributes(b"", other)[2]

    refused(world.token(OVER, edit_attributes=foreign), "names another certificate")


def test_an_unknown_hash_in_the_signing_certificate_attribute() -> None:
    def odd(found: list[dict[str, Any]]) -> None:
        own = {"hash_algorithm": {"algorithm": "md5"}, "cert_hash": b"0" * 16}
        found[2]["values"] = [world.tsp.SigningCertificateV2({"certs": [world.tsp.ESSCertIDv2(own)]})]

    refused(world.token(OVER, edit_attributes=odd), "names another certificate")


def test_the_older_signing_certificate_attribute() -> None:
    def older(found: list[dict[str, Any]]) -> None:
        own = {"cert_hash": world.stamps().signer.certificate.fingerprint(world.hashes.SHA1())}
        value = world.tsp.SigningCertificate({"certs": [world.tsp.ESSCertID(own)]})
        found[2] = {"type": "signing_certificate", "values": [value]}

    assert verified(world.token(OVER, edit_attributes=older))


def test_signed_by_another_key() -> None:
    stamps = world.stamps()
    impostor = replace(stamps.signer, key=ec.generate_private_key(ec.SECP256R1()))
    refused(world.token(OVER, impostor), "not by the certificate that it names")


def test_the_key_is_of_another_kind_than_the_signature() -> None:
    stamps = world.stamps()
    impostor = replace(stamps.signer, key=signing_world.key("rsa2048", "stamps"))
    refused(world.token(OVER, impostor), "not by the certificate that it names")


@pytest.mark.parametrize("more", [{"digest": "sha1"}, {"imprint": "sha1"}])
def test_weak_hashes(more: dict[str, Any]) -> None:
    refused(world.token(OVER, **more), "sha1")


@pytest.mark.parametrize(("name", "digest"), [("sha384", hashes.SHA384()), ("sha1", hashes.SHA1())])  # noqa: S303
def test_the_signature_s_hash_is_the_digest_s(name: str, digest: hashes.HashAlgorithm) -> None:
    def other(document: dict[str, Any]) -> None:
        info = document["signer_infos"][0]
        info["signature"] = world.stamps().signer.key.sign(info["signed_attrs"].dump(), ec.ECDSA(digest))
        info["signature_algorithm"] = {"algorithm": f"{name}_ecdsa"}

    refused(world.token(OVER, edit=other), f"uses '{name}'")


def test_the_signature_names_another_key_identifier() -> None:
    def other(document: dict[str, Any]) -> None:
        document["signer_infos"][0]["sid"] = cms.SignerIdentifier("subject_key_identifier", b"another")

    refused(world.token(OVER, edit=other), "neither embedded nor known")


def test_a_certificate_without_a_key_identifier_is_never_the_one_that_is_named() -> None:
    bare = notation_world.root().certificate
    raw = world.token(OVER, by_key_identifier=True, certificates=(bare, *world.stamps().chain[:2]))
    assert verified(raw).chain == world.stamps().chain


def test_an_extension_of_the_content_that_is_not_critical() -> None:
    def odd(said: dict[str, Any]) -> None:
        said["extensions"] = [{"extn_id": "1.2.3.4", "critical": False, "extn_value": b"\x05\x00"}]

    assert verified(world.token(OVER, edit_info=odd))


def test_the_signature_names_another_authority_s_certificate() -> None:
    def other(document: dict[str, Any]) -> None:
        number = world.stamps().signer.certificate.serial_number
        issuer = world.asn1_x509.Certificate.load(
            world.der(world.stamps("foreign").signer.certificate)
        ).issuer
        sid = cms.SignerIdentifier("issuer_and_serial_number", {"issuer": issuer, "serial_number": number})
        document["signer_infos"][0]["sid"] = sid

    refused(world.token(OVER, edit=other), "neither embedded nor known")


def test_the_signature_names_another_certificate_of_the_same_authority() -> None:
    second = world.signer(world.stamps().between)

    def other(document: dict[str, Any]) -> None:
        name = {"issuer": world.asn1_x509.Certificate.load(world.der(second.certificate)).issuer}
        sid = {**name, "serial_number": second.certificate.serial_number}
        document["signer_infos"][0]["sid"] = cms.SignerIdentifier("issuer_and_serial_number", sid)

    certificates = (*world.stamps().chain[:2], second.certificate)
    refused(world.token(OVER, certificates=certificates, edit=other), "names another certificate")


@pytest.mark.parametrize(
    ("extensions", "match"),
    [
        ((), "not for timestamps"),
        (((x509.ExtendedKeyUsage([STAMPING]), False),), "critical"),
        (((x509.ExtendedKeyUsage([STAMPING, CODE]), True),), "not for timestamps alone"),
        (((x509.ExtendedKeyUsage([CODE]), True),), "not for timestamps alone"),
        ((*world.STAMPING, (x509.BasicConstraints(ca=True, path_length=None), True)), "an authority's"),
        (
            (
                *world.STAMPING,
                (x509.KeyUsage(False, False, True, False, False, False, False, False, False), True),
            ),
            "not for signatures",
        ),
    ],
)
def test_the_certificate_must_be_for_timestamps(extensions: Any, match: str) -> None:
    holder = world.signer(world.stamps().between, extensions=extensions)
    refused(world.token(OVER, holder), match)


def test_the_key_may_be_for_signatures() -> None:
    for signs, commits in ((True, False), (False, True)):
        usage = x509.KeyUsage(signs, commits, False, False, False, False, False, False, False)
        holder = world.signer(world.stamps().between, extensions=(*world.STAMPING, (usage, True)))
        assert verified(world.token(OVER, holder))


@pytest.mark.parametrize("late", [True, False])
def test_the_certificates_must_be_valid_at_that_time(late: bool) -> None:
    edge = world.DEAD if late else world.BORN
    past = edge + (world.SECOND if late else -world.SECOND)
    assert verified(world.token(OVER, moment=edge)).moment == edge
    refused(world.token(OVER, moment=past), "is valid from")


def test_an_accuracy_beyond_all_time() -> None:
    def vague(said: dict[str, Any]) -> None:
        said["accuracy"] = {"seconds": 10**12}

    refused(world.token(OVER, edit_info=vague), "out of range|can't be read")


def test_accuracy_in_all_its_parts_or_none() -> None:
    def exact(said: dict[str, Any]) -> None:
        said["accuracy"] = {"seconds": 2, "millis": 3, "micros": 4}

    found = verified(world.token(OVER, edit_info=exact))
    assert found.accuracy == timedelta(seconds=2, milliseconds=3, microseconds=4)
    assert not verified(world.token(OVER, edit_info=lambda said: said.pop("accuracy"))).accuracy


def test_a_critical_extension_of_the_content() -> None:
    def odd(said: dict[str, Any]) -> None:
        said["extensions"] = [{"extn_id": "1.2.3.4", "critical": True, "extn_value": b"\x05\x00"}]

    refused(world.token(OVER, edit_info=odd), "critical extension")


def test_the_content_is_of_another_version() -> None:
    def newer(said: dict[str, Any]) -> None:
        said["version"] = 2

    refused(world.token(OVER, edit_info=newer), "version")


def test_something_else_is_signed() -> None:
    def data(document: dict[str, Any]) -> None:
        document["encap_content_info"] = {"content_type": "data", "content": b"x"}

    refused(world.token(OVER, edit=data), "what the timestamp signs")


def test_another_content_type() -> None:
    refused(cms.ContentInfo({"content_type": "data", "content": b"x"}).dump(), "content type")


def test_no_content_at_all() -> None:
    def empty(document: dict[str, Any]) -> None:
        document["encap_content_info"] = {"content_type": "tst_info"}

    refused(world.token(OVER, edit=empty), "is not an octet string")


@pytest.mark.parametrize("count", [0, 2])
def test_exactly_one_signature(count: int) -> None:
    def several(document: dict[str, Any]) -> None:
        document["signer_infos"] = document["signer_infos"] * count

    refused(world.token(OVER, edit=several), "exactly one signature")


def test_limits() -> None:
    def large(said: dict[str, Any], size: int = MAX_TOKEN_BYTES) -> None:
        said["extensions"] = [{"extn_id": "1.2.3.4", "critical": False, "extn_value": bytes(size)}]

    assert verified(world.token(OVER, edit_info=lambda said: large(said, 1000)))
    refused(world.token(OVER, edit_info=large), "at most 32768 are read")
    refused(b"\x30" * (MAX_TOKEN_BYTES + 1), "at most 32768 are read")
    with pytest.raises(TimestampRefused, match="at most 32768 are read"):
        token_of_response(b"\x30" * (MAX_TOKEN_BYTES + 1))
    many = (*world.stamps().chain,) * 8
    refused(world.token(OVER, certificates=many[: MAX_TOKEN_CERTIFICATES + 1]), "more than 16 certificates")


def test_a_mask_of_another_hash() -> None:
    holder = world.signer(world.stamps().between, key=signing_world.key("rsa2048", "stamps"))

    def odd(document: dict[str, Any]) -> None:
        parameters = document["signer_infos"][0]["signature_algorithm"]["parameters"]
        parameters["mask_gen_algorithm"] = {"algorithm": "mgf1", "parameters": {"algorithm": "sha512"}}

    refused(world.token(OVER, holder, pss=True, edit=odd), "MGF1")


@given(st.binary(max_size=300))
def test_foreign_bytes_are_refused_and_nothing_else(raw: bytes) -> None:
    for read in (read_token, token_of_response):
        with pytest.raises(TimestampRefused):
            read(raw)


GOOD = world.token(OVER)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_never_proves_another_time(position: int, change: int) -> None:
    raw = bytearray(GOOD)
    raw[position] ^= change
    try:
        found = verified(bytes(raw))
    except TimestampRefused:
        return
    assert (found.moment, found.accuracy) == (world.MOMENT, timedelta(seconds=1))


@given(st.integers(0, len(GOOD)))
def test_a_cut_token_proves_nothing(length: int) -> None:
    if length < len(GOOD):
        refused(GOOD[:length], "timestamp")


# --- what others made, and what others say -------------------------------------------------------

NOTATION = ("public", "notation-go", "verifier", "testdata")


def test_globalsign_tokens_whose_certificates_are_not_sorted() -> None:
    root = x509.load_der_x509_certificate(
        shared(*NOTATION, "truststore", "x509", "tsa", "test-timestamp", "globalsignRoot.cer").read_bytes()
    )
    for name in ("jwsWithTimestamp.sig", "jwsExpiredWithTimestamp.sig"):
        envelope = json.loads(shared(*NOTATION, "timestamp", "sigEnv", name).read_text())
        raw = base64.b64decode(envelope["header"]["io.cncf.notary.timestampSignature"])
        signature = base64.urlsafe_b64decode(envelope["signature"] + "==")
        found = verify_timestamp(read_token(raw), over=signature, anchors=[root])
        assert found.moment.year == 2024
        assert len(found.chain) == 3


def test_notation_s_broken_tokens() -> None:
    folder = shared(*NOTATION, "timestamp", "countersignature")
    for name in ("TimeStampTokenWithInvalidTSTInfo.p7s", "TimeStampTokenWithInvalideContentType.p7s"):
        with pytest.raises(TimestampRefused):
            read_token((folder / name).read_bytes())


def _openssl_accepts(folder: Path, raw: bytes, over: bytes) -> bool:
    (folder / "token").write_bytes(raw)
    (folder / "data").write_bytes(over)
    (folder / "root.pem").write_bytes(
        world.stamps().root.certificate.public_bytes(serialization.Encoding.PEM)
    )
    moment = str(int(world.MOMENT.timestamp()))
    command = [
        "openssl",
        "ts",
        "-verify",
        "-token_in",
        "-in",
        "token",
        "-data",
        "data",
        "-CAfile",
        "root.pem",
    ]
    done = subprocess.run(
        [*command, "-attime", moment],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=30,
    )
    return done.returncode == 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not there")
@pytest.mark.parametrize(
    "make",
    [
        lambda: (world.token(OVER), OVER),
        lambda: (world.token(OVER), b"other"),
        lambda: (world.token(OVER, world.stamps("foreign").signer), OVER),
        lambda: (world.token(OVER, edit_attributes=lambda found: found.pop()), OVER),
        lambda: (world.token(OVER, replace(world.stamps().signer, key=world.stamps().root.key)), OVER),
    ],
)
def test_openssl_says_the_same(make: Callable[[], tuple[bytes, bytes]], tmp_path: Path) -> None:
    raw, over = make()
    try:
        ours = bool(verified(raw, over))
    except TimestampRefused:
        ours = False
    assert ours == _openssl_accepts(tmp_path, raw, over)
