"""Manifests, blobs, tags, referrers, catalog: words to flows, and values to headers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar
from urllib.parse import urlencode

from trustgate.api.blob_body import send_blob
from trustgate.api.exchange import Exchange
from trustgate.api.hot import PROOF, Proof
from trustgate.api.paths import Route
from trustgate.errors import InvalidInput, ManifestUnknown, NameUnknown
from trustgate.flows.admit import Admission
from trustgate.flows.pull import PullFlow
from trustgate.flows.push import PushFlow
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import MAX_MANIFEST_BYTES
from trustgate.oci.names import RepositoryName, Tag, tag_or_digest
from trustgate.policy.model import Verdict, VerdictKind

T = TypeVar("T")

MAX_PAGE = 10_000
"""Names in one page of tags or repositories, whatever ``n`` asks for."""
JSON = ("content-type", "application/json")
NO_STORE = ("cache-control", "no-store")


class Content:
    """Handlers; each is called with a repository that the actor has the permission for."""

    def __init__(self, pull: PullFlow, push: PushFlow, pool: Executor) -> None:
        self._pull = pull
        self._push = push
        self._pool = pool

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def manifest(self, exchange: Exchange, found: Route) -> None:
        """GET and HEAD are one walk."""
        name = _repository(found)
        target = _target(found.rest)
        served = await self._call(
            lambda: self._pull.manifest(name, target, exchange.actor, head=exchange.is_head)
        )
        stored = served.manifest
        headers = [
            ("content-type", stored.media_type),
            ("docker-content-digest", str(stored.digest)),
            ("etag", f'"{stored.digest}"'),
            NO_STORE,
            *_warning(served.admission),
        ]
        if _matches(exchange.header("if-none-match"), stored.digest):
            await exchange.reply(304, headers)
            return
        if served.admission is not None:
            _leave_proof(exchange, served.admission.verdict)
        await exchange.reply(200, headers, stored.raw)

    async def put_manifest(self, exchange: Exchange, found: Route) -> None:
        name = _repository(found)
        target = tag_or_digest(found.rest)
        tags = tuple(Tag(text) for text in exchange.all_asked("tag"))
        raw = await exchange.whole_body(MAX_MANIFEST_BYTES)
        content_type = exchange.header("content-type")
        pushed = await self._call(
            lambda: self._push.manifest(
                name, target, raw, exchange.actor, content_type=content_type, tags=tags
            )
        )
        manifest = pushed.manifest
        headers = [
            ("location", f"/v2/{name}/manifests/{target}"),
            ("docker-content-digest", str(manifest.digest)),
            *(("oci-tag", tag) for tag in tags),
            *(header for admission in pushed.admissions for header in _warning(admission)),
        ]
        if manifest.subject is not None:
            headers.append(("oci-subject", str(manifest.subject.digest)))
        await exchange.reply(201, headers)

    async def delete_manifest(self, exchange: Exchange, found: Route) -> None:
        name, target = _repository(found), tag_or_digest(found.rest)
        await self._call(lambda: self._push.delete_manifest(name, target, exchange.actor))
        await exchange.reply(202)

    async def blob(self, exchange: Exchange, found: Route) -> None:
        """GET and HEAD are one walk."""
        name, digest = _repository(found), Digest(found.rest)
        served = await self._call(
            lambda: self._pull.blob(name, digest, exchange.actor, head=exchange.is_head)
        )
        if served.judged:
            _leave_proof(exchange, served.verdict)
        await send_blob(exchange, served, self._pool)

    async def delete_blob(self, exchange: Exchange, found: Route) -> None:
        name, digest = _repository(found), Digest(found.rest)
        await self._call(lambda: self._push.delete_blob(name, digest, exchange.actor))
        await exchange.reply(202)

    async def tags(self, exchange: Exchange, found: Route) -> None:
        name = _repository(found)
        limit, after = _page(exchange)
        tags = await self._call(lambda: self._pull.tags(name, after=after, limit=limit + 1))
        body = json.dumps({"name": name, "tags": tags[:limit]}).encode()
        await exchange.reply(200, [JSON, *_next(f"/v2/{name}/tags/list", tags, limit)], body)

    async def catalog(self, exchange: Exchange, _found: Route) -> None:
        limit, after = _page(exchange)
        names = await self._call(lambda: self._pull.repositories(after=after, limit=limit + 1))
        body = json.dumps({"repositories": names[:limit]}).encode()
        await exchange.reply(200, [JSON, *_next("/v2/_catalog", names, limit)], body)

    async def referrers(self, exchange: Exchange, found: Route) -> None:
        name, subject = _repository(found), Digest(found.rest)
        wanted = (exchange.asked("artifactType") or "").replace(" ", "+")  # some send "+json" as it is
        after = exchange.asked("last") or ""
        page = await self._call(
            lambda: self._pull.referrers(name, subject, exchange.actor, artifact_type=wanted, after=after)
        )
        document = {
            "schemaVersion": 2,
            "mediaType": media.OCI_INDEX,
            "manifests": [descriptor.as_json() for descriptor in page.descriptors],
        }
        headers = [("content-type", media.OCI_INDEX), NO_STORE]
        if wanted:
            headers.append(("oci-filters-applied", "artifactType"))
        if page.next_after:
            fields = {"last": page.next_after, **({"artifactType": wanted} if wanted else {})}
            headers.append(("link", f'</v2/{name}/referrers/{subject}?{urlencode(fields)}>; rel="next"'))
        if page.withheld:
            text = f"{page.withheld} referrers are withheld by policy; trustgate why REF says why"
            headers.append(("warning", f'299 - "{text}"'))
        await exchange.reply(200, headers, json.dumps(document).encode())


def _repository(found: Route) -> RepositoryName:
    if found.repository is None:
        raise NameUnknown("the path names no repository")
    return found.repository


def _target(text: str) -> Tag | Digest:
    """What a pull asks for. A tag that can't exist is one that does not exist."""
    if ":" in text:
        return Digest(text)
    try:
        return Tag(text)
    except InvalidInput as exc:
        raise ManifestUnknown(f"{text[:80]!a} is not a tag, so nothing has that name") from exc


def _matches(condition: str, digest: Digest) -> bool:
    return any(part.strip().removeprefix("W/") in {f'"{digest}"', "*"} for part in condition.split(","))


def _warning(admission: Admission | None) -> list[tuple[str, str]]:
    """Warn mode: the header of the specification, and where the decision stands."""
    if admission is None or not admission.warning:
        return []
    headers = [("warning", f'299 - "{admission.warning}"')]
    if admission.decision:
        headers.append(("trustgate-decision", admission.decision))
        headers.append(("link", f'<{admission.link}>; rel="describedby"'))
    return headers


def _leave_proof(exchange: Exchange, verdict: Verdict | None) -> None:
    """Tell the fast path that this very answer may be given again, and what it rests on."""
    proofs = exchange.scope.get(PROOF)
    if proofs is None:
        return
    if verdict is None or (verdict.kind is VerdictKind.ALLOW and verdict.cacheable):
        proofs.append(Proof(verdict, exchange.actor.valid_until))


def _page(exchange: Exchange) -> tuple[int, str]:
    asked = exchange.asked("n")
    if asked is None:
        return MAX_PAGE, exchange.asked("last") or ""
    if not asked.isascii() or not asked.isdigit() or len(asked) > 9:
        raise InvalidInput(f"n is {asked[:20]!a}, expected a number")
    return min(int(asked), MAX_PAGE), exchange.asked("last") or ""


def _next(path: str, names: tuple[str, ...], limit: int) -> list[tuple[str, str]]:
    """RFC 8288, as the specification's paging wants it: only when there is more."""
    if len(names) <= limit or limit == 0:
        return []
    return [("link", f'<{path}?n={limit}&last={names[limit - 1]}>; rel="next"')]
