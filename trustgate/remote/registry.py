"""A client of OCI registries: tokens, digests verified while streaming, every body bounded."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self
from urllib.parse import urljoin, urlsplit

import httpx

from trustgate import __version__
from trustgate.errors import DigestInvalid, NotFound, Unauthorized, UpstreamFailed, UpstreamRefused
from trustgate.evidence.shape import fallback_tag
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import MAX_MANIFEST_BYTES, Descriptor
from trustgate.oci.names import Reference, RepositoryName, Tag
from trustgate.ports import FoundManifest
from trustgate.remote.docker_config import Credential

MAX_ERROR_BYTES: Final = 16 * 1024
MAX_LIST_BYTES: Final = 8 * 1024 * 1024
MAX_PAGES: Final = 200
MAX_TOKEN_BYTES: Final = 64 * 1024
TRIES: Final = 3
BACKOFF_S: Final = 0.5
TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
STREAM_BYTES: Final = 1024 * 1024
_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_ACCEPT = ", ".join(sorted(media.MANIFESTS))
_RETRIED = frozenset({429, 502, 503, 504})


def is_loopback(host: str) -> bool:
    """Plain HTTP is spoken to this machine only, unless the user says otherwise."""
    return _LOOPBACK.fullmatch(host) is not None


class RegistryClient:
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
        self._host = host
        self._repository = repository
        self._credential = credential
        self._base = f"{scheme}://{host}/v2/{repository}/"
        self._token: dict[str, str] = {}
        self.warnings: list[str] = []
        """``Warning`` headers of the answers so far (distribution-spec, "Warnings")."""
        self.decision = ""
        """The decision behind the last answer of a trustgate server, when it names one."""
        self._http = httpx.Client(
            timeout=TIMEOUT, transport=transport, headers={"user-agent": f"trustgate/{__version__}"}
        )

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # --- reading ---------------------------------------------------------------------------------

    def manifest(self, target: Tag | Digest) -> FoundManifest:
        with self._answer("GET", f"manifests/{target}", headers={"accept": _ACCEPT}) as answer:
            raw = _bounded(answer, MAX_MANIFEST_BYTES)
            media_type = answer.headers.get("content-type", "").partition(";")[0]
        algorithm = target.algorithm if isinstance(target, Digest) else "sha256"
        digest = Digest.of(raw, algorithm)
        if isinstance(target, Digest) and digest != target:
            raise DigestInvalid(f"{self._host} answered {digest.short} when asked for {target.short}")
        return FoundManifest(raw, media_type, digest)

    def blob(self, digest: Digest, *, max_bytes: int) -> bytes:
        with self._answer("GET", f"blobs/{digest}") as answer:
            raw = _bounded(answer, max_bytes)
        if Digest.of(raw, digest.algorithm) != digest:
            raise DigestInvalid(f"{self._host} answered other bytes than {digest.short}")
        return raw

    def stream(self, descriptor: Descriptor) -> Iterator[bytes]:
        running = hashlib.new(descriptor.digest.algorithm)
        left = descriptor.size
        with self._answer("GET", f"blobs/{descriptor.digest}") as answer:
            for piece in answer.iter_bytes(STREAM_BYTES):
                left -= len(piece)
                if left < 0:
                    raise DigestInvalid(f"{descriptor.digest.short} is longer than {descriptor.size} bytes")
                running.update(piece)
                yield piece
        if left or running.hexdigest() != descriptor.digest.hex:
            raise DigestInvalid(f"{self._host} answered other bytes than {descriptor.digest.short}")

    def referrers(self, digest: Digest, *, limit: int) -> tuple[Digest, ...]:
        try:
            with self._answer("GET", f"referrers/{digest}") as answer:
                raw = _bounded(answer, MAX_LIST_BYTES)
        except NotFound:
            return self._fallback_referrers(digest, limit)
        return _digests_of_index(raw, limit)

    def _fallback_referrers(self, digest: Digest, limit: int) -> tuple[Digest, ...]:
        try:
            return _digests_of_index(self.manifest(fallback_tag(digest)).raw, limit)
        except NotFound:
            return ()

    def has_referrers_api(self, digest: Digest) -> bool:
        """Whether the registry lists referrers itself, or clients have to keep the fallback tag."""
        try:
            with self._answer("GET", f"referrers/{digest}"):
                return True
        except NotFound:
            return False

    def tags(self) -> tuple[Tag, ...]:
        found: list[Tag] = []
        path: str | None = "tags/list"
        for _ in range(MAX_PAGES):
            if path is None:
                break
            with self._answer("GET", path) as answer:
                page = json.loads(_bounded(answer, MAX_LIST_BYTES))
                following = answer.links.get("next", {}).get("url")
            found += [Tag(name) for name in page.get("tags") or []]
            path = following
        return tuple(found)

    # --- writing ---------------------------------------------------------------------------------

    def put_blob(self, digest: Digest, content: Iterator[bytes], size: int) -> None:
        try:
            with self._answer("HEAD", f"blobs/{digest}", push=True):
                return
        except NotFound:
            pass
        with self._answer("POST", "blobs/uploads/", push=True) as answer:
            location = urljoin(str(answer.url), answer.headers.get("location", ""))
        joint = "&" if urlsplit(location).query else "?"
        headers = {"content-type": "application/octet-stream", "content-length": str(size)}
        url = f"{location}{joint}digest={digest}"
        with self._answer("PUT", url, push=True, headers=headers, content=content):
            return

    def put_manifest(self, raw: bytes, media_type: str, tag: Tag | None) -> Digest:
        digest = Digest.of(raw)
        headers = {"content-type": media_type}
        with self._answer("PUT", f"manifests/{tag or digest}", push=True, headers=headers, content=raw):
            return digest

    def check_login(self) -> None:
        """Prove that the credential is taken. Raises ``Unauthorized``, ``UpstreamRefused``."""
        answer = self._send("GET", urljoin(self._base, "/v2/"), {}, None)
        if answer.status_code == 401:
            self._authenticate(answer, push=False, scoped=False)
            answer.close()
            answer = self._send("GET", urljoin(self._base, "/v2/"), {}, None)
        with _closing(answer):
            _raise_for(answer, self._host, "log in")

    # --- the wire --------------------------------------------------------------------------------

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        *,
        push: bool = False,
        headers: dict[str, str] | None = None,
        content: Any = None,
    ) -> Iterator[httpx.Response]:
        """A streamed answer with a good status; authenticates when asked to."""
        url = urljoin(self._base, path)
        what = f"{method} {path[:100]} of {self._host}/{self._repository}"
        repeatable = content is None or isinstance(content, bytes)
        answer = self._patiently(method, url, headers or {}, content, repeatable=repeatable)
        if answer.status_code == 401 and repeatable:
            self._authenticate(answer, push=push)
            answer.close()
            answer = self._patiently(method, url, headers or {}, content, repeatable=repeatable)
        self._take_notes(answer)
        with _closing(answer), _translated(what):
            _raise_for(answer, self._host, what)
            yield answer

    def _take_notes(self, answer: httpx.Response) -> None:
        self.warnings += answer.headers.get_list("warning")[:16]
        self.decision = answer.headers.get("trustgate-decision", self.decision)[:64]

    def _patiently(
        self, method: str, url: str, headers: dict[str, str], content: Any, *, repeatable: bool
    ) -> httpx.Response:
        tries = TRIES if method in {"GET", "HEAD"} and repeatable else 1
        for number in range(1, tries + 1):
            try:
                answer = self._send(method, url, headers, content)
            except UpstreamFailed:
                if number == tries:
                    raise
            else:
                if answer.status_code not in _RETRIED or number == tries:
                    return answer
                answer.close()
            time.sleep(BACKOFF_S * 2 ** (number - 1))
        raise UpstreamFailed(f"{self._host} did not answer")

    def _send(self, method: str, url: str, headers: dict[str, str], content: Any) -> httpx.Response:
        """One request; redirects are followed by hand, so that credentials stay with their host."""
        with _translated(f"{method} {url[:200]}"):
            for _ in range(5):
                mine = urlsplit(url).netloc == urlsplit(self._base).netloc
                sent = {**headers, **(self._token if mine else {})}
                request = self._http.build_request(method, url, headers=sent, content=content)
                answer = self._http.send(request, stream=True)
                if not answer.is_redirect or method not in {"GET", "HEAD"}:
                    return answer
                answer.close()
                url = urljoin(url, answer.headers.get("location", ""))
                if urlsplit(url).scheme not in {"http", "https"}:
                    raise UpstreamFailed(f"{self._host} redirects to {url[:100]!a}")
        raise UpstreamFailed(f"{self._host} redirects without end")

    def _authenticate(self, refused: httpx.Response, *, push: bool, scoped: bool = True) -> None:
        challenge = refused.headers.get("www-authenticate", "")
        kind = challenge.partition(" ")[0].lower()
        if kind == "basic" and self._credential is not None:
            basic = httpx.BasicAuth(self._credential.username, self._credential.secret)
            request = next(basic.auth_flow(httpx.Request("GET", self._base)))
            self._token = {"authorization": request.headers["authorization"]}
        elif kind == "bearer":
            actions = "pull,push" if push else "pull"
            scope = f"repository:{self._repository}:{actions}" if scoped else ""
            self._token = {"authorization": f"Bearer {self._ask_token(challenge, scope)}"}

    def _ask_token(self, challenge: str, scope: str) -> str:
        fields = dict(_PARAMETER.findall(challenge))
        realm = fields.get("realm", "")
        parts = urlsplit(realm)
        if parts.scheme != "https" and not (parts.scheme == "http" and self._base.startswith("http:")):
            raise UpstreamFailed(f"{self._host} wants the login at {realm[:100]!a}, which is not https")
        asked = {"service": fields.get("service", ""), **({"scope": scope} if scope else {})}
        with _translated(f"log in at {realm[:100]}"):
            answer = self._http.send(self._token_request(realm, asked), stream=True)
            with _closing(answer):
                _raise_for(answer, self._host, "log in")
                document = json.loads(_bounded(answer, MAX_TOKEN_BYTES))
        token = document.get("token") or document.get("access_token")
        if not isinstance(token, str):
            raise UpstreamFailed(f"{self._host} answered the login without a token")
        return token

    def _token_request(self, realm: str, asked: dict[str, str]) -> httpx.Request:
        credential = self._credential
        if credential is not None and credential.is_identity_token:
            form = {**asked, "grant_type": "refresh_token", "refresh_token": credential.secret}
            return self._http.build_request("POST", realm, data={**form, "client_id": "trustgate"})
        request = self._http.build_request("GET", realm, params=asked)
        if credential is not None:
            request = next(httpx.BasicAuth(credential.username, credential.secret).auth_flow(request))
        return request


def client_for(
    reference: Reference, credential: Credential | None, *, plain_http: bool = False
) -> RegistryClient:
    """The client for a reference's repository."""
    return RegistryClient(reference.host, reference.repository, credential, plain_http=plain_http)


@contextmanager
def _closing(answer: httpx.Response) -> Iterator[None]:
    try:
        yield
    finally:
        answer.close()


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException as exc:
        raise UpstreamFailed(f"{what}: no answer in time", hint="is the registry up?") from exc
    except httpx.HTTPError as exc:
        raise UpstreamFailed(f"{what}: {exc or type(exc).__name__}", hint="is the registry up?") from exc
    except (ValueError, RecursionError) as exc:
        raise UpstreamFailed(f"{what}: the answer makes no sense ({type(exc).__name__})") from exc


def _raise_for(answer: httpx.Response, host: str, what: str) -> None:
    if answer.is_success:
        return
    said = _error_text(answer)
    if answer.status_code == 404:
        raise NotFound(f"{what}: not found ({said})")
    if answer.status_code >= 500:
        raise UpstreamFailed(f"{what}: {host} answered {answer.status_code} ({said})")
    if answer.status_code == 401:
        raise Unauthorized(f"{what}: {said}", hint=f"trustgate login {host}")
    raise UpstreamRefused(said, detail=f"{answer.status_code}")


def _error_text(answer: httpx.Response) -> str:
    """The server's words, one printable line."""
    try:
        raw = b"" if answer.request.method == "HEAD" else _bounded(answer, MAX_ERROR_BYTES)
        first = json.loads(raw)["errors"][0]
        text = f"{first.get('code', '')}: {first.get('message', '')}"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, UpstreamFailed, RecursionError):
        text = f"status {answer.status_code}"
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:600]


def _bounded(answer: httpx.Response, max_bytes: int) -> bytes:
    pieces = bytearray()
    for piece in answer.iter_bytes():
        pieces += piece
        if len(pieces) > max_bytes:
            raise UpstreamFailed(f"{answer.url.host} answered more than {max_bytes} bytes")
    return bytes(pieces)


def _digests_of_index(raw: bytes, limit: int) -> tuple[Digest, ...]:
    document = json.loads(raw)
    entries = document.get("manifests", []) if isinstance(document, dict) else []
    return tuple(Digest(str(entry.get("digest"))) for entry in entries[:limit] if isinstance(entry, dict))
