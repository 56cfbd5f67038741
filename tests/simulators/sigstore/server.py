"""The services' HTTP on loopback, for real clients: Fulcio, Rekor 1 and 2, a timestamp authority, an issuer.

All of them live below one URL. Time is the clock's; faults are those of the ``PrivateSigstore`` behind.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import jwt
from asn1crypto import tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from tests.simulators.registry import Answer, Loopback, Seen, as_json
from tests.simulators.sigstore.authorities import PrivateSigstore, pem_of
from tests.simulators.sigstore.entries import Said, body
from tests.simulators.sigstore.faults import Faults
from tests.simulators.sigstore.leaf import Identity, leaf
from tests.simulators.sigstore.logs import FILLERS, Entry
from tests.simulators.sigstore.minting import log
from tests.simulators.sigstore.timestamps import timestamp_digest
from tests.simulators.sigstore.trust import signing_config, trusted_root

AUDIENCE = "sigstore"
TOKEN_LIFE = timedelta(minutes=10)


class Refused(Exception):
    """What the service answers instead."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class SigstoreServer(Loopback):
    """``with SigstoreServer() as sigstore: … sigstore.token(), sigstore.signing_config(), …``"""

    def __init__(self, faults: Faults | None = None) -> None:
        super().__init__()
        self.authorities = PrivateSigstore(faults or Faults(), at=datetime.now(UTC))
        self.entries: dict[str, Entry] = {}
        self._bodies: dict[int, list[bytes]] = {1: list(FILLERS), 2: list(FILLERS)}
        self._lock = Lock()
        self._routes: tuple[tuple[str, Callable[[Seen], Answer]], ...] = (
            (r"POST /api/v2/signingCert", self._fulcio),
            (r"POST /api/v1/signingCert", self._fulcio_v1),
            (r"GET /api/v[12]/(trustBundle|rootCert)", self._fulcio_roots),
            (r"POST /api/v1/log/entries", self._rekor_v1),
            (r"GET /api/v1/log/entries/[0-9a-f]+", self._rekor_v1_entry),
            (r"GET /api/v1/log/publicKey", self._rekor_v1_key),
            (r"POST /api/v2/log/entries", self._rekor_v2),
            (r"POST /api/v1/timestamp", self._timestamp),
            (r"GET /api/v1/timestamp/certchain", self._timestamp_chain),
            (r"GET /issuer/\.well-known/openid-configuration", self._discovery),
            (r"GET /issuer/keys", self._issuer_keys),
        )

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def issuer(self) -> str:
        return f"{self.url}/issuer"

    def trusted_root(self) -> bytes:
        return trusted_root(self.authorities)

    def signing_config(self, *, rekor: int | None = 1, tsa: bool = True) -> bytes:
        return signing_config(self.authorities, self.url, rekor=rekor, tsa=tsa)

    def token(self, subject: str = Identity().subject, **claims: Any) -> str:
        """An identity token that Fulcio takes."""
        now = datetime.now(UTC)
        said = {
            "iss": self.issuer,
            "sub": subject,
            "aud": AUDIENCE,
            "iat": now,
            "nbf": now - timedelta(seconds=5),
            "exp": now + TOKEN_LIFE,
        }
        return jwt.encode(said | claims, self.authorities.issuer_key, "RS256", headers={"kid": "1"})

    # --- answering ---

    def respond(self, seen: Seen) -> Answer:
        line = f"{seen.method} {urlsplit(seen.path).path}"
        for pattern, route in self._routes:
            if re.fullmatch(pattern, line):
                try:
                    return route(seen)
                except Refused as exc:
                    return as_json({"code": exc.status, "message": str(exc)}, exc.status)
                except (KeyError, IndexError, TypeError, ValueError) as exc:
                    message = f"the request makes no sense: {type(exc).__name__}: {exc}"
                    return as_json({"code": 400, "message": message}, 400)
        return as_json({"code": 404, "message": f"no {line}"}, 404)

    # --- Fulcio ---

    def _fulcio(self, seen: Seen) -> Answer:
        asked = json.loads(seen.body)
        bearer = seen.authorization.removeprefix("Bearer ")
        claims = self._claims(bearer or asked["credentials"]["oidcIdentityToken"])
        if "certificateSigningRequest" in asked:
            public = _requested_by_csr(base64.b64decode(asked["certificateSigningRequest"]))
        else:
            request = asked["publicKeyRequest"]
            public = serialization.load_pem_public_key(request["publicKey"]["content"].encode())
            _prove(public, request["proofOfPossession"], claims)
        chain = {"chain": {"certificates": [pem.decode() for pem in self._chain(public, claims)]}}
        return as_json({"signedCertificateEmbeddedSct": chain})

    def _fulcio_v1(self, seen: Seen) -> Answer:
        """What cosign asks when it is told a Fulcio URL and no signing configuration."""
        asked = json.loads(seen.body)
        claims = self._claims(seen.authorization.removeprefix("Bearer "))
        public = serialization.load_der_public_key(base64.b64decode(asked["publicKey"]["content"]))
        _prove(public, asked["signedEmailAddress"], claims)
        headers = {"Content-Type": "application/pem-certificate-chain"}
        return Answer(201, headers, b"".join(self._chain(public, claims)))

    def _fulcio_roots(self, seen: Seen) -> Answer:
        chain = [pem_of(self.authorities.ca_intermediate), pem_of(self.authorities.ca_root)]
        if "rootCert" in seen.path:
            return Answer(200, {"Content-Type": "application/pem-certificate-chain"}, b"".join(chain))
        return as_json({"chains": [{"certificates": [pem.decode() for pem in chain]}]})

    def _claims(self, token: str) -> dict[str, Any]:
        public = self.authorities.issuer_key.public_key()
        try:
            claims: dict[str, Any] = jwt.decode(
                token, public, algorithms=["RS256"], audience=AUDIENCE, issuer=self.issuer
            )
        except jwt.InvalidTokenError as exc:
            raise Refused(401, f"There was an error processing the identity token: {exc}") from exc
        if "email" in claims and claims.get("email_verified") is not True:
            raise Refused(401, "the email address is not verified")
        return claims

    def _chain(self, public: Any, claims: dict[str, Any]) -> list[bytes]:
        extensions = {int(number): text for number, text in claims.get("fulcio", {}).items()}
        kind = "email" if "email" in claims else "uri"
        identity = Identity(claims.get("email", claims["sub"]), claims["iss"], kind, extensions)
        made = leaf(self.authorities, public, identity, datetime.now(UTC).replace(microsecond=0))
        return [pem_of(one) for one in (made, self.authorities.ca_intermediate, self.authorities.ca_root)]

    # --- Rekor ---

    def _rekor_v1(self, seen: Seen) -> Answer:
        asked = json.loads(seen.body)
        kind = f"{asked['kind']}/{asked['apiVersion']}"
        said = _said_v1(kind, asked["spec"])
        with self._lock:
            written = body(kind, said)
            if (stands := next((e for e in self.entries.values() if e.body == written), None)) is not None:
                where = {"Location": f"/api/v1/log/entries/{stands.uuid}"}
                return as_json({"code": 409, "message": "an equivalent entry already exists"}, 409, where)
            entry = self._append(1, said, kind)
            self.entries[entry.uuid] = entry
        where = {"ETag": entry.uuid, "Location": f"/api/v1/log/entries/{entry.uuid}"}
        return as_json({entry.uuid: entry.as_rekor_v1()}, 201, where)

    def _rekor_v1_entry(self, seen: Seen) -> Answer:
        entry = self.entries.get(seen.path.rpartition("/")[2])
        if entry is None:
            raise Refused(404, "no such entry")
        return as_json({entry.uuid: entry.as_rekor_v1()})

    def _rekor_v1_key(self, _seen: Seen) -> Answer:
        return Answer(200, {"Content-Type": "application/x-pem-file"}, pem_of(self.authorities.rekor_key))

    def _rekor_v2(self, seen: Seen) -> Answer:
        asked = json.loads(seen.body)
        if "hashedRekordRequestV002" not in asked:
            raise Refused(400, "only hashedRekordRequestV002 is taken")
        request = asked["hashedRekordRequestV002"]
        signer = _signer_v2(request["signature"]["verifier"])
        signature = base64.b64decode(request["signature"]["content"])
        digest = base64.b64decode(request["digest"])
        _check(signer.public_key(), signature, digest)
        with self._lock:
            entry = self._append(2, Said(signature, signer, b"", digest=digest), "hashedrekord/0.0.2")
        return as_json(entry.as_json(), 201)

    def _append(self, version: int, said: Said, kind: str) -> Entry:
        before = tuple(self._bodies[version])
        entry = log(self.authorities, said, kind, datetime.now(UTC), before=before)
        self._bodies[version].append(entry.body)
        return entry

    # --- timestamps ---

    def _timestamp(self, seen: Seen) -> Answer:
        asked = tsp.TimeStampReq.load(seen.body)
        imprint = asked["message_imprint"]
        token = timestamp_digest(
            self.authorities,
            imprint["hashed_message"].native,
            datetime.now(UTC),
            algorithm=imprint["hash_algorithm"]["algorithm"].native,
            nonce=asked["nonce"].native,
        )
        return Answer(201, {"Content-Type": "application/timestamp-reply"}, token)

    def _timestamp_chain(self, _seen: Seen) -> Answer:
        chain = pem_of(self.authorities.tsa_leaf) + pem_of(self.authorities.tsa_root)
        return Answer(200, {"Content-Type": "application/pem-certificate-chain"}, chain)

    # --- the issuer ---

    def _discovery(self, _seen: Seen) -> Answer:
        return as_json(
            {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/keys",
                "authorization_endpoint": f"{self.issuer}/auth",
                "token_endpoint": f"{self.issuer}/token",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    def _issuer_keys(self, _seen: Seen) -> Answer:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.authorities.issuer_key.public_key()))
        return as_json({"keys": [key | {"kid": "1", "alg": "RS256", "use": "sig"}]})


# --- reading requests ------------------------------------------------------------------------------


def _requested_by_csr(pem: bytes) -> Any:
    request = x509.load_pem_x509_csr(pem)
    if not request.is_signature_valid:
        raise Refused(400, "the certificate request is not signed by its own key")
    return request.public_key()


def _prove(public: Any, proof: str, claims: dict[str, Any]) -> None:
    """fulcio: the signature over the token's subject, or its email, is the proof of possession."""
    said = str(claims.get("email", claims["sub"])).encode()
    _check(public, base64.b64decode(proof), hashlib.sha256(said).digest(), content=said)


def _check(public: Any, signature: bytes, digest: bytes, content: bytes = b"") -> None:
    """Logs see digests only; a key that signs whole messages can't be checked there."""
    prehashed = utils.Prehashed(hashes.SHA256())
    try:
        if isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(signature, digest, ec.ECDSA(prehashed))
        elif isinstance(public, rsa.RSAPublicKey):
            public.verify(signature, digest, padding.PKCS1v15(), prehashed)
        elif content:
            public.verify(signature, content)
    except InvalidSignature as exc:
        raise Refused(400, "the signature is not by this key over these bytes") from exc


def _said_v1(kind: str, spec: dict[str, Any]) -> Said:
    if kind == "hashedrekord/0.0.1":
        signer = _signer_pem(base64.b64decode(spec["signature"]["publicKey"]["content"]))
        signature = base64.b64decode(spec["signature"]["content"])
        digest = bytes.fromhex(spec["data"]["hash"]["value"])
        _check(signer.public_key(), signature, digest)
        return Said(signature, signer, b"", digest=digest)
    if kind == "dsse/0.0.1":
        proposed = spec["proposedContent"]
        return _said_of_envelope(proposed["envelope"].encode(), proposed["verifiers"][0])
    raise Refused(400, f"no entries of kind {kind} are taken")


def _said_of_envelope(raw: bytes, verifier: str) -> Said:
    envelope = json.loads(raw)
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    signer = _signer_pem(base64.b64decode(verifier))
    _check(signer.public_key(), signature, hashlib.sha256(signed).digest(), content=signed)
    return Said(signature, signer, signed, raw, payload, envelope["payloadType"])


def _signer_pem(pem: bytes) -> Any:
    """A certificate, or something that has ``public_key()`` as a private key has."""
    if b"CERTIFICATE" in pem:
        return x509.load_pem_x509_certificate(pem)
    return PublicOnly(serialization.load_pem_public_key(pem))


def _signer_v2(verifier: dict[str, Any]) -> Any:
    if "x509Certificate" in verifier:
        return x509.load_der_x509_certificate(base64.b64decode(verifier["x509Certificate"]["rawBytes"]))
    return PublicOnly(serialization.load_der_public_key(base64.b64decode(verifier["publicKey"]["rawBytes"])))


class PublicOnly:
    """Stands where entries expect the holder of a key."""

    def __init__(self, key: Any) -> None:
        self._key = key

    def public_key(self) -> Any:
        return self._key
