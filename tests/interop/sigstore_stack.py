"""The real services of Sigstore, all of them, in a network namespace of their own.

PostgreSQL, Trillian, a CT log, Fulcio, a timestamp authority, Rekor 1 and 2, an OIDC issuer of static files,
and a registry. Nothing gets out of the namespace, and their fixed ports clash with nobody's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.clients.catalog import REQUIRE, require
from tests.interop.sigstore_keys import KEY_PASSWORD, write_keys

READY_TIMEOUT_S = 30
POSTGRES_USER = "postgres"
DATABASE = "trillian"

POSTGRES, TRILLIAN, SIGNER, CT, ISSUER, REGISTRY = 5432, 8090, 8092, 6962, 5556, 5000
FULCIO, TSA, REKOR_1, REKOR_2 = 5555, 3004, 3000, 3010
REKOR_2_NAME = "rekor2.stack.test"
"""The name in checkpoints, and the host of its address in the trusted root: verifiers compare them."""
REKOR_1_APIS = ",".join(
    (
        "getLogInfo",
        "getPublicKey",
        "getLogProof",
        "createLogEntry",
        "getLogEntryByIndex",
        "getLogEntryByUUID",
        "searchLogQuery",
    )
)
"""All but the search index, which alone would need Redis."""
LIFE = timedelta(minutes=30)
WORKFLOW = "shop/web/.github/workflows/release.yml@refs/heads/main"

FULCIO_CONFIG = f"""\
oidc-issuers:
  http://127.0.0.1:{ISSUER}/email:
    issuer-url: http://127.0.0.1:{ISSUER}/email
    client-id: sigstore
    type: email
  http://127.0.0.1:{ISSUER}/ci:
    issuer-url: http://127.0.0.1:{ISSUER}/ci
    client-id: sigstore
    type: ci-provider
    ci-provider: forge
ci-issuer-metadata:
  forge:
    default-template-values:
      url: "https://forge.test"
    extension-templates:
      source-repository-uri: "https://forge.test/{{{{.repository}}}}"
      source-repository-ref: "ref"
      build-trigger: "event_name"
    subject-alternative-name-template: "{{{{.url}}}}/{{{{.job_workflow_ref}}}}"
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token is for, as Fulcio's certificates name them."""

    subject: str
    issuer: str
    claims: Mapping[str, Any]


EMAIL = Identity(
    "alice@shop.test",
    f"http://127.0.0.1:{ISSUER}/email",
    {"sub": "1", "email": "alice@shop.test", "email_verified": True},
)
CI = Identity(
    f"https://forge.test/{WORKFLOW}",
    f"http://127.0.0.1:{ISSUER}/ci",
    {
        "sub": "repo:shop/web:ref:refs/heads/main",
        "job_workflow_ref": WORKFLOW,
        "repository": "shop/web",
        "ref": "refs/heads/main",
        "event_name": "push",
    },
)


class Namespace:
    """A network of its own, which ends with the process that holds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        hold = "ip link set lo up && echo up && exec sleep infinity"
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", hold], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._holder.stdout is not None
        with self._holder.stdout as said:
            up = said.readline() == b"up\n"
        if not up:
            self.close()
            unavailable("a network namespace can't be made here (it takes root)")

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()

    def command(self, command: Sequence[object]) -> list[str]:
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", "--", *map(str, command)]

    def run(
        self, *command: object, check: bool = True, user: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        settings = {"PATH": os.environ["PATH"], "HOME": str(home), "COSIGN_PASSWORD": "", **environment}
        done = subprocess.run(
            self.command(_as(user, command)),
            env=settings,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            words = " ".join(map(str, command))
            raise AssertionError(f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    @contextmanager
    def started(
        self,
        name: str,
        command: Sequence[object],
        ready: Sequence[object],
        *,
        user: str = "",
        essential: bool = False,
    ) -> Iterator[None]:
        """A service, from when the command ``ready`` succeeds; a failure where it is ``essential``."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command(_as(user, command)), stdout=output, stderr=output, cwd=self.folder
            )
        try:
            why = self._wait(process, ready, log)
            assert not (why and essential), why
            if why:
                unavailable(f"{name} did not start:\n{why}")
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _wait(self, process: subprocess.Popen[bytes], ready: Sequence[object], log: Path) -> str:
        """Empty when it is ready in time, else the end of its log."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while self.run(*ready, check=False).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                return log.read_text(errors="replace")[-3000:] or "without a word"
            time.sleep(0.05)
        return ""


def _as(user: str, command: Sequence[object]) -> list[object]:
    return ["runuser", "-u", user, "--", *command] if user else list(command)


def answers(url: str, word: str = "") -> list[object]:
    """A command that succeeds when ``url`` answers, with ``word`` in what it says."""
    script = (
        "import sys, urllib.request as r\n"
        "sys.exit(sys.argv[2] not in r.urlopen(sys.argv[1], timeout=2).read().decode('utf-8', 'replace'))"
    )
    return [sys.executable, "-c", script, url, word]


def unavailable(why: str) -> None:
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(why)
    pytest.skip(why)


@dataclass(frozen=True, slots=True)
class Stack:
    """All services running; commands run beside them."""

    net: Namespace
    folder: Path

    @property
    def registry(self) -> str:
        return f"127.0.0.1:{REGISTRY}"

    def token(self, who: Identity) -> str:
        now = datetime.now(UTC)
        times = {"iat": now, "nbf": now - timedelta(seconds=5), "exp": now + LIFE}
        claims = {"iss": who.issuer, "aud": "sigstore", **times, **who.claims}
        key = (self.folder / "issuer.pem").read_bytes()
        return jwt.encode(claims, key, "RS256", headers={"kid": "1"})

    def signing_config(self, rekor: int, *, tsa: bool) -> Path:
        path = self.folder / f"signing-{rekor}-{tsa}.json"
        start = "start-time=2020-01-01T00:00:00Z,operator=stack.test"
        log = REKOR_1 if rekor == 1 else REKOR_2
        stamps = [f"--tsa=url=http://127.0.0.1:{TSA}/api/v1/timestamp,api-version=1,{start}"] if tsa else []
        self.net.run(
            require("cosign").path,
            "signing-config",
            "create",
            f"--fulcio=url=http://127.0.0.1:{FULCIO},api-version=1,{start}",
            f"--oidc-provider=url=http://127.0.0.1:{ISSUER},api-version=1,{start}",
            f"--rekor=url=http://127.0.0.1:{log},api-version={rekor},{start}",
            "--rekor-config=ANY",
            *stamps,
            "--tsa-config=ANY",
            f"--out={path}",
        )
        return path

    def trusted_root(self) -> Path:
        path = self.folder / "trusted_root.json"
        start = "start-time=2020-01-01T00:00:00Z"
        at, name = self.folder, REKOR_2_NAME
        self.net.run(
            require("cosign").path,
            "trusted-root",
            "create",
            f"--fulcio=url=http://127.0.0.1:{FULCIO},certificate-chain={at / 'fulcio-chain.pem'},{start}",
            f"--ctfe=url=http://127.0.0.1:{CT}/ct,public-key={at / 'ct.pub'},{start}",
            f"--rekor=url=http://127.0.0.1:{REKOR_1},public-key={at / 'rekor1.pub'},{start}",
            f"--rekor=url=https://{REKOR_2_NAME},public-key={at / 'rekor2.pub'},{start},origin={name}",
            f"--tsa=url=http://127.0.0.1:{TSA},certificate-chain={at / 'tsa-chain.pem'},{start}",
            f"--out={path}",
        )
        return path


@contextmanager
def sigstore_stack(folder: Path) -> Iterator[Stack]:
    """Everything, started in order; skipped (or failed) where it can't be."""
    if os.geteuid() != 0:
        unavailable("the stack needs root, for a network namespace")
    programs = {
        name: require(name).path
        for name in (
            "trillian_log_server",
            "trillian_log_signer",
            "createtree",
            "ct_server",
            "fulcio",
            "timestamp-server",
            "rekor-server",
            "rekor-tiles",
            "registry",
        )
    }
    write_keys(folder)
    with ExitStack() as running:
        net = Namespace(folder)
        running.callback(net.close)
        for start in (_database, _trillian, _ct_log, _issuer, _fulcio, _tsa, _rekor_1, _rekor_2, _registry):
            start(net, programs, running)
        yield Stack(net, folder)


def _database(net: Namespace, _programs: Mapping[str, Path], running: ExitStack) -> None:
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not binaries:
        unavailable("PostgreSQL is not installed: run 'make clients'")
    # its user must be able to walk there
    data = Path(tempfile.mkdtemp(prefix="tg-postgres-", dir="/tmp"))
    running.callback(shutil.rmtree, data, ignore_errors=True)
    shutil.chown(data, POSTGRES_USER)
    initdb = [binaries[-1] / "initdb", "-D", data, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]
    net.run(*initdb, user=POSTGRES_USER)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": POSTGRES,
        "unix_socket_directories": "",
        "fsync": "off",
    }
    options = [f"-c{name}={value}" for name, value in settings.items()]
    sql = ["psql", "-h", "127.0.0.1", "-U", POSTGRES_USER, "-v", "ON_ERROR_STOP=1", "-q"]
    ready = [*sql, "-c", "select 1"]
    server = [binaries[-1] / "postgres", "-D", data, *options]
    running.enter_context(net.started("postgres", server, ready, user=POSTGRES_USER))
    net.run(*sql, "-c", f"create database {DATABASE}")
    net.run(*sql, "-d", DATABASE, "-f", _schema())


def _schema() -> Path:
    """Trillian's tables, out of the module that its programs were built from."""
    module = Path(__file__).resolve().parents[1] / "clients" / "trillian"
    done = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/trillian"],
        cwd=module,
        capture_output=True,
        text=True,
        check=False,
    )
    path = Path(done.stdout.strip()) / "storage" / "postgresql" / "schema" / "storage.sql"
    if done.returncode or not path.exists():
        unavailable(f"Trillian's schema is not in the module cache: {done.stderr[-300:]}")
    return path


def _trillian(net: Namespace, programs: Mapping[str, Path], running: ExitStack) -> None:
    uri = f"postgresql:///{DATABASE}?host=127.0.0.1&port={POSTGRES}&user={POSTGRES_USER}&sslmode=disable"
    storage = ["--storage_system=postgresql", "--quota_system=noop", f"--postgresql_uri={uri}"]
    for name, port, more in (
        ("trillian_log_server", TRILLIAN, []),
        ("trillian_log_signer", SIGNER, ["--force_master", "--sequencer_interval=100ms", "--batch_size=50"]),
    ):
        endpoints = [f"--rpc_endpoint=127.0.0.1:{port}", f"--http_endpoint=127.0.0.1:{port + 1}"]
        ready = answers(f"http://127.0.0.1:{port + 1}/healthz")
        running.enter_context(net.started(name, [programs[name], *storage, *endpoints, *more], ready))


def _tree(net: Namespace, programs: Mapping[str, Path]) -> str:
    made = net.run(programs["createtree"], f"--admin_server=127.0.0.1:{TRILLIAN}")
    return made.stdout.strip()


def _ct_log(net: Namespace, programs: Mapping[str, Path], running: ExitStack) -> None:
    def escaped(name: str) -> str:
        return "".join(f"\\x{byte:02x}" for byte in (net.folder / name).read_bytes())

    config = net.folder / "ct.cfg"
    config.write_text(
        "config {\n"
        f"  log_id: {_tree(net, programs)}\n"
        '  prefix: "ct"\n'
        f'  roots_pem_file: "{net.folder / "fulcio-root.pem"}"\n'
        f'  public_key: {{ der: "{escaped("ct.pub.der")}" }}\n'
        f'  private_key: {{ [type.googleapis.com/keyspb.PrivateKey] {{ der: "{escaped("ct.der")}" }} }}\n'
        "  max_merge_delay_sec: 86400\n"
        "}\n"
    )
    command = [
        programs["ct_server"],
        f"--log_config={config}",
        f"--log_rpc_server=127.0.0.1:{TRILLIAN}",
        f"--http_endpoint=127.0.0.1:{CT}",
    ]
    ready = answers(f"http://127.0.0.1:{CT}/ct/ct/v1/get-sth")
    running.enter_context(net.started("ct_server", command, ready))


def _issuer(net: Namespace, _programs: Mapping[str, Path], running: ExitStack) -> None:
    """Two issuers as static files: that is all that Fulcio asks for."""
    site = net.folder / "site"
    for name in ("email", "ci"):
        (site / name / ".well-known").mkdir(parents=True)
        issuer = f"http://127.0.0.1:{ISSUER}/{name}"
        discovery = {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/keys",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        (site / name / ".well-known" / "openid-configuration").write_text(json.dumps(discovery))
        shutil.copy(net.folder / "issuer.jwks", site / name / "keys")
    command = [sys.executable, "-m", "http.server", ISSUER, "--bind", "127.0.0.1", "--directory", site]
    running.enter_context(net.started("issuer", command, answers(f"http://127.0.0.1:{ISSUER}/ci/keys")))


def _fulcio(net: Namespace, programs: Mapping[str, Path], running: ExitStack) -> None:
    """Ready when it lists both issuers: one that was not up is only logged, and refused later."""
    (net.folder / "fulcio.yaml").write_text(FULCIO_CONFIG)
    socket = Path(tempfile.mkdtemp(prefix="tg-fulcio-", dir="/tmp"))
    running.callback(shutil.rmtree, socket, ignore_errors=True)
    command = [
        programs["fulcio"],
        "serve",
        "--host=127.0.0.1",
        f"--port={FULCIO}",
        "--grpc-host=127.0.0.1",
        f"--grpc-port={FULCIO - 1}",
        f"--metrics-port={FULCIO - 2}",
        "--ca=fileca",
        f"--fileca-cert={net.folder / 'fulcio-chain.pem'}",
        f"--fileca-key={net.folder / 'fulcio.key'}",
        f"--fileca-key-passwd={KEY_PASSWORD}",
        "--fileca-watch=false",
        f"--ct-log-url=http://127.0.0.1:{CT}/ct",
        f"--ct-log-public-key-path={net.folder / 'ct.pub'}",
        f"--config-path={net.folder / 'fulcio.yaml'}",
        f"--legacy-unix-domain-socket={socket / 'socket'}",
    ]
    ready = answers(f"http://127.0.0.1:{FULCIO}/api/v2/configuration", f"{ISSUER}/ci")
    running.enter_context(net.started("fulcio", command, ready))


def _tsa(net: Namespace, programs: Mapping[str, Path], running: ExitStack) -> None:
    """Before Rekor 1: both want port 2112 for their metrics, and this one ends without it."""
    command = [
        programs["timestamp-server"],
        "serve",
        "--host=127.0.0.1",
        f"--port={TSA}",
        "--timestamp-signer=file",
        f"--file-signer-key-path={net.folder / 'tsa.key'}",
        f"--file-signer-passwd={KEY_PASSWORD}",
        f"--certificate-chain-path={net.folder / 'tsa-chain.pem'}",
        "--disable-ntp-monitoring",
    ]
    ready = answers(f"http://127.0.0.1:{TSA}/api/v1/timestamp/certchain")
    running.enter_context(net.started("timestamp-server", command, ready))


def _rekor_1(net: Namespace, programs: Mapping[str, Path], running: ExitStack) -> None:
    command = [
        programs["rekor-server"],
        "serve",
        "--rekor_server.address=127.0.0.1",
        f"--port={REKOR_1}",
        "--trillian_log_server.address=127.0.0.1",
        f"--trillian_log_server.port={TRILLIAN}",
        f"--trillian_log_server.tlog_id={_tree(net, programs)}",
        f"--rekor_server.signer={net.folder / 'rekor1.key'}",
        "--rekor_server.hostname=rekor1.stack.test",
        f"--enabled_api_endpoints={REKOR_1_APIS}",
    ]
    running.enter_context(
        net.started("rekor-server", command, answers(f"http://127.0.0.1:{REKOR_1}/api/v1/log"))
    )


def _rekor_2(net: Namespace, programs: Mapping[str, Path], running: ExitStack) -> None:
    (net.folder / "tiles").mkdir()
    command = [
        programs["rekor-tiles"],
        "serve",
        f"--storage-dir={net.folder / 'tiles'}",
        f"--signer-filepath={net.folder / 'rekor2.key'}",
        f"--hostname={REKOR_2_NAME}",
        "--http-address=127.0.0.1",
        f"--http-port={REKOR_2}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={REKOR_2 + 1}",
        f"--http-metrics-port={REKOR_2 + 2}",
        "--checkpoint-interval=1s",
        "--batch-max-age=100ms",
    ]
    running.enter_context(net.started("rekor-tiles", command, answers(f"http://127.0.0.1:{REKOR_2}/healthz")))


def _registry(net: Namespace, programs: Mapping[str, Path], running: ExitStack) -> None:
    config = net.folder / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {net.folder / 'registry'}}}}}\n"
        f"http: {{addr: '127.0.0.1:{REGISTRY}'}}\n"
    )
    command = [programs["registry"], "serve", config]
    running.enter_context(net.started("registry", command, answers(f"http://127.0.0.1:{REGISTRY}/v2/")))
