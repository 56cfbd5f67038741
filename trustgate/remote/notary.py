"""A client of Notary v1 servers: a repository's metadata as it stands, and what is published on top."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx

from trustgate.errors import ConfigInvalid, NotFound, UpstreamFailed
from trustgate.evidence.notary.canonical import Malformed
from trustgate.evidence.notary.chain import MAX_ROOTS
from trustgate.evidence.notary.judge import MetadataSet
from trustgate.evidence.notary.metadata import read_root
from trustgate.remote.docker_config import Credential
from trustgate.remote.repository_session import RepositorySession, is_loopback
from trustgate.remote.wire import AGAIN, bounded, senseless

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
UP: Final = "is this the address of a Notary server?"


class NotaryClient(RepositorySession):
    """One repository (GUN, ``HOST/NAME``) on one server."""

    def __init__(
        self,
        server: str,
        gun: str,
        credential: Credential | None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Raises ``ConfigInvalid`` for what is no server's address."""
        url = server_url(server)
        base = f"{url}/v2/{gun}/_trust/tuf/"
        super().__init__(urlsplit(url).netloc, gun, base, credential, transport=transport)

    def metadata(self, roles: Iterable[str]) -> MetadataSet:
        """Roots, timestamp, snapshot, targets, and those of ``roles`` that are there.

        Raises ``NotFound`` when nothing is published, ``UpstreamFailed``.
        """
        roots = self._roots()
        needed = {role: self._file(role) for role in ("timestamp", "snapshot", "targets")}
        delegated = {role: raw for role in roles if (raw := self._found(role)) is not None}
        targets = {"targets": needed["targets"], **delegated}
        return MetadataSet(roots, needed["timestamp"], needed["snapshot"], targets)

    def publish(self, files: Mapping[str, bytes]) -> None:
        """All files or none. Raises ``UpstreamRefused`` with the server's words."""
        boundary = secrets.token_hex(16)
        body = b"".join(_part(role, raw, boundary) for role, raw in files.items())
        body += f"--{boundary}--\r\n".encode()
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        with self._answer("POST", "", push=True, headers=headers, content=body):
            return

    def _roots(self) -> tuple[bytes, ...]:
        """Oldest first, without a gap."""
        newest = self._file("root")
        try:
            version = read_root(newest).signed.version
        except Malformed as exc:
            raise senseless(f"the root of {self._repository}", str(exc), UP) from exc
        if version > MAX_ROOTS:
            raise UpstreamFailed(
                f"{self._repository} has {version} roots, at most {MAX_ROOTS} are read", hint=AGAIN
            )
        older = (self._found(f"{number}.root") for number in range(1, version))
        return (*(raw for raw in older if raw is not None), newest)

    def _found(self, name: str) -> bytes | None:
        try:
            return self._file(name)
        except NotFound:
            return None

    def _file(self, name: str) -> bytes:
        with self._answer("GET", f"{name}.json") as answer:
            return bounded(answer, MAX_FILE_BYTES)


def server_host(text: str) -> str:
    """Whose credential goes there. Raises ``ConfigInvalid``."""
    return urlsplit(server_url(text)).netloc


def server_url(text: str) -> str:
    """``text`` without a slash at its end; a bare host means https, or http for this machine.

    Raises ``ConfigInvalid``.
    """
    url = text if "://" in text else f"{'http' if is_loopback(text) else 'https'}://{text}"
    parts = urlsplit(url)
    plain = parts.scheme == "http" and is_loopback(parts.netloc)
    if not (parts.scheme == "https" or plain) or not parts.netloc or "@" in parts.netloc or parts.query:
        raise ConfigInvalid(
            f"{text[:100]!a} is not the address of a Notary server",
            hint="https://HOST[:PORT]; plain http is spoken to this machine only",
        )
    return url.rstrip("/")


def _part(role: str, raw: bytes, boundary: str) -> bytes:
    """As notary sends it: a file called after its role."""
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{role}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + raw + b"\r\n"
