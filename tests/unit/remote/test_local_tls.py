"""A registry on this machine that speaks TLS is found out; one that speaks neither keeps its own error."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.signing_world import image
from tests.simulators.registry import SimulatedRegistry
from tests.unit.remote.test_registry_reading import RegistryClient, Tag
from trustgate.errors import UpstreamFailed
from trustgate.oci.names import RepositoryName

IMAGE = image()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Self-signed, for this machine, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    return folder / "tls.crt", folder / "tls.key"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SimulatedRegistry]:
    made = SimulatedRegistry()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(tmp_path))
    made._server.socket = context.wrap_socket(
        made._server.socket, server_side=True, do_handshake_on_connect=False
    )
    with made:
        made.add(IMAGE.raw, IMAGE.manifest.media_type, "1")
        yield made


def client(registry: SimulatedRegistry) -> RegistryClient:
    return RegistryClient(registry.host, RepositoryName("shop/web"), None)


def test_tls_is_found_out_and_kept(
    registry: SimulatedRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.crt"))
    with client(registry) as made:
        assert made.manifest(Tag("1")).digest == IMAGE.manifest.digest
        assert made.tags() == (Tag("1"),)
        assert str(made._base).startswith("https://")


def test_a_certificate_that_nobody_vouches_for_is_told(registry: SimulatedRegistry) -> None:
    with client(registry) as made, pytest.raises(UpstreamFailed, match="certificate verify failed"):
        made.manifest(Tag("1"))
