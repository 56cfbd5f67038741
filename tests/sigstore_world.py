"""A private Sigstore that tests can edit and break, part by part: authority, two logs, timestamps, roots.

Everything is put together by hand and not by ``trustgate``. One process holds all keys and the trees are
toys: this tests formats and checks, and says nothing about the public instance.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests import signing_world as world
from tests import timestamp_world
from trustgate.oci import media
from trustgate.oci.digest import Digest

SIGNED = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 4, 1, tzinfo=UTC)
SUBJECT = "https://ci.test/shop/web/.ci/release.yml@refs/heads/main"
ISSUER = "https://issuer.test"
V1_NAME = "rekor.test"
V2_NAME = "rekor2.test"
FULCIO = "1.3.6.1.4.1.57264.1."
MINUTE = timedelta(minutes=1)
VERSION_3 = bytes.fromhex("a003020102")
Edit = Callable[[dict[str, Any]], object]


def der(value: Any) -> bytes:
    if isinstance(value, x509.Certificate):
        return value.public_bytes(serialization.Encoding.DER)
    return value.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def pem(value: Any) -> bytes:
    if isinstance(value, x509.Certificate):
        return value.public_bytes(serialization.Encoding.PEM)
    return value.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def der_of_version_4(certificate: x509.Certificate) -> bytes:
    """``certificate``, except that it says to be of a version that X.509 does not have."""
    raw = der(certificate)
    assert raw.count(VERSION_3) == 1
    return raw.replace(VERSION_3, VERSION_3[:-1] + b"\x03")


def pem_of(raw: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{world.b64(raw)}\n-----END CERTIFICATE-----\n"


def stamp_seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def utf8(text: str) -> bytes:
    raw = text.encode()
    assert len(raw) < 128
    return bytes([0x0C, len(raw)]) + raw


@dataclass(frozen=True, slots=True)
class Sigstore:
    """All keys of one instance."""

    root: timestamp_world.Holder
    between: timestamp_world.Holder
    ct: Any = field(repr=False)
    rekor: Any = field(repr=False)
    rekor2: Any = field(repr=False)
    stamps: timestamp_world.Stamps = field(repr=False)

    # --- certificates ----------------------------------------------------------------------------

    def certificate(
        self,
        public: Any,
        *,
        names: list[x509.GeneralName] | None = None,
        issuer: str = ISSUER,
        claims: Mapping[str, str] | None = None,
        born: datetime = SIGNED - MINUTE,
        dead: datetime = SIGNED + 9 * MINUTE,
        purposes: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.CODE_SIGNING,),
        signs: bool = True,
        authority: bool = False,
        sct: bool = True,
        sct_key: Any = None,
        sct_time: datetime | int = SIGNED,
        sct_edit: Callable[[bytes], bytes] = lambda raw: raw,
    ) -> x509.Certificate:
        """A leaf as Fulcio makes it; each argument can make it another."""
        listed = names if names is not None else [x509.UniformResourceIdentifier(SUBJECT)]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.between.certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(born)
            .not_valid_after(dead)
            .add_extension(
                x509.KeyUsage(signs, False, not signs, False, False, False, False, False, False), True
            )
        )
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.between.key.public_key())
        builder = builder.add_extension(above, critical=False)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), False)
        if authority:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        if listed:
            builder = builder.add_extension(x509.SubjectAlternativeName(listed), True)
        extensions = {"8": utf8(issuer)} if issuer else {}
        for number, text in (claims or {}).items():
            extensions[number] = text.encode("utf-8", "surrogateescape") if int(number) < 7 else utf8(text)
        for number, value in extensions.items():
            oid = x509.ObjectIdentifier(FULCIO + number)
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), False)
        if not sct:
            return builder.sign(self.between.key, hashes.SHA256())
        return self._with_sct(builder, sct_key or self.ct, sct_time, sct_edit)

    def _with_sct(
        self,
        builder: x509.CertificateBuilder,
        key: Any,
        moment: datetime | int,
        edit: Callable[[bytes], bytes],
    ) -> x509.Certificate:
        """``moment`` may be in seconds, for those that no ``datetime`` can hold."""
        tbs = builder.sign(self.between.key, hashes.SHA256()).tbs_certificate_bytes
        seconds = moment if isinstance(moment, int) else stamp_seconds(moment)
        millis = (seconds * 1000).to_bytes(8, "big")
        issuer_hash = hashlib.sha256(der(self.between.key.public_key())).digest()
        signed = b"\0\0" + millis + b"\0\1" + issuer_hash + len(tbs).to_bytes(3, "big") + tbs + b"\0\0"
        signature = key.sign(edit(signed), ec.ECDSA(hashes.SHA256()))
        sct = b"".join(
            (
                b"\0",
                hashlib.sha256(der(key.public_key())).digest(),
                millis,
                b"\0\0",
                b"\4\3",
                len(signature).to_bytes(2, "big"),
                signature,
            )
        )
        listed = len(sct).to_bytes(2, "big") + sct
        listed = len(listed).to_bytes(2, "big") + listed
        octets = (
            b"\x04" + (bytes([len(listed)]) if len(listed) < 128 else bytes([0x81, len(listed)])) + listed
        )
        oid = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
        return builder.add_extension(x509.UnrecognizedExtension(oid, octets), False).sign(
            self.between.key, hashes.SHA256()
        )

    # --- the trusted root ------------------------------------------------------------------------

    def trusted_root(self, edit: Edit = world.unchanged) -> bytes:
        started = {"start": "2026-01-01T00:00:00Z"}

        def log(url: str, key: Any, details: str) -> dict[str, Any]:
            return {
                "baseUrl": url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": world.b64(der(key)),
                    "keyDetails": details,
                    "validFor": dict(started),
                },
                "logId": {"keyId": world.b64(hashlib.sha256(der(key)).digest())},
            }

        def authority(chain: tuple[x509.Certificate, ...]) -> dict[str, Any]:
            return {
                "subject": {"organization": "test", "commonName": "test"},
                "uri": "https://authority.test",
                "certChain": {"certificates": [{"rawBytes": world.b64(der(one))} for one in chain]},
                "validFor": dict(started),
            }

        document = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [
                log(f"https://{V1_NAME}", self.rekor.public_key(), "PKIX_ECDSA_P256_SHA_256"),
                log(f"https://{V2_NAME}", self.rekor2.public_key(), "PKIX_ED25519"),
            ],
            "ctlogs": [log("https://ct.test", self.ct.public_key(), "PKIX_ECDSA_P256_SHA_256")],
            "certificateAuthorities": [authority((self.between.certificate, self.root.certificate))],
            "timestampAuthorities": [authority(self.stamps.chain)],
        }
        document["tlogs"][1]["logId"]["keyId"] = world.b64(self.log_id(2))
        edit(document)
        return world.as_json(document)

    # --- logs ------------------------------------------------------------------------------------

    def log_id(self, version: int) -> bytes:
        if version == 1:
            return hashlib.sha256(der(self.rekor.public_key())).digest()
        public = self.rekor2.public_key().public_bytes_raw()
        return hashlib.sha256(V2_NAME.encode() + b"\n\x01" + public).digest()

    def entry(
        self,
        body: dict[str, Any],
        *,
        version: int = 1,
        moment: datetime = SIGNED,
        promise: bool = True,
        proof: bool = True,
        signer: Any = None,
        origin: str = "",
        edit: Edit = world.unchanged,
    ) -> dict[str, Any]:
        """An entry of ``tlogEntries``; ``edit`` comes after signing."""
        raw = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        log_id = self.log_id(version)
        made: dict[str, Any] = {
            "logIndex": "1001",
            "logId": {"keyId": world.b64(log_id)},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "canonicalizedBody": world.b64(raw),
        }
        if version == 1:
            made["integratedTime"] = str(stamp_seconds(moment))
            if promise:
                made["inclusionPromise"] = {
                    "signedEntryTimestamp": world.b64(self.promise(raw, moment, 1001, signer))
                }
        if proof:
            made["inclusionProof"] = self._proof(raw, version, signer, origin)
        edit(made)
        return made

    def promise(self, body: bytes, moment: datetime, index: int, signer: Any = None) -> bytes:
        said = {
            "body": world.b64(body),
            "integratedTime": stamp_seconds(moment),
            "logID": self.log_id(1).hex(),
            "logIndex": index,
        }
        content = json.dumps(said, separators=(",", ":"), sort_keys=True).encode()
        return (signer or self.rekor).sign(content, ec.ECDSA(hashes.SHA256()))

    def _proof(self, body: bytes, version: int, signer: Any, origin: str) -> dict[str, Any]:
        """The second of three leaves."""
        leaf = hashlib.sha256(b"\0" + body).digest()
        first, third = hashlib.sha256(b"\0first").digest(), hashlib.sha256(b"\0third").digest()
        left = hashlib.sha256(b"\1" + first + leaf).digest()
        root = hashlib.sha256(b"\1" + left + third).digest()
        return {
            "logIndex": "1",
            "rootHash": world.b64(root),
            "treeSize": "3",
            "hashes": [world.b64(first), world.b64(third)],
            "checkpoint": {"envelope": self.checkpoint(version, 3, root, signer, origin)},
        }

    def checkpoint(self, version: int, size: int, root: bytes, signer: Any = None, origin: str = "") -> str:
        name = origin or (V1_NAME if version == 1 else V2_NAME)
        head = f"{name} - 42" if version == 1 else name
        note = f"{head}\n{size}\n{world.b64(root)}\n"
        if version == 1:
            signature = (signer or self.rekor).sign(note.encode(), ec.ECDSA(hashes.SHA256()))
        else:
            signature = (signer or self.rekor2).sign(note.encode())
        return f"{note}\n\u2014 {name} {world.b64(self.log_id(version)[:4] + signature)}\n"


@lru_cache
def _instance(which: str) -> Sigstore:
    root = timestamp_world.authority(f"fulcio root {which}", key=ec.generate_private_key(ec.SECP384R1()))
    purpose = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)
    between = timestamp_world.authority(f"fulcio intermediate {which}", root, path_length=0, more=(purpose,))
    return Sigstore(
        root=root,
        between=between,
        ct=ec.generate_private_key(ec.SECP256R1()),
        rekor=ec.generate_private_key(ec.SECP256R1()),
        rekor2=ed25519.Ed25519PrivateKey.generate(),
        stamps=timestamp_world.stamps(which),
    )


def instance(which: str = "one") -> Sigstore:
    """The same ``which`` gives the same instance for the whole run."""
    return _instance(which)


# --- bodies of entries ---------------------------------------------------------------------------


def hex_hash(content: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(content).hexdigest()}


def digest_2(content: bytes) -> dict[str, str]:
    return {"algorithm": "SHA2_256", "digest": world.b64(hashlib.sha256(content).digest())}


def body(
    kind: str,
    version: str,
    holder: Any,
    *,
    signature: bytes,
    signed: bytes,
    payload: bytes = b"",
    envelope: bytes = b"{}",
) -> dict[str, Any]:
    """What the log keeps; ``holder`` is a certificate or a public key."""
    text = world.b64(pem(holder))
    name = "x509Certificate" if isinstance(holder, x509.Certificate) else "publicKey"
    verifier = {name: {"rawBytes": world.b64(der(holder))}, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    match kind, version:
        case "hashedrekord" | "rekord", "0.0.1":
            spec: dict[str, Any] = {
                "data": {"hash": hex_hash(signed)},
                "signature": {"content": world.b64(signature), "publicKey": {"content": text}},
            }
        case "dsse", "0.0.1":
            spec = {
                "envelopeHash": hex_hash(envelope),
                "payloadHash": hex_hash(payload),
                "signatures": [{"signature": world.b64(signature), "verifier": text}],
            }
        case "intoto", "0.0.1":
            spec = {"content": {"hash": hex_hash(envelope)}, "publicKey": text}
        case "intoto", "0.0.2":
            inner = world.b64(world.b64(signature).encode())
            spec = {
                "content": {
                    "hash": hex_hash(envelope),
                    "payloadHash": hex_hash(payload),
                    "envelope": {"signatures": [{"sig": inner, "publicKey": text}]},
                }
            }
        case "hashedrekord", _:
            spec = {
                "hashedRekordV002": {
                    "data": digest_2(signed),
                    "signature": {"content": world.b64(signature), "verifier": verifier},
                }
            }
        case _:
            spec = {
                "dsseV002": {
                    "payloadHash": digest_2(payload),
                    "signatures": [{"content": world.b64(signature), "verifier": verifier}],
                }
            }
    return {"apiVersion": version, "kind": kind, "spec": spec}


# --- what a signer makes -------------------------------------------------------------------------


@dataclass(slots=True)
class Signature:
    """The parts of one bundle or layer, before they are put together."""

    sigstore: Sigstore
    key: Any = field(repr=False)
    holder: Any = field(repr=False)
    payload: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def certificate(self) -> x509.Certificate | None:
        return self.holder if isinstance(self.holder, x509.Certificate) else None

    def body(self, kind: str = "dsse", version: str = "0.0.1", **changes: Any) -> dict[str, Any]:
        parts = {"signature": self.signature, "signed": self.signed, "payload": self.payload, **changes}
        return body(kind, version, parts.pop("holder", self.holder), **parts)

    def entry(self, kind: str = "dsse", version: str = "0.0.1", **more: Any) -> dict[str, Any]:
        log = 2 if version == "0.0.2" and kind != "intoto" else 1
        return self.sigstore.entry(self.body(kind, version), version=log, **more)

    def stamp(self, moment: datetime = SIGNED, **more: Any) -> bytes:
        """A response over the signature."""
        over = more.pop("over", self.signature)
        holder = more.pop("holder", self.sigstore.stamps.signer)
        certificates = more.pop("certificates", self.sigstore.stamps.chain[:2])
        token = timestamp_world.token(over, holder, moment=moment, certificates=certificates, **more)
        return timestamp_world.response(token)


def sign_statement(
    subject: Digest,
    *,
    sigstore: Sigstore | None = None,
    key: Any = None,
    holder: Any = None,
    edit_statement: Edit = world.unchanged,
    payload: bytes | None = None,
    payload_type: str = world.IN_TOTO,
    **certificate: Any,
) -> Signature:
    """A DSSE signature by a new certificate, or by ``key`` alone when ``holder`` is its public half."""
    made_by = sigstore or instance()
    private = key or ec.generate_private_key(ec.SECP256R1())
    said = world.statement(subject)
    edit_statement(said)
    content = world.as_json(said) if payload is None else payload
    signed = b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(content), content)
    who = holder or made_by.certificate(private.public_key(), **certificate)
    return Signature(made_by, private, who, content, signed, world.signature(private, signed))


def bundle_of(
    made: Signature,
    *,
    entries: list[dict[str, Any]] | None = None,
    stamps: list[bytes] | None = None,
    payload_type: str = world.IN_TOTO,
    edit: Edit = world.unchanged,
) -> bytes:
    """A bundle of version 0.3; without ``entries`` it has one by Rekor 1."""
    listed = [made.entry()] if entries is None else entries
    material: dict[str, Any] = {"tlogEntries": listed}
    if made.certificate is None:
        material["publicKey"] = {"hint": ""}
    else:
        material["certificate"] = {"rawBytes": world.b64(der(made.certificate))}
    if stamps:
        material["timestampVerificationData"] = {
            "rfc3161Timestamps": [{"signedTimestamp": world.b64(one)} for one in stamps]
        }
    document = {
        "mediaType": media.SIGSTORE_BUNDLE_V03,
        "verificationMaterial": material,
        "dsseEnvelope": {
            "payload": world.b64(made.payload),
            "payloadType": payload_type,
            "signatures": [{"sig": world.b64(made.signature)}],
        },
    }
    edit(document)
    return world.as_json(document)


def annotations_of(
    made: Signature,
    kind: str = "hashedrekord",
    *,
    entry: bool = True,
    stamp: bytes | None = None,
    moment: datetime = SIGNED,
    **changes: Any,
) -> dict[str, str]:
    """What cosign writes beside a legacy layer."""
    found: dict[str, str] = {}
    if made.certificate is not None:
        found["dev.sigstore.cosign/certificate"] = pem(made.certificate).decode()
        found["dev.sigstore.cosign/chain"] = ""
    if entry:
        raw = json.dumps(made.body(kind, changes.pop("version", "0.0.1"), **changes)).encode()
        found["dev.sigstore.cosign/bundle"] = json.dumps(
            {
                "SignedEntryTimestamp": world.b64(made.sigstore.promise(raw, moment, 5)),
                "Payload": {
                    "body": world.b64(raw),
                    "integratedTime": stamp_seconds(moment),
                    "logIndex": 5,
                    "logID": made.sigstore.log_id(1).hex(),
                },
            }
        )
    if stamp is not None:
        found["dev.sigstore.cosign/rfc3161timestamp"] = json.dumps(
            {"SignedRFC3161Timestamp": world.b64(stamp)}
        )
    return found


def sign_payload(subject: Digest, *, holder: Any = None, key: Any = None, **certificate: Any) -> Signature:
    """A simple-signing payload, signed as cosign signs it into a ``.sig`` layer."""
    sigstore = certificate.pop("sigstore", None) or instance()
    private = key or ec.generate_private_key(ec.SECP256R1())
    content = world.simple_signing(subject)
    who = holder or sigstore.certificate(private.public_key(), **certificate)
    return Signature(sigstore, private, who, content, content, world.signature(private, content))


def layer_of(subject: Digest, made: Signature, annotations: Mapping[str, str]) -> Any:
    """The candidate of a ``.sig`` layer."""
    return world.legacy_candidate(
        subject,
        made.key,
        payload=made.payload,
        sign=lambda _key, _content: made.signature,
        annotations=annotations,
    )
