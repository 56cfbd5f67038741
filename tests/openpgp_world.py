"""OpenPGP keys and signatures put together by hand, byte by byte, so that tests can break each part.

Nothing of ``trustgate`` is used here: what gpg and helm think of these bytes is tried in the interop and
gpg tests, so that the world is known to be real.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

MADE = datetime(2026, 11, 1, 12, tzinfo=UTC)
SIGNED = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ED25519_OID = bytes.fromhex("092b06010401da470f01")
HASHES = {2: ("SHA1", hashes.SHA1), 8: ("SHA256", hashes.SHA256), 10: ("SHA512", hashes.SHA512)}


def packet(tag: int, body: bytes) -> bytes:
    """In the new format, with a length of five octets."""
    return bytes([0xC0 | tag, 255]) + len(body).to_bytes(4) + body


def mpi(number: int) -> bytes:
    return number.bit_length().to_bytes(2) + number.to_bytes((number.bit_length() + 7) // 8)


def subpacket(kind: int, body: bytes) -> bytes:
    return bytes([len(body) + 1, kind]) + body


def moment(at: datetime) -> bytes:
    return int(at.timestamp()).to_bytes(4)


@dataclass(frozen=True, slots=True)
class PgpKey:
    """A version 4 key that signs."""

    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey = field(repr=False)
    user: bytes = b"charts <charts@example.test>"
    made: datetime = MADE

    @property
    def algorithm(self) -> int:
        return 1 if isinstance(self.private, rsa.RSAPrivateKey) else 22

    @property
    def body(self) -> bytes:
        if isinstance(self.private, rsa.RSAPrivateKey):
            numbers = self.private.public_key().public_numbers()
            material = mpi(numbers.n) + mpi(numbers.e)
        else:
            raw = self.private.public_key().public_bytes(
                serialization.Encoding.Raw, serialization.PublicFormat.Raw
            )
            material = ED25519_OID + mpi(int.from_bytes(b"\x40" + raw))
        return b"\x04" + moment(self.made) + bytes([self.algorithm]) + material

    @property
    def framed(self) -> bytes:
        return b"\x99" + len(self.body).to_bytes(2) + self.body

    @property
    def fingerprint(self) -> str:
        return hashlib.sha1(self.framed, usedforsecurity=False).hexdigest().upper()

    def signature(
        self,
        data: bytes,
        *,
        kind: int = 0x01,
        hash_id: int = 10,
        at: datetime = SIGNED,
        more: bytes = b"",
        version: int = 4,
    ) -> bytes:
        """A signature packet over ``data``; ``more`` are further hashed subpackets."""
        hashed = subpacket(2, moment(at)) + subpacket(33, b"\x04" + bytes.fromhex(self.fingerprint)) + more
        head = bytes([version, kind, self.algorithm, hash_id]) + len(hashed).to_bytes(2) + hashed
        signed = data + head + b"\x04\xff" + len(head).to_bytes(4)
        algorithm = HASHES[hash_id][1]()
        digest = hashes.Hash(algorithm)
        digest.update(signed)
        left = digest.copy().finalize()
        if isinstance(self.private, rsa.RSAPrivateKey):
            value = mpi(int.from_bytes(self.private.sign(signed, padding.PKCS1v15(), algorithm)))
        else:
            raw = self.private.sign(left)
            value = mpi(int.from_bytes(raw[:32])) + mpi(int.from_bytes(raw[32:]))
        unhashed = subpacket(16, bytes.fromhex(self.fingerprint)[-8:])
        return packet(2, head + len(unhashed).to_bytes(2) + unhashed + left[:2] + value)

    def public(self, *, lives: timedelta | None = None) -> bytes:
        """The key, its user and the signature that binds them: a keyring of one."""
        expiry = subpacket(9, int(lives.total_seconds()).to_bytes(4)) if lives else b""
        bound = self.framed + b"\xb4" + len(self.user).to_bytes(4) + self.user
        flags = subpacket(27, b"\x03")
        binding = self.signature(bound, kind=0x13, at=self.made, more=flags + expiry)
        return packet(6, self.body) + packet(13, self.user) + binding

    def revoked(self) -> bytes:
        """The same, with a revocation by the key itself."""
        revocation = self.signature(self.framed, kind=0x20, at=NOW)
        whole = self.public()
        head = len(packet(6, self.body))
        return whole[:head] + revocation + whole[head:]


@lru_cache
def pgp_key(kind: str = "ed25519", name: str = "charts", *, made: datetime = MADE) -> PgpKey:
    """``ed25519`` or ``rsa2048`` and the like; one key for each set of arguments."""
    user = f"{name} <{name}@example.test>".encode()
    if kind == "ed25519":
        return PgpKey(ed25519.Ed25519PrivateKey.generate(), user, made)
    return PgpKey(rsa.generate_private_key(65537, int(kind.removeprefix("rsa"))), user, made)


# --- armor and clear-signed texts ----------------------------------------------------------------


def crc24(content: bytes) -> str:
    crc = 0xB704CE
    for octet in content:
        crc ^= octet << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
    return base64.b64encode((crc & 0xFFFFFF).to_bytes(3)).decode()


def armor(content: bytes, kind: str = "SIGNATURE", *, checksum: str | None = None, headers: str = "") -> str:
    text = base64.b64encode(content).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    tail = f"={checksum}\n" if checksum is not None else ""
    return f"-----BEGIN PGP {kind}-----\n{headers}\n{lines}\n{tail}-----END PGP {kind}-----\n"


def clear_signed(
    text: str,
    key: PgpKey,
    *,
    hash_id: int = 10,
    kind: int = 0x01,
    at: datetime = SIGNED,
    more: bytes = b"",
    said: str | None = None,
) -> str:
    """``text`` as ``gpg --clearsign`` frames it."""
    lines = [line.rstrip(" \t") for line in text.split("\n")]
    data = "\r\n".join(lines).encode()
    signature = key.signature(data, kind=kind, hash_id=hash_id, at=at, more=more)
    escaped = "\n".join(f"- {line}" if line.startswith("-") else line for line in text.split("\n"))
    header = said if said is not None else f"Hash: {HASHES[hash_id][0]}\n"
    return f"-----BEGIN PGP SIGNED MESSAGE-----\n{header}\n{escaped}\n" + armor(
        signature, checksum=crc24(signature)
    )


# --- charts --------------------------------------------------------------------------------------

CHART_YAML = "apiVersion: v2\ndescription: a chart\nname: web\ntype: application\nversion: 1.2.3\n"


def package(files: Mapping[str, str | bytes] | None = None, *, chart: str = CHART_YAML) -> bytes:
    """A ``.tgz``; by default a chart of two files."""
    buffer = io.BytesIO()
    given = files if files is not None else {"web/Chart.yaml": chart, "web/values.yaml": "a: 1\n"}
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in given.items():
            content = text.encode() if isinstance(text, str) else text
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


def provenance_body(content: bytes, *, metadata: str = CHART_YAML, name: str = "web-1.2.3.tgz") -> str:
    """What helm signs for a package; without a last newline, which a clear-signed text does not have."""
    digest = hashlib.sha256(content).hexdigest()
    return f"{metadata}\n...\nfiles:\n  {name}: sha256:{digest}"
