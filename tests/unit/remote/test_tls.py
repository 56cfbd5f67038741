"""Certificates of authorities are read once, and again when the environment names others."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest

from trustgate.remote import tls


@pytest.mark.parametrize("trust_env", [True, False])
def test_connections_share_what_was_read(trust_env: bool) -> None:
    assert tls.context(trust_env=trust_env) is tls.context(trust_env=trust_env)
    assert tls.context(trust_env=trust_env).cert_store_stats()["x509_ca"] > 0


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_the_environment_names_others(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tls.context()
    place = {"SSL_CERT_FILE": Path(certifi.where()), "SSL_CERT_DIR": tmp_path}[name]
    with monkeypatch.context() as inside:
        inside.setenv(name, str(place))
        assert tls.context() is not before
        assert tls.context() is tls.context()
    assert tls.context() is before


def test_foreign_addresses_are_not_told_by_the_environment_whom_to_believe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tls.context(trust_env=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert tls.context(trust_env=False) is before
