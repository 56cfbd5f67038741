"""A registry on a real loopback socket, callers with known rights, and content to push."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.conformance.server import Assembly
from trustgate.errors import Unauthorized
from trustgate.flows.access import ANONYMOUS, Actor
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.policy.document import PolicySet, load
from trustgate.policy.model import Caller
from trustgate.ports import Grant

REPOSITORY = "shop/web"
PUSHER, PULLER, ADMIN, STRANGER = "Basic pusher", "Basic puller", "Basic admin", "Basic stranger"
BEARER_PULLER = "Bearer shop/web:pull"
"""A token of ``pusher`` that holds pull on shop/web only."""
WAIT_S = 10.0


def actors(authorization: str | None) -> Actor:
    """Raises ``Unauthorized`` for anything but the callers above."""
    both: frozenset[Any] = frozenset({"pull", "push", "delete"})
    grants = (Grant("shop", both), Grant("other", both))
    known = {
        None: Actor(Caller(ANONYMOUS), public_projects=frozenset({"open"})),
        PUSHER: Actor(Caller("pusher"), grants=grants),
        PULLER: Actor(Caller("puller"), grants=(Grant("shop", frozenset({"pull"})),)),
        ADMIN: Actor(Caller("admin"), is_admin=True, may_list_catalog=True),
        STRANGER: Actor(Caller("stranger")),
        BEARER_PULLER: Actor(Caller("pusher"), grants=grants, scope={REPOSITORY: frozenset({"pull"})}),
        "Bearer shop/web:pull,push": Actor(
            Caller("pusher"), grants=grants, scope={REPOSITORY: frozenset({"pull", "push"})}
        ),
    }
    if authorization not in known:
        raise Unauthorized("wrong user name or password")
    return known[authorization]


def policies(pull: str = "allow", *, push: str = "allow", delete: str = "allow", more: str = "") -> PolicySet:
    """A root with these answers where no policy speaks, and perhaps a policy."""
    root = (
        "apiVersion: trustgate.dev/v1\nkind: Root\ndefaults:\n"
        f"  noMatch: {{pull: {pull}, push: {push}, delete: {delete}}}\n"
    )
    files = {"trustgate.yaml": root.encode()}
    if more:
        files["policies/one.yaml"] = more.encode()
    return load(files, revision="test")


WARN_UNSCANNED = """\
apiVersion: trustgate.dev/v1
kind: Policy
metadata: {name: scans}
mode: warn
scope: {actions: [pull], repositories: ["**"]}
rules:
  - id: known
    severity: {thresholds: [{severity: high}], onUnscanned: deny, onUnscannable: deny}
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, str]:
        """The one error of the document."""
        assert self.headers["content-type"] == "application/json"
        (only,) = json.loads(self.body)["errors"]
        assert set(only) == {"code", "message"}
        return dict(only)


@dataclass(frozen=True, slots=True)
class Wire:
    """A client that sends what it is told."""

    host: str
    inside: Assembly

    def ask(
        self,
        method: str,
        path: str,
        *,
        by: str | None = PUSHER,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection(self.host, timeout=WAIT_S)
        try:
            given = {**({"authorization": by} if by else {}), **(headers or {})}
            connection.request(method, path, body=body, headers=given)
            got = connection.getresponse()
            named = {name.lower(): value for name, value in got.getheaders()}
            return Answer(got.status, named, got.read())
        finally:
            connection.close()

    def raw(self, sent: bytes, *, end: bool = True) -> bytes:
        """Bytes out, all bytes back; ``end`` closes our half after them."""
        name, _, port = self.host.rpartition(":")
        with socket.create_connection((name, int(port)), timeout=WAIT_S) as wire:
            wire.sendall(sent)
            if end:
                wire.shutdown(socket.SHUT_WR)
            got = bytearray()
            while piece := wire.recv(65536):
                got += piece
        return bytes(got)

    def begin(self, repository: str = REPOSITORY) -> str:
        """A new upload's address."""
        answer = self.ask("POST", f"/v2/{repository}/blobs/uploads/")
        assert answer.status == 202
        return answer.headers["location"]

    def offset(self, upload: str) -> str:
        """Where the upload stands, as the server tells it."""
        answer = self.ask("GET", upload)
        assert answer.status == 204
        return answer.headers["range"]

    def blob(self, content: bytes, repository: str = REPOSITORY) -> Digest:
        digest = Digest.of(content)
        answer = self.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", body=content)
        assert answer.status == 201, answer.body
        return digest

    def image(self, tag: str, *, layer: bytes = b"layer", repository: str = REPOSITORY) -> Digest:
        """Push an image; the digest of its manifest."""
        config = b'{"architecture": "amd64", "os": "linux"}'
        self.blob(config, repository)
        self.blob(layer, repository)
        raw = manifest(config, layer)
        answer = self.put(tag, raw, repository=repository)
        assert answer.status == 201, answer.body
        return Digest.of(raw)

    def put(
        self, target: str, raw: bytes, *, kind: str = media.OCI_MANIFEST, repository: str = REPOSITORY
    ) -> Answer:
        headers = {"content-type": kind} if kind else {}
        return self.ask("PUT", f"/v2/{repository}/manifests/{target}", headers=headers, body=raw)


def descriptor(content: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": kind, "digest": Digest.of(content), "size": len(content)}


def manifest(config: bytes, *layers: bytes, **more: Any) -> bytes:
    """An image manifest's bytes."""
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": descriptor(config, media.OCI_CONFIG),
        "layers": [descriptor(layer, media.OCI_LAYER_TAR_GZIP) for layer in layers],
        **more,
    }
    return json.dumps(document).encode()
