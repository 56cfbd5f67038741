"""An OCI registry on loopback that keeps everything in memory and can be broken, answer by answer.

``registry.rig("GET .*/blobs/", drip())`` replaces the answers to what matches; each answer is given once,
the last one stays. Everything that was asked is in ``registry.seen``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from trustgate.oci import media
from trustgate.oci.digest import Digest


@dataclass(frozen=True)
class Answer:
    """What goes over the wire; ``length`` is what ``Content-Length`` says, if that is not the truth."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""
    length: int | None = None
    more: tuple[tuple[str, str], ...] = ()
    """Headers that come more than once."""


@dataclass(frozen=True)
class Seen:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


class Loopback:
    """A server on loopback whose answers a test can replace; a subclass says what it answers by itself."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.closing = Event()
        self._rigged: list[tuple[re.Pattern[str], list[Answer]]] = []
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def rig(self, pattern: str, *answers: Answer) -> None:
        """``pattern`` is searched in ``METHOD /path?query``; the last rule that fits counts."""
        self._rigged.insert(0, (re.compile(pattern), list(answers)))

    def mend(self) -> None:
        """Take every rule back."""
        self._rigged.clear()

    def asked(self, pattern: str) -> list[Seen]:
        return [seen for seen in self.seen if re.search(pattern, seen.line)]

    def answer(self, seen: Seen) -> Answer:
        for pattern, answers in self._rigged:
            if pattern.search(seen.line):
                return answers.pop(0) if len(answers) > 1 else answers[0]
        return self.respond(seen)

    def respond(self, seen: Seen) -> Answer:
        raise NotImplementedError


class SimulatedRegistry(Loopback):
    """The parts of the distribution specification that the client speaks."""

    def __init__(self, *, password: str = "", referrers_api: bool = True, page: int = 1000) -> None:
        super().__init__()
        self.password = password
        """``alice`` has it; without one, everybody may do everything."""
        self.referrers_api = referrers_api
        self.page = page
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[bytes, str]] = {}
        self.tags: dict[str, str] = {}

    def add(self, raw: bytes, media_type: str, tag: str = "") -> Digest:
        """Keep a manifest, as a push does."""
        digest = Digest.of(raw)
        self.manifests[digest] = (raw, media_type)
        if tag:
            self.tags[tag] = digest
        return digest

    def respond(self, seen: Seen) -> Answer:
        parts = urlsplit(seen.path)
        if parts.path == "/token":
            return self._token(seen)
        if self.password and seen.authorization != f"Bearer {self.password}-token":
            realm = f"http://{self.host}/token"
            return challenge(f'Bearer realm="{realm}",service="simulator",scope="x"')
        return self._content(seen, parts.path, parse_qs(parts.query))

    def _token(self, seen: Seen) -> Answer:
        form = parse_qs(seen.body.decode())
        if seen.authorization == basic("alice", self.password) or form.get("refresh_token") == [
            self.password
        ]:
            return as_json({"token": f"{self.password}-token"})
        return error(401, "UNAUTHORIZED", "who are you?")

    def _content(self, seen: Seen, path: str, query: Mapping[str, list[str]]) -> Answer:
        if path == "/v2/":
            return as_json({})
        kind, _, name = path.removeprefix("/v2/shop/web/").partition("/")
        if seen.method in {"GET", "HEAD"}:
            return self._read(kind, name, int(query.get("after", ["0"])[0]))
        return self._write(seen, kind, name, query)

    def _read(self, kind: str, name: str, after: int) -> Answer:
        if kind == "manifests" and (found := self.manifests.get(self.tags.get(name, name))):
            return Answer(
                200, {"Content-Type": found[1], "Docker-Content-Digest": Digest.of(found[0])}, found[0]
            )
        if kind == "blobs" and name in self.blobs:
            return Answer(200, {"Content-Type": "application/octet-stream"}, self.blobs[name])
        if kind == "tags":
            return self._paged(sorted(self.tags), after, "tags/list", lambda items: {"tags": items})
        if kind == "referrers" and self.referrers_api:
            items = [one for one in self._descriptors() if one.pop("subject") == name]
            page = self._paged(items, after, f"referrers/{name}", index)
            return replace(page, headers={**page.headers, "Content-Type": media.OCI_INDEX})
        return error(404, "UNKNOWN", f"no {kind[:20]} {name[:80]}")

    def _descriptors(self) -> Iterator[dict[str, Any]]:
        for digest, (raw, media_type) in self.manifests.items():
            subject = json.loads(raw).get("subject") or {}
            entry = {"mediaType": media_type, "digest": digest, "size": len(raw)}
            yield entry | {"subject": subject.get("digest")}

    def _paged(self, items: list[Any], after: int, path: str, shape: Any) -> Answer:
        rest = items[after + self.page :]
        link = {"Link": f'</v2/shop/web/{path}?after={after + self.page}>; rel="next"'} if rest else {}
        return as_json(shape(items[after : after + self.page]), headers=link)

    def _write(self, seen: Seen, kind: str, name: str, query: Mapping[str, list[str]]) -> Answer:
        if kind == "blobs" and seen.method == "POST":
            return Answer(202, {"Location": "/v2/shop/web/blobs/uploads/1?state=a"})
        if kind == "blobs":
            digest = query.get("digest", [""])[0]
            if Digest.of(seen.body) != digest:
                return error(400, "DIGEST_INVALID", "other bytes")
            self.blobs[digest] = seen.body
            return Answer(201)
        return self._put_manifest(seen, name)

    def _put_manifest(self, seen: Seen, name: str) -> Answer:
        media_type = seen.headers.get("content-type", "")
        if ":" not in name:
            self.add(seen.body, media_type, name)
        elif Digest.of(seen.body, Digest(name).algorithm) != name:
            return error(400, "DIGEST_INVALID", "other bytes")
        else:
            self.manifests[name] = (seen.body, media_type)
        return Answer(201)


# --- answers ---------------------------------------------------------------------------------------


def as_json(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(
        status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(document).encode()
    )


def index(items: list[Any]) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": items}


def error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    return as_json({"errors": [{"code": code, "message": message}]}, status, headers)


def challenge(*texts: str) -> Answer:
    return Answer(401, more=tuple(("WWW-Authenticate", text) for text in texts))


def redirect(url: str, status: int = 307) -> Answer:
    return Answer(status, {"Location": url})


def endless(piece: bytes = bytes(65536)) -> Answer:
    def forever() -> Iterator[bytes]:
        while True:
            yield piece

    return Answer(body=forever())


def drip(closing: Event, every_s: float = 0.02) -> Answer:
    """A byte at a time, for ever."""

    def slowly() -> Iterator[bytes]:
        while not closing.wait(every_s):
            yield b" "

    return Answer(body=slowly())


def silence(closing: Event) -> Answer:
    """Headers, and then nothing."""
    return Answer(body=(b"" for _ in iter(lambda: closing.wait(5), True)), length=10)


def basic(name: str, password: str) -> str:
    from base64 import b64encode

    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


# --- the wire --------------------------------------------------------------------------------------


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up on answers like these: that is what they are for."""


def _handler_of(server: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_words: Any) -> None:
            """Silent."""

        def _serve(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.seen.append(Seen(self.command, self.path, headers, body))
            self._send(server.answer(server.seen[-1]))

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in (*answer.headers.items(), *answer.more):
                self.send_header(name, value)
            whole = isinstance(answer.body, bytes) and answer.length is None
            self.close_connection = not whole
            length = len(answer.body) if isinstance(answer.body, bytes) and whole else answer.length
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.send_header("Connection", "keep-alive" if whole else "close")
            self.end_headers()
            if self.command != "HEAD":
                for piece in [answer.body] if isinstance(answer.body, bytes) else answer.body:
                    self.wfile.write(piece)
                    self.wfile.flush()

        do_GET = do_HEAD = do_POST = do_PUT = _serve  # noqa: N815 - the names that http.server calls

    return Handler
