"""A client of OCI registries: tokens, digests verified while streaming, every body bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urljoin

import httpx

from trustgate.errors import DigestInvalid, InvalidInput, NotFound, UpstreamFailed
from trustgate.evidence.shape import fallback_tag
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import MAX_MANIFEST_BYTES, Descriptor
from trustgate.oci.names import Reference, RepositoryName, Tag
from trustgate.ports import FoundManifest
from trustgate.remote.docker_config import Credential
from trustgate.remote.repository_session import RepositorySession, is_loopback
from trustgate.remote.wire import (
    AGAIN,
    ALTERED,
    bounded,
    closing,
    json_object,
    pieces,
    raise_for,
    senseless,
    translated,
)

MAX_LIST_BYTES: Final = 8 * 1024 * 1024
MAX_PAGES: Final = 200
_ACCEPT = ", ".join(sorted(media.MANIFESTS))


class RegistryClient(RepositorySession):
    """One repository of one registry."""

    def __init__(
        self,
        host: str,
        repository: RepositoryName,
        credential: Credential | None,
        *,
        plain_http: bool = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        scheme = "http" if plain_http or is_loopback(host) else "https"
        base = f"{scheme}://{host}/v2/{repository}/"
        super().__init__(host, repository, base, credential, transport=transport)

    # --- reading ---------------------------------------------------------------------------------

    def manifest(self, target: Tag | Digest) -> FoundManifest:
        with self._answer("GET", f"manifests/{target}", headers={"accept": _ACCEPT}) as answer:
            raw = bounded(answer, MAX_MANIFEST_BYTES)
            media_type = answer.headers.get("content-type", "").partition(";")[0]
            said = answer.headers.get("docker-content-digest", "")
        digest = Digest.of(raw, target.algorithm if isinstance(target, Digest) else "sha256")
        if isinstance(target, Digest) and digest != target:
            message = f"{self._host} answered {digest.short} when asked for {target.short}"
            raise DigestInvalid(message, hint=ALTERED)
        if said.startswith(f"{digest.algorithm}:") and said != digest:
            message = f"{self._host} said {said[:80]!a} and sent {digest.short} for {target}"
            raise DigestInvalid(message, hint=ALTERED)
        return FoundManifest(raw, media_type, digest)

    def blob(self, digest: Digest, *, max_bytes: int) -> bytes:
        with self._answer("GET", f"blobs/{digest}") as answer:
            raw = bounded(answer, max_bytes)
        if Digest.of(raw, digest.algorithm) != digest:
            raise self._altered(digest)
        return raw

    def stream(self, descriptor: Descriptor) -> Iterator[bytes]:
        running = hashlib.new(descriptor.digest.algorithm)
        left = descriptor.size
        with self._answer("GET", f"blobs/{descriptor.digest}") as answer:
            for piece in pieces(answer):
                left -= len(piece)
                if left < 0:
                    message = f"{descriptor.digest.short} is longer than {descriptor.size} bytes"
                    raise DigestInvalid(message, hint=ALTERED)
                running.update(piece)
                yield piece
        if left or running.hexdigest() != descriptor.digest.hex:
            raise self._altered(descriptor.digest)

    def _altered(self, digest: Digest) -> DigestInvalid:
        return DigestInvalid(f"{self._host} answered other bytes than {digest.short}", hint=ALTERED)

    def referrers(self, digest: Digest, *, limit: int) -> tuple[Digest, ...]:
        found: dict[Digest, None] = {}
        try:
            for page in self._pages(f"referrers/{digest}"):
                found |= dict.fromkeys(_listed(page, self._host))
                if len(found) >= limit:
                    break
        except NotFound:
            return self._fallback_referrers(digest, limit)
        return tuple(found)[:limit]

    def _fallback_referrers(self, digest: Digest, limit: int) -> tuple[Digest, ...]:
        try:
            raw = self.manifest(fallback_tag(digest)).raw
        except NotFound:
            return ()
        return _listed(json_object(raw, f"referrers of {digest.short}"), self._host)[:limit]

    def has_referrers_api(self, digest: Digest) -> bool:
        """Whether the registry lists referrers itself, or clients have to keep the fallback tag."""
        try:
            with self._answer("GET", f"referrers/{digest}"):
                return True
        except NotFound:
            return False

    def tags(self) -> tuple[Tag, ...]:
        found: dict[Tag, None] = {}
        for page in self._pages("tags/list"):
            names = page.get("tags") or []
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise senseless(f"tags of {self._host}/{self._repository}", "tags is not a list of names")
            try:
                found |= dict.fromkeys(map(Tag, names))
            except InvalidInput as exc:
                raise senseless(f"tags of {self._host}/{self._repository}", exc.message) from exc
        return tuple(found)

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        """The pages of a list, by their ``Link`` headers: to the end, or not at all."""
        seen: set[str] = set()
        following: str | None = path
        while following:
            seen.add(following)
            if len(seen) > MAX_PAGES:
                raise UpstreamFailed(
                    f"{path[:100]} of {self._host} has more than {MAX_PAGES} pages", hint=AGAIN
                )
            with self._answer("GET", following) as answer:
                page = json_object(bounded(answer, MAX_LIST_BYTES), f"GET {path[:100]} of {self._host}")
                link = answer.links.get("next", {}).get("url")
                following = urljoin(str(answer.url), link) if link else None
            if following in seen:
                raise UpstreamFailed(f"the pages of {path[:100]} of {self._host} go in a circle", hint=AGAIN)
            yield page

    # --- writing ---------------------------------------------------------------------------------

    def put_blob(self, digest: Digest, content: Iterator[bytes], size: int) -> None:
        with suppress(NotFound), self._answer("HEAD", f"blobs/{digest}", push=True):
            return
        with self._answer("POST", "blobs/uploads/", push=True) as answer:
            if not answer.headers.get("location"):
                raise senseless(f"POST blobs/uploads/ of {self._host}", "it names no location")
            location = urljoin(str(answer.url), answer.headers["location"])
        joint = "&" if "?" in location else "?"
        headers = {"content-type": "application/octet-stream", "content-length": str(size)}
        url = f"{location}{joint}digest={digest}"
        with self._answer("PUT", url, push=True, headers=headers, content=content):
            return

    def put_manifest(self, raw: bytes, media_type: str, target: Tag | Digest | None) -> Digest:
        digest = target if isinstance(target, Digest) else Digest.of(raw)
        headers = {"content-type": media_type}
        with self._answer("PUT", f"manifests/{target or digest}", push=True, headers=headers, content=raw):
            return digest

    def check_login(self) -> None:
        """Prove that the credential is taken. Raises ``Unauthorized``, ``UpstreamRefused``."""
        url = urljoin(self._base, "/v2/")
        with translated(f"log in at {self._host}"):
            answer = self._send("GET", url, {}, None)
            if answer.status_code == 401 and self._is_mine(answer.url):
                answer.close()
                self._authenticate(answer, push=False, scoped=False)
                answer = self._send("GET", url, {}, None)
            with closing(answer):
                raise_for(answer, self._host, "log in")


def client_for(
    reference: Reference, credential: Credential | None, *, plain_http: bool = False
) -> RegistryClient:
    """The client for a reference's repository."""
    return RegistryClient(reference.host, reference.repository, credential, plain_http=plain_http)


def _listed(index: dict[str, Any], host: str) -> tuple[Digest, ...]:
    """The digests that an index lists."""
    entries = index.get("manifests") or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise senseless(f"a list of referrers by {host}", "manifests is not a list of descriptors")
    try:
        return tuple(Digest(str(entry.get("digest"))) for entry in entries)
    except DigestInvalid as exc:
        raise senseless(f"a list of referrers by {host}", exc.message) from exc
