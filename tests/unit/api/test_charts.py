"""The classic chart repository over a real socket: what is written there is what helm push makes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import openpgp_world as pgp
from tests.conformance.server import Assembly, assemble, serving
from tests.unit.api.registry.rig import ADMIN, PULLER, PUSHER, STRANGER, Answer, Wire, actors, policies
from trustgate.api import charts as face
from trustgate.api.app import create_site
from trustgate.api.charts import charts_router
from trustgate.errors import Conflict, StorageUnavailable, TooManyAttempts
from trustgate.evidence.helm.chart import read_chart
from trustgate.evidence.helm.packaging import chart_artifact
from trustgate.flows import chart_index
from trustgate.flows.access import Actor
from trustgate.flows.charts import ChartFlow
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.wiring.clock import SystemClock

KEY = pgp.pgp_key("ed25519")
PACKAGE = pgp.package()
PROVENANCE = pgp.clear_signed(pgp.provenance_body(PACKAGE), KEY).encode()
WEB, TAG = RepositoryName("shop/web"), Tag("1.2.3")
THROTTLED = "Basic throttled"
REFUSE_UNSIGNED = """\
apiVersion: trustgate.dev/v1
kind: Policy
metadata: {name: scans}
mode: enforce
scope: {actions: [pull], repositories: ["shop/**"]}
rules:
  - id: never
    severity: {thresholds: [{severity: high}], onUnscanned: deny, onUnscannable: deny}
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """A chart repository, and the registry behind it."""

    wire: Wire
    flow: ChartFlow

    @property
    def inside(self) -> Assembly:
        return self.wire.inside

    def get(self, path: str, by: str | None = PULLER, method: str = "GET") -> Answer:
        return self.wire.ask(method, path, by=by)

    def post(self, path: str, *, by: str | None = PUSHER, **files: bytes) -> Answer:
        body = b"".join(
            f'--B\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'.encode()
            + content
            + b"\r\n"
            for name, content in files.items()
        )
        headers = {"content-type": "multipart/form-data; boundary=B"}
        return self.wire.ask("POST", path, by=by, headers=headers, body=body + b"--B--\r\n")

    def upload(self, package: bytes = PACKAGE, project: str = "shop", **more: Any) -> Answer:
        return self.post(f"/api/charts/{project}/charts", chart=package, **more)

    def entries(self, project: str = "shop", by: str | None = PULLER) -> dict[str, Any]:
        answer = self.get(f"/charts/{project}/index.yaml", by)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/yaml")
        found: dict[str, Any] = json.loads(answer.body)["entries"]
        return found


def _actors(authorization: str | None) -> Actor:
    if authorization == THROTTLED:
        raise TooManyAttempts("too many", retry_after_s=7)
    return actors(authorization)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    with ExitStack() as stack:

        def open_one(policy: Any = None) -> Shop:
            chosen = policy or policies()
            inside = assemble(tmp_path, actors=_actors, policies=lambda: chosen)
            stack.callback(inside.store.close)
            pool = stack.enter_context(ThreadPoolExecutor(4))
            flow = ChartFlow(
                manifests=inside.store.manifests,
                blobs=inside.store.blobs,
                blob_store=inside.store.blob_store,
                push=inside.push,
                pull=inside.pull,
                clock=SystemClock(),
            )

            async def call(work: Callable[[], Any]) -> Any:
                return await asyncio.get_running_loop().run_in_executor(pool, work)

            async def authenticate(authorization: str | None, _source: str) -> Actor:
                return _actors(authorization)

            router = charts_router(flow, authenticate, SystemClock(), call)
            site = create_site([router], on_start=lambda: None, on_stop=lambda: None)
            host = stack.enter_context(serving(site))
            return Shop(Wire(host, inside), flow)

        yield open_one


@pytest.fixture
def shop(opened: Callable[..., Shop]) -> Shop:
    return opened()


def test_a_chart_goes_in_by_one_door_and_out_by_both(shop: Shop) -> None:
    answer = shop.upload(prov=PROVENANCE)
    assert (answer.status, json.loads(answer.body)["version"]) == (201, "1.2.3")
    stored = shop.inside.store.manifests.find(WEB, TAG)
    assert stored is not None
    manifest = parse_manifest(stored.raw)
    assert {layer.digest for layer in manifest.layers} == {Digest.of(PACKAGE), Digest.of(PROVENANCE)}
    assert manifest.config is not None
    assert manifest.config.media_type == "application/vnd.cncf.helm.config.v1+json"
    package = shop.get("/charts/shop/web-1.2.3.tgz")
    assert (package.status, package.body, package.headers["cache-control"]) == (200, PACKAGE, "no-store")
    assert shop.get("/charts/shop/web-1.2.3.tgz.prov").body == PROVENANCE
    head = shop.get("/charts/shop/web-1.2.3.tgz", method="HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(PACKAGE)))


def test_the_index(shop: Shop) -> None:
    assert shop.entries() == {}
    for version in ("1.2.3", "1.10.0", "2.0.0-rc.1+build.5"):
        shop.upload(pgp.package(chart=pgp.CHART_YAML.replace("1.2.3", version)))
    (web,) = shop.entries().values()
    assert {entry["version"] for entry in web} == {"1.2.3", "1.10.0", "2.0.0-rc.1+build.5"}
    newest = next(entry for entry in web if "build" in entry["version"])
    assert newest["urls"] == ["web/web-2.0.0-rc.1+build.5.tgz"]
    assert newest["description"] == "a chart"
    assert shop.get(f"/charts/shop/{newest['urls'][0]}").status == 200
    stored = shop.inside.store.manifests.find(WEB, Tag("2.0.0-rc.1_build.5"))
    assert stored is not None
    assert newest["digest"] in stored.raw.decode()
    assert shop.entries() == {"web": web}  # the second time out of memory
    shop.inside.push.delete_manifest(WEB, Tag("1.10.0"), actors(ADMIN))
    assert len(shop.entries()["web"]) == 2


def test_the_index_holds_charts_by_their_own_names_only(shop: Shop) -> None:
    shop.upload()
    stored = shop.inside.store.manifests.find(WEB, TAG)
    assert stored is not None
    for tag in ("latest", "9.9.9"):
        shop.inside.push.manifest(WEB, Tag(tag), stored.raw, actors(PUSHER), content_type=media.OCI_MANIFEST)
    assert [entry["version"] for entry in shop.entries()["web"]] == ["1.2.3"]
    assert shop.get("/charts/shop/web-9.9.9.tgz").status == 404
    assert shop.entries("other", PUSHER) == {}


def test_who_may_do_what(shop: Shop) -> None:
    assert shop.upload().status == 201
    for path in ("/charts/shop/index.yaml", "/charts/shop/web-1.2.3.tgz"):
        anonymous = shop.get(path, None)
        assert (anonymous.status, anonymous.headers["www-authenticate"]) == (401, 'Basic realm="trustgate"')
    assert shop.get("/charts/shop/web-1.2.3.tgz", STRANGER).status == 404
    assert shop.entries("shop", STRANGER) == {}
    assert shop.get("/charts/shop/index.yaml", "Basic nobody").status == 401
    throttled = shop.get("/charts/shop/index.yaml", THROTTLED)
    assert (throttled.status, throttled.headers["retry-after"]) == (429, "7")
    assert shop.upload(by=PULLER).status == 403
    assert shop.upload(by=None).status == 401
    assert shop.upload(project="open", by=ADMIN).status == 201
    assert set(shop.entries("open", None)) == {"web"}
    assert shop.get("/charts/open/web-1.2.3.tgz", None).status == 200


def test_the_body_of_one_who_may_not_push_is_not_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: object) -> Any:
        raise AssertionError

    monkeypatch.setattr(face, "_parts", never)
    for path in ("/api/charts/shop/charts", "/api/charts/shop/prov"):
        assert [shop.post(path, by=who, chart=PACKAGE).status for who in (PULLER, STRANGER, None)] == [
            403,
            403,
            401,
        ]


def test_files_that_are_not_there(shop: Shop) -> None:
    shop.upload()
    for name in (
        "web-1.2.4.tgz",
        "db-1.2.3.tgz",
        "web-1.2.3.zip",
        "web.tgz",
        "-1.2.3.tgz",
        "WEB-1.2.3.tgz",
        "a" * 500 + ".tgz",
        "web-1.2.3.tgz.prov",
    ):
        answer = shop.get(f"/charts/shop/{name}")
        assert (answer.status, "there is no" in json.loads(answer.body)["error"]) == (404, True), name


def test_the_routes_stand_in_the_description_of_the_api(shop: Shop) -> None:
    answer = shop.get("/api/v1/openapi.json")
    assert answer.status == 200
    paths = json.loads(answer.body)["paths"]
    assert set(paths["/charts/{project}/{file_name}"]) == {"get"}
    assert set(paths["/api/charts/{project}/prov"]) == {"post"}
    assert shop.get("/charts/shop/index.yaml", method="HEAD").status == 200


def named(name: str, version: str) -> bytes:
    text = f"apiVersion: v2\nname: {name}\nversion: {version!r}\n"
    return pgp.package({f"{name}/Chart.yaml": text})


def test_names_and_versions_with_dashes(shop: Shop) -> None:
    for name, version in (("web-app-2", "1.0.0"), ("web", "1.0.0-app-2")):
        package = named(name, version)
        assert shop.upload(package).status == 201
        assert shop.get(f"/charts/shop/{name}-{version}.tgz").body == package
        assert shop.get(f"/charts/shop/{name}/{name}-{version}.tgz").body == package
    for path in (
        "web-app/web-app-2-1.0.0.tgz",
        "web/web-app-2-1.0.0.tgz",
        "none/web-1.0.0-app-2.tgz",
        "web/x",
    ):
        assert shop.get(f"/charts/shop/{path}").status == 404


FILE = "web-1.0.0-1.tgz"
"""Of ``web`` in version 1.0.0-1, and of ``web-1.0.0`` in version 1."""


def test_a_file_name_of_two_charts_is_of_neither(opened: Callable[..., Shop]) -> None:
    """Else who may push one chart would be served for another, past the rules for that one."""
    shop = opened(policies(more=REFUSE_UNSIGNED.replace('"shop/**"', '"shop/web"')))
    ours, theirs = named("web", "1.0.0-1"), named("web-1.0.0", "1")
    assert shop.upload(ours).status == 201
    assert shop.get(f"/charts/shop/{FILE}").status == 403
    assert shop.upload(theirs).status == 201
    refused = shop.get(f"/charts/shop/{FILE}")
    assert (refused.status, "index.yaml has the address" in refused.body.decode()) == (404, True)
    assert shop.get(f"/charts/shop/web/{FILE}").status == 403
    assert shop.get(f"/charts/shop/web-1.0.0/{FILE}").body == theirs
    for name, entries in shop.entries().items():
        assert entries[0]["urls"] == [f"{name}/{FILE}"]


def test_a_chart_under_another_name_is_not_served(shop: Shop) -> None:
    """Over OCI anybody who may push ``web-1.0.0`` could put a chart there that calls itself ``web``."""
    package = named("web", "1.0.0-1")
    artifact = chart_artifact(package, read_chart(package), None, created=SystemClock().now())
    place, push = RepositoryName("shop/web-1.0.0"), shop.inside.push
    for digest, content in artifact.blobs.items():
        upload = push.begin(place, actors(PUSHER))
        with push.chunk(place, upload.id, start=0) as session:
            session.write(content)
        push.finish(place, upload.id, digest)
    push.manifest(place, Tag("1"), artifact.manifest, actors(PUSHER), content_type=media.OCI_MANIFEST)
    assert shop.entries() == {}
    for path in (FILE, f"web-1.0.0/{FILE}", f"web/{FILE}"):
        assert shop.get(f"/charts/shop/{path}").status == 404


def test_a_chart_that_may_not_be_pulled_makes_a_name_ambiguous_too(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = named("web", "1.0.0-1")
    shop.upload(ours)
    shop.upload(named("web-1.0.0", "1"))
    may = Actor.may
    monkeypatch.setattr(
        Actor, "may", lambda self, what, where: where != "shop/web-1.0.0" and may(self, what, where)
    )
    assert shop.get(f"/charts/shop/{FILE}").status == 404
    assert shop.get(f"/charts/shop/web-1.0.0/{FILE}").status == 404
    assert shop.get(f"/charts/shop/web/{FILE}").body == ours


def test_what_is_there_is_not_replaced_unless_it_is_asked_for(shop: Shop) -> None:
    assert shop.upload().status == 201
    again = shop.upload()
    assert (again.status, "already exists" in json.loads(again.body)["error"]) == (409, True)
    other = pgp.package(chart=pgp.CHART_YAML.replace("a chart", "another"))
    assert shop.post("/api/charts/shop/charts?force", chart=other).status == 201
    assert shop.get("/charts/shop/web-1.2.3.tgz").body == other


def test_a_provenance_that_comes_later(shop: Shop) -> None:
    assert shop.post("/api/charts/shop/prov", prov=PROVENANCE).status == 404
    shop.upload()
    before = shop.inside.store.manifests.find(WEB, TAG)
    assert shop.post("/api/charts/shop/prov", prov=PROVENANCE).status == 201
    after = shop.inside.store.manifests.find(WEB, TAG)
    assert before is not None
    assert after is not None
    assert before.digest != after.digest
    assert parse_manifest(before.raw).annotations == parse_manifest(after.raw).annotations
    assert shop.get("/charts/shop/web-1.2.3.tgz.prov").body == PROVENANCE
    assert shop.post("/api/charts/shop/prov", prov=PROVENANCE).status == 201  # the same once more
    again = shop.inside.store.manifests.find(WEB, TAG)
    assert again is not None
    assert again.digest == after.digest
    other = pgp.clear_signed(pgp.provenance_body(PACKAGE), pgp.pgp_key("ed25519", "other")).encode()
    assert shop.post("/api/charts/shop/prov", prov=other).status == 409
    assert shop.post("/api/charts/shop/prov?force", prov=other).status == 201
    assert shop.get("/charts/shop/web-1.2.3.tgz.prov").body == other
    raw = shop.wire.ask("POST", "/api/charts/shop/prov?force", body=PROVENANCE)
    assert raw.status == 201
    assert shop.post("/api/charts/shop/prov", by=PULLER, prov=PROVENANCE).status == 403


def test_a_provenance_of_another_chart_is_refused(shop: Shop) -> None:
    shop.upload()
    for body in (
        pgp.provenance_body(b"other"),
        pgp.provenance_body(PACKAGE, metadata=pgp.CHART_YAML.replace("a chart", "x")),
        pgp.provenance_body(PACKAGE, name="db-1.2.3.tgz"),
    ):
        wrong = pgp.clear_signed(body, KEY).encode()
        answer = shop.post("/api/charts/shop/prov", prov=wrong)
        assert (answer.status, "the provenance is refused" in json.loads(answer.body)["error"]) == (400, True)
        assert shop.post("/api/charts/shop/charts?force", chart=PACKAGE, prov=wrong).status == 400
    assert shop.post("/api/charts/shop/prov", prov=b"EVIL\n" + PROVENANCE).status == 400


def test_a_tag_that_moves_meanwhile_is_looked_at_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.upload()
    other = pgp.package(chart=pgp.CHART_YAML.replace("a chart", "another"))
    store = shop.flow._store
    calls: list[int] = []

    def once(*arguments: Any, **more: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            shop.flow.upload("shop", other, None, actors(PUSHER), force=True)
        store(*arguments, **more)

    monkeypatch.setattr(shop.flow, "_store", once)
    answer = shop.post("/api/charts/shop/prov", prov=PROVENANCE)
    assert answer.status == 400  # the chart that is there now is another one
    assert shop.get("/charts/shop/web-1.2.3.tgz").body == other

    def never(*_: Any, **__: Any) -> None:
        raise Conflict("moved")

    monkeypatch.setattr(shop.flow, "_store", never)
    own = pgp.clear_signed(
        pgp.provenance_body(other, metadata=pgp.CHART_YAML.replace("a chart", "another")), KEY
    ).encode()
    assert shop.post("/api/charts/shop/prov", prov=own).status == 409


def test_uploads_that_are_refused(shop: Shop) -> None:
    files: dict[str, bytes]
    for files, why in (
        ({"chart": b"no chart"}, "not a tar archive"),
        ({"prov": PROVENANCE}, "no field 'chart'"),
        ({"chart": pgp.package(chart="name: Web\nversion: 1.2.3\n")}, "is not a repository name"),
    ):
        answer = shop.post("/api/charts/shop/charts", **files)
        assert (answer.status, why in json.loads(answer.body)["error"]) == (400, True), why


def test_bodies_that_can_not_be_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"content-type": "multipart/form-data; boundary=B"}
    for body in (b"junk", b"--B\r\n\r\n"):
        answer = shop.wire.ask("POST", "/api/charts/shop/charts", headers=headers, body=body)
        assert answer.status == 400, body
    part = b'--B\r\nContent-Disposition: form-data; name="chart"; filename="f"\r\n\r\nx\r\n'
    twice = shop.wire.ask("POST", "/api/charts/shop/charts", headers=headers, body=part * 2 + b"--B--\r\n")
    assert (twice.status, "twice" in json.loads(twice.body)["error"]) == (400, True)
    for charset in ("idna", "undefined", "no-such", "zlib_codec", "punycode"):
        odd = {"content-type": f"multipart/form-data; boundary=B; charset={charset}"}
        named = part.replace(b"chart", b"xn--\xff") + b"--B--\r\n"
        assert shop.wire.ask("POST", "/api/charts/shop/charts", headers=odd, body=named).status == 400, (
            charset
        )
    many = shop.wire.ask("POST", "/api/charts/shop/charts", headers=headers, body=part * 9 + b"--B--\r\n")
    assert many.status == 400
    assert shop.post("/api/charts/shop/prov", chart=PROVENANCE).status == 400
    assert shop.wire.ask("POST", "/api/charts/shop/charts", body=PACKAGE).status == 201
    monkeypatch.setattr(face, "MAX_UPLOAD_BYTES", 100)
    assert shop.upload().status == 413
    assert shop.wire.ask("POST", "/api/charts/shop/charts", body=b"x" * 101).status == 413
    monkeypatch.setattr(face, "WHOLE_BODY_S", 0.05)
    dripping = b"POST /api/charts/shop/charts HTTP/1.1\r\nHost: a\r\nAuthorization: Basic pusher\r\n"
    got = shop.wire.raw(dripping + b"Connection: close\r\nContent-Length: 10\r\n\r\nx", end=False)
    assert got.startswith(b"HTTP/1.1 400")


def test_what_the_gate_refuses_is_refused_here(opened: Callable[..., Shop]) -> None:
    shop = opened(policies(more=REFUSE_UNSIGNED))
    assert shop.upload(prov=PROVENANCE).status == 201
    for name in ("web-1.2.3.tgz", "web-1.2.3.tgz.prov"):
        for method in ("GET", "HEAD"):
            answer = shop.get(f"/charts/shop/{name}", method=method)
            assert answer.status == 403
            assert answer.headers["trustgate-decision"]
            assert answer.headers["cache-control"] == "no-store"
    assert "scans/never" in json.loads(shop.get("/charts/shop/web-1.2.3.tgz").body)["error"]
    assert set(shop.entries()) == {"web"}  # listed, so that helm says why, and takes no older one


def test_what_the_gate_warns_of_comes_with_a_warning(opened: Callable[..., Shop]) -> None:
    shop = opened(policies(more=REFUSE_UNSIGNED.replace("enforce", "warn")))
    shop.upload()
    answer = shop.get("/charts/shop/web-1.2.3.tgz")
    assert (answer.status, answer.headers["warning"][:5]) == (200, "299 -")
    assert answer.headers["trustgate-decision"]


def test_what_policy_refuses_to_take_is_not_taken(opened: Callable[..., Shop]) -> None:
    shop = opened(policies(push="deny"))
    answer = shop.upload()
    assert (answer.status, "trustgate-decision" in answer.headers) == (403, True)
    assert shop.inside.store.manifests.find(WEB, TAG) is None


def test_a_store_that_is_down_is_told_to_the_log_only(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(*_: Any, **__: Any) -> None:
        raise StorageUnavailable("the disk under /secret is gone")

    monkeypatch.setattr(shop.flow, "index", down)
    answer = shop.get("/charts/shop/index.yaml")
    assert (answer.status, json.loads(answer.body)) == (503, {"error": "the server could not do this now"})
    assert "the disk under /secret is gone" in caplog.text


def forget(shop: Shop) -> None:
    shop.flow._index._kept.clear()
    shop.flow._index._weight = 0


def test_what_the_index_keeps_is_weighed_when_it_comes_and_goes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not with each other repository that is kept."""
    shop.upload(PACKAGE)
    (entry,) = shop.flow._index.of("shop", actors(PUSHER))
    weighed: list[object] = []
    weight = chart_index._weight

    def counted(entries: tuple[chart_index.IndexEntry, ...]) -> int:
        weighed.append(entries)
        return weight(entries)

    monkeypatch.setattr(chart_index, "_weight", counted)
    forget(shop)
    for number in range(20):
        shop.flow._index._keep(RepositoryName(f"shop/r{number}"), 1, (entry,))
    assert len(weighed) == 20
    for revision in range(20):
        shop.flow._index._keep(RepositoryName("shop/r0"), revision, (entry,))
    assert shop.flow._index._weight == 20 * weight((entry,)), "what is replaced is not weighed twice"


def test_limits_of_the_index(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        shop.upload(pgp.package(chart=f"name: {name}\nversion: 1.0.0\n"))
    monkeypatch.setattr(chart_index, "MAX_INDEX_CHARTS", 2)
    assert shop.get("/charts/shop/index.yaml").status == 405
    monkeypatch.setattr(chart_index, "MAX_INDEX_REPOSITORIES", 2)
    answer = shop.get("/charts/shop/index.yaml")
    assert "oci://HOST/shop/CHART" in json.loads(answer.body)["error"]
    monkeypatch.setattr(chart_index, "MAX_KEPT_BYTES", chart_index.ENTRY_BYTES * 2 - 1)
    monkeypatch.setattr(chart_index, "MAX_INDEX_CHARTS", 9)
    monkeypatch.setattr(chart_index, "MAX_INDEX_REPOSITORIES", 9)
    forget(shop)
    assert set(shop.entries()) == {"a", "b", "c"}
    assert len(shop.flow._index._kept) == 1
    monkeypatch.setattr(chart_index, "MAX_INDEX_BYTES", 10)
    forget(shop)
    assert shop.get("/charts/shop/index.yaml").status == 405


def test_broken_charts_are_neither_listed_nor_served(shop: Shop) -> None:
    config = b'{"name": ["web"]}'
    push = shop.inside.push
    for content in (config, PACKAGE):
        upload = push.begin(WEB, actors(PUSHER))
        with push.chunk(WEB, upload.id, start=0) as session:
            session.write(content)
        push.finish(WEB, upload.id, Digest.of(content))
    layer = {"digest": Digest.of(PACKAGE), "size": len(PACKAGE)}
    document = {
        "schemaVersion": 2,
        "config": {
            "mediaType": "application/vnd.cncf.helm.config.v1+json",
            "digest": Digest.of(config),
            "size": len(config),
        },
        "layers": [{"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", **layer}],
    }
    raw = json.dumps(document).encode()
    push.manifest(WEB, TAG, raw, actors(PUSHER), content_type=media.OCI_MANIFEST)
    assert shop.entries() == {}
    assert shop.get("/charts/shop/web-1.2.3.tgz").status == 404
    assert shop.post("/api/charts/shop/prov", prov=PROVENANCE).status == 404
