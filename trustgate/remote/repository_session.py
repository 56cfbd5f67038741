"""Requests about one repository of one server: tokens, redirects, patience, every answer bounded."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self
from urllib.parse import urljoin

import httpx

from trustgate import __version__
from trustgate.errors import Unauthorized, UpstreamFailed
from trustgate.remote import tls
from trustgate.remote.challenge import is_same_site, parse_challenges
from trustgate.remote.docker_config import Credential
from trustgate.remote.wire import (
    AGAIN,
    bounded,
    closing,
    json_object,
    raise_for,
    retry_after_s,
    senseless,
    translated,
)

MAX_TOKEN_BYTES: Final = 64 * 1024
TRIES: Final = 3
BACKOFF_S: Final = 0.5
MAX_WAIT_S: Final = 10.0
"""A longer ``Retry-After`` is the user's decision."""
TLS_TIMEOUT: Final = httpx.Timeout(5.0)
"""Of finding out whether a server on this machine speaks TLS."""
TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")
_RETRIED = frozenset({429, 502, 503, 504})


def is_loopback(host: str) -> bool:
    """Plain HTTP is spoken to this machine only, unless the user says otherwise."""
    return _LOOPBACK.fullmatch(host) is not None


class RepositorySession:
    """``repository`` is the name that tokens are asked for, ``base`` what paths are joined to."""

    def __init__(
        self,
        host: str,
        repository: str,
        base: str,
        credential: Credential | None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._host = host
        self._repository = repository
        self._place = f"{host}/{repository}"
        """For messages."""
        self._credential = credential
        self._base = base
        self._home = httpx.URL(base)
        self._tried_tls = False
        self._token: dict[str, str] = {}
        self.warnings: list[str] = []
        """``Warning`` headers of the answers so far (distribution-spec, "Warnings")."""
        self.decision = ""
        """The decision behind the last answer of a trustgate server, when it names one."""
        self._http = httpx.Client(
            timeout=TIMEOUT,
            transport=transport,
            verify=tls.context(),
            headers={"user-agent": f"trustgate/{__version__}", "accept-encoding": "identity"},
        )

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

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
        """A streamed answer with a good status; authenticates when asked to, by this registry only."""
        what = f"{method} {path[:100]} of {self._place}"
        repeatable = content is None or isinstance(content, bytes)
        with translated(what):
            url = urljoin(self._base, path)
            answer = self._patiently(method, url, headers or {}, content, repeatable=repeatable)
            if answer.status_code == 401 and repeatable and self._is_mine(answer.url):
                answer.close()
                self._authenticate(answer, push=push)
                answer = self._patiently(method, url, headers or {}, content, repeatable=repeatable)
            self._take_notes(answer)
            with closing(answer):
                raise_for(answer, self._host, what)
                yield answer

    def _is_mine(self, url: httpx.URL) -> bool:
        """Scheme, host and port: a credential or token leaves for nowhere else."""
        mine = self._home
        return (url.scheme, url.host, url.port) == (mine.scheme, mine.host, mine.port)

    def _take_notes(self, answer: httpx.Response) -> None:
        self.warnings += answer.headers.get_list("warning")[:16]
        self.decision = answer.headers.get("trustgate-decision", self.decision)[:64]

    def _patiently(
        self, method: str, url: str, headers: dict[str, str], content: Any, *, repeatable: bool
    ) -> httpx.Response:
        tries = TRIES if method in {"GET", "HEAD"} and repeatable else 1
        for number in range(1, tries + 1):
            wait = BACKOFF_S * 2 ** (number - 1)
            try:
                answer = self._send(method, url, headers, content)
            except UpstreamFailed:
                if number == tries:
                    raise
            else:
                wait = max(wait, retry_after_s(answer) or 0.0)
                if answer.status_code not in _RETRIED or number == tries or wait > MAX_WAIT_S:
                    return answer
                answer.close()
            time.sleep(wait)
        raise UpstreamFailed(f"{self._host} did not answer", hint="is the registry up?")

    def _send(self, method: str, url: str, headers: dict[str, str], content: Any) -> httpx.Response:
        """One request; redirects are followed by hand, so that credentials stay with their host."""
        with translated(f"{method} {url[:200]}"):
            if self._base.startswith("https:"):
                url = url.replace(f"http://{self._host}/", f"https://{self._host}/", 1)
            for _ in range(5):
                place = httpx.URL(url)
                sent = {**headers, **(self._token if self._is_mine(place) else {})}
                request = self._http.build_request(method, place, headers=sent, content=content)
                answer = self._sent(request)
                if not answer.has_redirect_location or method not in {"GET", "HEAD"}:
                    return answer
                answer.close()
                url = self._redirected(answer)
        raise UpstreamFailed(f"{self._host} redirects without end", hint=AGAIN)

    def _sent(self, request: httpx.Request) -> httpx.Response:
        """Of this machine plain HTTP is expected. A server with TLS hangs up on it: then TLS it is."""
        try:
            return self._http.send(request, stream=True)
        except (httpx.RemoteProtocolError, httpx.ReadError):
            answer = self._over_tls(request) if self._may_be_tls(request) else None
            if answer is None:
                raise
            return answer

    def _may_be_tls(self, request: httpx.Request) -> bool:
        plain = self._base.startswith("http:") and is_loopback(self._host) and not self._tried_tls
        return plain and request.method in {"GET", "HEAD"} and self._is_mine(request.url)

    def _over_tls(self, request: httpx.Request) -> httpx.Response | None:
        """The same by TLS, and so from here on; nothing when that is not spoken either."""
        self._tried_tls = True
        url = request.url.copy_with(scheme="https")
        limits = {"timeout": TLS_TIMEOUT.as_dict()}
        again = self._http.build_request(request.method, url, headers=request.headers, extensions=limits)
        try:
            answer = self._http.send(again, stream=True)
        except httpx.HTTPError as exc:
            why = exc.__cause__.args if exc.__cause__ else ()
            if not any(isinstance(one, ssl.SSLCertVerificationError) for one in why):
                return None
            self._begin_with("https")  # it speaks TLS, in a name that nobody vouches for
            raise
        self._begin_with("https")
        return answer

    def _begin_with(self, scheme: str) -> None:
        self._base = f"{scheme}://{self._base.partition('://')[2]}"
        self._home = httpx.URL(self._base)

    def _redirected(self, answer: httpx.Response) -> str:
        url = urljoin(str(answer.url), answer.headers["location"])
        scheme = httpx.URL(url).scheme
        if scheme != "https" and (scheme, answer.url.scheme) != ("http", "http"):
            raise UpstreamFailed(
                f"{self._host} redirects to {url[:100]!a}, which is not https",
                hint="whoever runs the registry has to set the address by which it is reached",
            )
        return url

    def _authenticate(self, refused: httpx.Response, *, push: bool, scoped: bool = True) -> None:
        challenges = parse_challenges(refused.headers.get("www-authenticate", ""))
        bearer = challenges.get("bearer", {})
        if not bearer.get("realm") and "basic" in challenges and self._credential is not None:
            basic = httpx.BasicAuth(self._credential.username, self._credential.secret)
            request = next(basic.auth_flow(httpx.Request("GET", self._base)))
            self._token = {"authorization": request.headers["authorization"]}
        elif "bearer" in challenges:
            actions = "pull,push" if push else "pull"
            scope = f"repository:{self._repository}:{actions}" if scoped else ""
            token = self._ask_token(bearer.get("realm", ""), bearer.get("service", ""), scope)
            self._token = {"authorization": f"Bearer {token}"}

    def _ask_token(self, realm: str, service: str, scope: str) -> str:
        what = f"log in at {realm[:100]!a}"
        with translated(what):
            self._check_realm(httpx.URL(realm))
            asked = {"service": service, **({"scope": scope} if scope else {})}
            answer = self._http.send(self._token_request(realm, asked), stream=True)
            with closing(answer):
                raise_for(answer, self._host, "log in")
                document = json_object(bounded(answer, MAX_TOKEN_BYTES), what)
        token = document.get("token") or document.get("access_token")
        if not isinstance(token, str):
            raise senseless(what, "it has no token")
        return token

    def _check_realm(self, realm: httpx.URL) -> None:
        """Where a registry may send us to log in: over https unless it speaks http itself, and with a
        credential only to its own site."""
        if realm.scheme != "https" and (realm.scheme, self._base[:5]) != ("http", "http:"):
            raise UpstreamFailed(
                f"{self._host} wants the login at {str(realm)[:100]!a}, which is not https",
                hint="whoever runs the registry has to set the realm of its tokens",
            )
        if self._credential is not None and not is_same_site(self._home.host, realm.host):
            raise Unauthorized(
                f"{self._host} wants its login sent to another host, {realm.host[:100]!a}: it was not sent",
                hint=f"trustgate logout {self._host} to go on without a login; or ask whoever runs it",
            )

    def _token_request(self, realm: str, asked: dict[str, str]) -> httpx.Request:
        credential = self._credential
        if credential is not None and credential.is_identity_token:
            form = {**asked, "grant_type": "refresh_token", "refresh_token": credential.secret}
            return self._http.build_request("POST", realm, data={**form, "client_id": "trustgate"})
        request = self._http.build_request("GET", realm, params=asked)
        if credential is not None:
            request = next(httpx.BasicAuth(credential.username, credential.secret).auth_flow(request))
        return request
