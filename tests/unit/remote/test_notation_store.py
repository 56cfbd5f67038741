"""The trust store folder of notation: what is read, and what must not be in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import notation_world as world
from trustgate.errors import InvalidInput
from trustgate.evidence.notation.trust import MAX_STORE_FILE_BYTES
from trustgate.remote import notation_store
from trustgate.remote.notation_store import read_trust_store


def put(folder: Path, path: str, content: bytes = world.root().pem) -> Path:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def test_the_folder_or_the_configuration(tmp_path: Path) -> None:
    put(tmp_path, "truststore/x509/ca/acme/root.crt")
    put(tmp_path, "truststore/x509/tsa/time/root.pem", b"tsa")
    put(tmp_path, "truststore/x509/ca/acme/below/ignored.crt")
    put(tmp_path, "truststore/x509/other/acme/ignored.crt")
    put(tmp_path, "truststore/x509/ca/stray.crt")
    expected = {"x509/ca/acme/root.crt": world.root().pem, "x509/tsa/time/root.pem": b"tsa"}
    assert read_trust_store(tmp_path) == expected
    assert read_trust_store(tmp_path / "truststore") == expected


def test_links_are_refused(tmp_path: Path) -> None:
    target = put(tmp_path, "x509/ca/acme/root.crt")
    link = tmp_path / "x509/ca/acme/link.crt"
    link.symlink_to(target)
    with pytest.raises(InvalidInput, match="symbolic link"):
        read_trust_store(tmp_path)
    link.unlink()
    (tmp_path / "x509/ca/other").symlink_to(tmp_path / "x509/ca/acme")
    with pytest.raises(InvalidInput, match="symbolic link"):
        read_trust_store(tmp_path)


def test_what_can_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="is no trust store"):
        read_trust_store(tmp_path)
    put(tmp_path, "x509/ca/acme/big.crt", b"x" * (MAX_STORE_FILE_BYTES + 1))
    with pytest.raises(InvalidInput, match="more than"):
        read_trust_store(tmp_path)
    put(tmp_path, "x509/ca/acme/big.crt")
    put(tmp_path, "x509/ca/acme/b.crt")
    monkeypatch.setattr(notation_store, "MAX_FILES", 1)
    with pytest.raises(InvalidInput, match="more than 1 certificate files"):
        read_trust_store(tmp_path)


def test_errors_of_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "x509/ca/acme/root.crt")

    def fails(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    for method in ("open", "iterdir"):
        with monkeypatch.context() as patched:
            patched.setattr(Path, method, fails)
            with pytest.raises(InvalidInput, match="can't be read: Permission denied"):
                read_trust_store(tmp_path)
