"""Clients of Fulcio, Rekor 1 and 2 and RFC 3161 timestamp authorities: one question, one bounded answer.

An identity token goes to the one address that was configured, over https unless it is this machine's own;
redirects are refused, since whoever they lead to could sign in the bearer's name.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from importlib import resources
from typing import Final, TypeVar
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

from trustgate import __version__
from trustgate.errors import ConfigInvalid, Unauthorized, UpstreamFailed, UpstreamRefused
from trustgate.evidence.dsse import Malformed
from trustgate.evidence.sigstore_signing import fulcio, rekor, timestamping
from trustgate.evidence.sigstore_signing.identity_token import IdentityToken
from trustgate.evidence.sigstore_signing.material import CertificateChain, LogEntry
from trustgate.evidence.sigstore_signing.rekor import Loggable
from trustgate.evidence.sigstore_signing.signing_config import SigningConfig
from trustgate.ports.signing import SigningServices
from trustgate.remote import tls
from trustgate.remote.repository_session import is_loopback
from trustgate.remote.wire import MAX_ERROR_BYTES, bounded, closing, senseless, translated

TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)
"""Rekor 2 answers when its next checkpoint has the entry, which takes seconds."""
NONCE_BITS: Final = 64
SHOWN_CHARACTERS: Final = 300
UP: Final = "is the service up, and is the address right?"
_JSON: Final = "application/json"

T = TypeVar("T")


def service_url(text: str, *, plain_http: bool = False) -> str:
    """``text`` without a slash at its end. Raises ``ConfigInvalid``."""
    parts = urlsplit(text)
    plain = parts.scheme == "http" and (plain_http or is_loopback(parts.netloc))
    good = parts.scheme == "https" or plain
    if not good or not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
        plainly = "or http" if plain_http else "plain http is spoken to this machine only"
        raise ConfigInvalid(
            f"{text[:100]!a} is not the address of a signing service", hint=f"https://HOST[/PATH]; {plainly}"
        )
    return text.rstrip("/")


def signing_http(transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """The connections that all services of one signature share; close it."""
    headers = {"user-agent": f"trustgate/{__version__}", "accept-encoding": "identity"}
    return httpx.Client(timeout=TIMEOUT, transport=transport, headers=headers, verify=tls.context())


class _Wire:
    """One service."""

    def __init__(self, url: str, http: httpx.Client, *, plain_http: bool = False) -> None:
        self.url = service_url(url, plain_http=plain_http)
        self.host = httpx.URL(self.url).netloc.decode("ascii")
        self._http = http

    def ask(
        self,
        method: str,
        path: str,
        max_bytes: int,
        *,
        body: bytes = b"",
        media_type: str = _JSON,
        accept: str = _JSON,
        bearer: str = "",
        passed: frozenset[int] = frozenset(),
    ) -> tuple[httpx.Response, bytes]:
        """The answer with its body; a bad status raises, unless it is one of ``passed``."""
        what = f"{method} {self.url}{path}"
        headers = {"accept": accept, **({"content-type": media_type} if body else {})}
        headers |= {"authorization": f"Bearer {bearer}"} if bearer else {}
        with translated(what, UP):
            request = self._http.build_request(method, self.url + path, headers=headers, content=body or None)
            answer = self._http.send(request, stream=True)
            with closing(answer):
                if not answer.is_success and answer.status_code not in passed:
                    raise _refusal(answer, self.host, what)
                return answer, bounded(answer, max_bytes)

    def read(self, what: str, reader: Callable[[], T]) -> T:
        try:
            return reader()
        except Malformed as exc:
            raise senseless(f"{what} of {self.host}", str(exc), UP) from exc


def _refusal(answer: httpx.Response, host: str, what: str) -> Exception:
    status = answer.status_code
    if answer.is_redirect or answer.is_informational:
        return UpstreamFailed(
            f"{what}: {host} answered {status}; redirects are not followed",
            hint="give the address that it redirects to, if it is the right one",
        )
    words = _words(answer) or f"status {status}"
    if status >= 500:
        return UpstreamFailed(f"{what}: {host} answered {status} ({words})", hint="try again later")
    if status in {401, 403}:
        return Unauthorized(
            f"{what}: {words}", hint="does this service know the token's issuer and audience?"
        )
    return UpstreamRefused(f"{what}: {words}", hint="its own words say why; whoever runs it can change it")


def _words(answer: httpx.Response) -> str:
    """The service's own words, one printable line."""
    try:
        raw = bounded(answer, MAX_ERROR_BYTES)
    except (httpx.HTTPError, UpstreamFailed):
        return ""
    try:
        document = json.loads(raw)
        text = str(document["message"]) if isinstance(document, dict) else ""
    except (ValueError, KeyError, RecursionError):
        text = raw.decode("utf-8", "replace").strip()
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:SHOWN_CHARACTERS]


class FulcioClient:
    """A certificate authority with Fulcio's API 2."""

    def __init__(self, url: str, http: httpx.Client) -> None:
        self._wire = _Wire(url, http)

    def certificate(self, key: ec.EllipticCurvePrivateKey, token: IdentityToken) -> CertificateChain:
        _answer, raw = self._wire.ask(
            "POST",
            "/api/v2/signingCert",
            fulcio.MAX_ANSWER_BYTES,
            body=fulcio.certificate_request(key, token),
            bearer=token.raw,
        )
        return self._wire.read("the certificate", lambda: fulcio.read_chain(raw, key.public_key()))


class RekorClient:
    """A transparency log with Rekor's API 1 or 2."""

    def __init__(self, url: str, version: int, http: httpx.Client) -> None:
        self._wire = _Wire(url, http)
        self._version = version

    @property
    def version(self) -> int:
        return self._version

    def append(self, about: Loggable) -> LogEntry:
        if self._version == 1:
            return self._append_v1(about)
        body = rekor.entry_request_v2(about)
        _answer, raw = self._wire.ask("POST", "/api/v2/log/entries", rekor.MAX_ANSWER_BYTES, body=body)
        entry = self._wire.read("the entry", lambda: rekor.read_entry_v2(raw))
        return self._about(entry, about)

    def _append_v1(self, about: Loggable) -> LogEntry:
        """A 409 says where the same entry stands already: some keys sign alike each time."""
        path = "/api/v1/log/entries"
        body = rekor.entry_request_v1(about)
        answer, raw = self._wire.ask("POST", path, rekor.MAX_ANSWER_BYTES, body=body, passed=frozenset({409}))
        if answer.status_code == 409:
            uuid = answer.headers.get("location", "").rpartition("/")[2]
            if not uuid or not uuid.isalnum():
                raise senseless(f"POST {self._wire.url}{path}", "a conflict, but no word with what", UP)
            _answer, raw = self._wire.ask("GET", f"{path}/{uuid}", rekor.MAX_ANSWER_BYTES)
        entry = self._wire.read("the entry", lambda: rekor.read_entry_v1(raw))
        return self._about(entry, about)

    def _about(self, entry: LogEntry, about: Loggable) -> LogEntry:
        """The entry, once it is seen to hold our signature: a mix-up would only show at verification."""
        self._wire.read("the entry", lambda: rekor.check_entry(entry, about))
        return entry


class TimestampClient:
    """A timestamp authority; its address is the whole one, path and all.

    ``plain_http`` is for who verifies the answer under the authority's root: the question is a hash, and
    most public authorities have no https.
    """

    def __init__(self, url: str, http: httpx.Client, *, plain_http: bool = False) -> None:
        self._wire = _Wire(url, http, plain_http=plain_http)

    def timestamp(self, content: bytes) -> bytes:
        nonce = secrets.randbits(NONCE_BITS)
        _answer, raw = self._wire.ask(
            "POST",
            "",
            timestamping.MAX_ANSWER_BYTES,
            body=timestamping.timestamp_request(content, nonce),
            media_type="application/timestamp-query",
            accept="application/timestamp-reply",
        )
        self._wire.read("the timestamp", lambda: timestamping.check_answer(raw, content, nonce))
        return raw


def open_services(config: SigningConfig, http: httpx.Client) -> SigningServices:
    """Clients of what ``config`` chose. Raises ``ConfigInvalid``."""
    return SigningServices(
        authority=FulcioClient(config.fulcio.url, http) if config.fulcio else None,
        logs=tuple(RekorClient(one.url, one.version, http) for one in config.logs),
        timestamps=tuple(TimestampClient(one.url, http) for one in config.timestamps),
    )


def public_good_config(*, staging: bool = False) -> bytes:
    """The signing configuration of sigstore.dev, or of its staging, as the sigstore library carries it."""
    host = "sigstage.dev" if staging else "sigstore.dev"
    folder = resources.files("sigstore") / "_store" / f"https%3A%2F%2Ftuf-repo-cdn.{host}"
    return (folder / "signing_config.v0.2.json").read_bytes()
