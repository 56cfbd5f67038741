"""Docker Content Trust over TLS: the real ``notary`` and ``docker trust`` against our server, unchanged."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import ssl
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.clients.catalog import require
from tests.interop.daemons import DockerDaemon
from tests.interop.world import ROOT, Server, check_golden, run, start_server
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.model import Outcome, Subject
from trustgate.evidence.notary.judge import MetadataSet, judge_notary
from trustgate.evidence.notary.trust import notary_trust
from trustgate.oci.digest import Digest
from trustgate.policy.document import load

pytestmark = pytest.mark.interop

POLICY = """\
apiVersion: trustgate.dev/v1
kind: Root
defaults:
  noMatch: {pull: allow, push: allow, delete: allow}
"""
_BLOCK = re.compile(r"^```(console|yaml)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGE_HOST = "registry.example.com"
PASSPHRASES = {
    "NOTARY_ROOT_PASSPHRASE": "root-passphrase",
    "NOTARY_TARGETS_PASSPHRASE": "targets-passphrase",
    "NOTARY_SNAPSHOT_PASSPHRASE": "snapshot-passphrase",
    "NOTARY_DELEGATION_PASSPHRASE": "delegation-passphrase",
    "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE": "root-passphrase",
    "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "repository-passphrase",
}


class TrustWorld:
    """A server with TLS, and what clients need to be one of its accounts."""

    def __init__(self, server: Server, folder: Path, ca: Path) -> None:
        self.server = server
        self.folder = folder
        self.ca = ca
        self.secrets = {"admin": ("admin", server.admin_password)}

    @property
    def host(self) -> str:
        return self.server.host

    def account(self, name: str, grants: str) -> None:
        made = self.run("admin", "trustgate", "robot", "create", name, "--grant", f"shop={grants}")
        self.secrets[name] = (f"robot${name}", made.stdout.strip())

    def basic(self, who: str) -> str:
        return base64.b64encode(":".join(self.secrets[who]).encode()).decode()

    def run(self, who: str, *command: object, check: bool = True, **extra: str):
        """Run a client as ``who``, with its own home, credentials and the test's CA."""
        home = self.folder / f"home-{who}"
        config = home / ".docker"
        trusted = config / "tls" / self.host
        if not trusted.exists():
            trusted.mkdir(parents=True)
            (trusted / "ca.crt").write_bytes(self.ca.read_bytes())
            auths = {self.host: {"auth": self.basic(who)}}
            (config / "config.json").write_text(json.dumps({"auths": auths}))
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "DOCKER_CONFIG": str(config),
            "SSL_CERT_FILE": str(self.ca),
            "TRUSTGATE_SERVER": self.server.url,
            "NOTARY_AUTH": self.basic(who),
            **PASSPHRASES,
            **extra,
        }
        words = [str(part) for part in command]
        if words[0] == "trustgate":
            import sys

            words = [sys.executable, "-m", *words]
        return run(words, environment, self.folder, check=check)

    def notary(self, who: str, folder: str, *arguments: object, check: bool = True) -> str:
        """notary 0.7 with its trust directory; what it printed."""
        program = require("notary").path
        done = self.run(
            who,
            program,
            "-s",
            self.server.url,
            "--tlscacert",
            self.ca,
            "-d",
            self.folder / folder,
            *arguments,
            check=check,
        )
        return done.stdout + done.stderr

    def get(self, path: str, who: str = "admin", method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        request = urllib.request.Request(f"{self.server.url}{path}", method=method)
        if who:
            request.add_header("authorization", f"Basic {self.basic(who)}")
        try:
            with urllib.request.urlopen(
                request, context=ssl.create_default_context(cafile=self.ca), timeout=10
            ) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, {k.lower(): v for k, v in exc.headers.items()}, exc.read()


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrustWorld]:
    folder = tmp_path_factory.mktemp("trust")
    ca = _certificates(folder)
    (folder / "policy").mkdir()
    (folder / "policy" / "trustgate.yaml").write_text(POLICY)
    server = start_server(
        folder / "data",
        "--policy",
        f"dir:{folder / 'policy'}",
        "--tls-cert",
        str(folder / "tls.crt"),
        "--tls-key",
        str(folder / "tls.key"),
        ca=ca,
    )
    made = TrustWorld(server, folder, ca)
    made.account("ci", "pull,push,delete")
    made.account("dev", "pull,push")
    made.account("prod", "pull")
    yield made
    server.stop()


@pytest.fixture(scope="module")
def daemon(trust: TrustWorld) -> Iterator[DockerDaemon]:
    client, program = require("docker"), require("dockerd")
    with DockerDaemon(trust.folder / "docker", client.path, program.path) as running:
        yield running


def _certificates(folder: Path) -> Path:
    """A CA and a certificate of it for this machine."""
    now = datetime.now(UTC)

    def issue(
        name: str, key: ec.EllipticCurvePrivateKey, issuer: str, by: ec.EllipticCurvePrivateKey
    ) -> bytes:
        is_ca = name == issuer
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if not is_ca:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    (folder / "ca.crt").write_bytes(issue("test CA", ca_key, "test CA", ca_key))
    (folder / "tls.crt").write_bytes(issue("localhost", key, "test CA", ca_key))
    (folder / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "ca.crt"


def _root_key_id(trust: TrustWorld, gun: str) -> str:
    _status, _headers, raw = trust.get(f"/v2/{gun}/_trust/tuf/root.json")
    return str(json.loads(raw)["signed"]["roles"]["root"]["keyids"][0])


def _metadata(trust: TrustWorld, gun: str) -> MetadataSet:
    """Everything that is published, as the gate reads it."""

    def read(name: str) -> bytes:
        status, _headers, raw = trust.get(f"/v2/{gun}/_trust/tuf/{name}.json")
        assert status == 200, raw
        return raw

    newest = json.loads(read("root"))["signed"]["version"]
    snapshot = read("snapshot")
    listed = json.loads(snapshot)["signed"]["meta"]
    return MetadataSet(
        roots=tuple(read(f"{version}.root") for version in range(1, newest + 1)),
        timestamp=read("timestamp"),
        snapshot=snapshot,
        targets={role: read(role) for role in listed if role != "root"},
    )


def test_notary_publishes_rotates_delegates_and_a_fresh_client_follows(trust: TrustWorld) -> None:
    gun = f"{trust.host}/shop/collection"
    (trust.folder / "file").write_text("hello\n")
    trust.notary("ci", "first", "init", "-p", gun)
    first_root = _root_key_id(trust, gun)
    trust.notary("ci", "first", "add", "-p", gun, "v1", "file")
    assert "v1" in trust.notary("prod", "reader", "list", gun)
    # rotations: both server-held keys, then the targets' and the root's; the old reader walks along
    for role in ("snapshot", "timestamp"):
        assert "Successfully rotated" in trust.notary("ci", "first", "key", "rotate", gun, role, "-r")
    trust.notary("ci", "first", "key", "rotate", gun, "targets")
    trust.run("ci", "sh", "-c", f"yes yes | {_words(trust, 'first', 'key', 'rotate', gun, 'root')}")
    assert _root_key_id(trust, gun) != first_root
    assert "v1" in trust.notary("prod", "reader", "list", gun)
    # the snapshot comes home to the client, and goes back
    trust.notary("ci", "first", "key", "rotate", gun, "snapshot")
    trust.notary("ci", "first", "add", "-p", gun, "v2", "file")
    trust.notary("ci", "first", "key", "rotate", gun, "snapshot", "-r")
    # a delegation
    _delegation_key(trust.folder)
    trust.notary(
        "ci", "first", "delegation", "add", "-p", gun, "targets/releases", "alice.crt", "--all-paths"
    )
    trust.notary("ci", "first", "key", "import", "alice.key", "--role", "targets/releases")
    trust.notary("ci", "first", "add", "-p", gun, "v3", "file", "-r", "targets/releases")
    fresh = trust.notary("prod", "fresh", "list", gun)
    assert all(tag in fresh for tag in ("v1", "v2", "v3"))
    assert "targets/releases" in fresh
    # what the client sees, our judge sees, from the first root key on and from the newest
    content = b"hello\n"
    for root_key in (first_root, _root_key_id(trust, gun)):
        attestor = Attestor("release", notary_trust(root_key_ids=[root_key]))
        fact = judge_notary(
            _metadata(trust, gun),
            gun=gun,
            tag="v3",
            subject=Subject(Digest.of(content), "", len(content)),
            attestors=[attestor],
            now=datetime.now(UTC),
            seen={},
        )
        assert fact.outcome is Outcome.VERIFIED, fact.reason
    # delegations are taken back
    trust.notary("ci", "first", "delegation", "remove", "-p", "-y", gun, "targets/releases")
    assert "v3" not in trust.notary("prod", "fresh2", "list", gun)
    # and given again
    trust.notary(
        "ci", "first", "delegation", "add", "-p", gun, "targets/releases", "alice.crt", "--all-paths"
    )
    trust.notary("ci", "first", "add", "-p", gun, "v4", "file", "-r", "targets/releases")
    assert "v4" in trust.notary("prod", "fresh2", "list", gun)


def _words(trust: TrustWorld, folder: str, *arguments: str) -> str:
    program = require("notary").path
    given = (
        program,
        "-s",
        trust.server.url,
        "--tlscacert",
        trust.ca,
        "-d",
        trust.folder / folder,
        *arguments,
    )
    return " ".join(map(str, given))


def _delegation_key(folder: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "30", "-subj", "/CN=alice", "-keyout", "alice.key", "-out", "alice.crt"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def test_who_may_not_is_told_so_and_nothing_is_stored(trust: TrustWorld) -> None:
    gun = f"{trust.host}/shop/guarded"
    refused = trust.notary("prod", "reader-writes", "init", "-p", gun, check=False)
    assert "not authorized" in refused
    trust.notary("dev", "writer", "init", "-p", gun)
    # rotation of a key on the server, and deletion, ask for everything
    rotated = trust.notary("dev", "writer", "key", "rotate", gun, "timestamp", "-r", check=False)
    assert "Successfully rotated" not in rotated
    assert trust.get(f"/v2/{gun}/_trust/tuf/", "dev", "DELETE")[0] == 403
    foreign = trust.notary("dev", "foreign", "init", "-p", "elsewhere.example/shop/web", check=False)
    assert "Successfully published" not in foreign
    status, _headers, body = trust.get("/v2/elsewhere.example/shop/web/_trust/tuf/root.json")
    assert (status, json.loads(body)["errors"][0]["code"]) == (400, "INVALID_GUN")


def test_deleted_trust_data_does_not_come_back(trust: TrustWorld) -> None:
    gun = f"{trust.host}/shop/short-lived"
    trust.notary("ci", "short", "init", "-p", gun)
    trust.notary("ci", "short", "delete", "--remote", gun)
    assert trust.get(f"/v2/{gun}/_trust/tuf/root.json")[0] == 404
    # a new repository of the same name is another one, with another certificate
    trust.notary("ci", "short", "init", "-p", gun)
    feed = json.loads(trust.get(f"/v2/{gun}/_trust/changefeed?records=10")[2])
    assert [record["Category"] for record in feed["records"]] == ["update", "deletion", "update"]


def _dockers() -> list[str]:
    """Debian's client, and another one that was put beside it."""
    return [path for path in ("/usr/bin/docker", "/usr/local/bin/docker") if Path(path).exists()] or [""]


@pytest.mark.parametrize("client", _dockers())
def test_docker_signs_pushes_pulls_and_revokes(
    trust: TrustWorld, daemon: DockerDaemon, tmp_path: Path, client: str
) -> None:
    def docker(who: str, *arguments: object, check: bool = True, trusting: bool = False) -> str:
        switch = {"DOCKER_CONTENT_TRUST": "1"} if trusting else {}
        done = trust.run(
            who, client or daemon.client, *arguments, check=check, DOCKER_HOST=daemon.host, **switch
        )
        return done.stdout + done.stderr

    repository = f"shop/signed-{'local' if 'local' in client else 'debian'}"
    name = f"{trust.host}/{repository}"
    image = tmp_path / "root.tar"
    (tmp_path / "hello").write_text("hello\n")
    with tarfile.open(image, "w") as archive:
        archive.add(tmp_path / "hello", "hello")
    docker("ci", "import", image, f"{name}:1")
    docker("ci", "tag", f"{name}:1", f"{name}:2")
    docker("ci", "tag", f"{name}:1", f"{name}:unsigned")
    docker("ci", "push", f"{name}:unsigned")
    # sign: a delegation key, a signer, a signature
    docker("ci", "trust", "key", "generate", "alice", "--dir", tmp_path)
    docker("ci", "trust", "signer", "add", "alice", name, "--key", tmp_path / "alice.pub")
    docker("ci", "trust", "sign", f"{name}:1")
    assert "1" in docker("prod", "trust", "inspect", "--pretty", name)
    assert "alice" in docker("prod", "trust", "inspect", "--pretty", name)
    # push with the switch on signs by itself
    assert "Successfully signed" in docker("ci", "push", f"{name}:2", trusting=True)
    for tag in ("1", "2"):
        docker("prod", "rmi", "-f", f"{name}:{tag}")
        pulled = docker("prod", "pull", f"{name}:{tag}", trusting=True)
        assert f"Tagging {name}@sha256:" in pulled
    refused = docker("prod", "pull", f"{name}:unsigned", check=False, trusting=True)
    assert "No valid trust data for unsigned" in refused
    # what docker takes for signed, we do; and nothing else
    tags = {tag: _head(trust, repository, tag) for tag in ("1", "2", "unsigned")}
    shown = json.loads(docker("ci", "trust", "inspect", name))[0]["AdministrativeKeys"]
    (pin,) = (key["ID"] for role in shown if role["Name"] == "Root" for key in role["Keys"])
    attestor = Attestor("release", notary_trust(root_key_ids=[pin]))
    for tag, subject in tags.items():
        fact = judge_notary(
            _metadata(trust, name),
            gun=name,
            tag=tag,
            subject=subject,
            attestors=[attestor],
            now=datetime.now(UTC),
            seen={},
        )
        assert (fact.outcome is Outcome.VERIFIED) == (tag != "unsigned"), fact.reason
    # revoke
    docker("ci", "trust", "revoke", "--yes", f"{name}:1")
    assert "No valid trust data for 1" in docker("prod", "pull", f"{name}:1", check=False, trusting=True)
    # asked and answered: with --force, docker 28.2.2 says nothing and removes nothing
    program = client or daemon.client
    remove = f"yes | {program} trust signer remove alice {name}"
    removed = trust.run("ci", "sh", "-c", remove, DOCKER_HOST=daemon.host).stdout
    assert "alice" not in docker("prod", "trust", "inspect", "--pretty", name), removed
    # and back again: versions go on where they were
    docker("ci", "trust", "signer", "add", "alice", name, "--key", tmp_path / "alice.pub")
    docker("ci", "trust", "sign", f"{name}:1")
    assert f"Tagging {name}@sha256:" in docker("prod", "pull", f"{name}:1", trusting=True)


SIGNERS = """\
apiVersion: trustgate.dev/v1
kind: TrustStore
attestors:
  known: {{type: notary-v1, rootKeyIds: [{pin}]}}
---
apiVersion: trustgate.dev/v1
kind: Policy
metadata: {{name: closed}}
mode: enforce
scope: {{actions: [push], repositories: ["shop/closed-*"]}}
rules:
  - id: signers
    signers: {{{rule}: [known]}}
"""


def test_who_must_not_publish_is_told_so_by_docker_and_notary(
    trust: TrustWorld, daemon: DockerDaemon, tmp_path: Path
) -> None:
    def rule(word: str, pin: str = "0" * 64) -> None:
        (trust.folder / "policy" / "trust").mkdir(exist_ok=True)
        (trust.folder / "policy" / "policies").mkdir(exist_ok=True)
        store, _, policy = SIGNERS.format(pin=pin, rule=word).partition("---\n")
        (trust.folder / "policy" / "trust" / "known.yaml").write_text(store)
        (trust.folder / "policy" / "policies" / "closed.yaml").write_text(policy)
        trust.run("admin", "trustgate", "policy", "reload")

    gun = f"{trust.host}/shop/closed-{tmp_path.name}".lower()
    (trust.folder / "file").write_text("hello\n")
    rule("only")
    refused = trust.notary("ci", "closed", "init", "-p", gun, check=False)
    assert "only known may sign here" in refused
    assert "/d/" in refused
    assert trust.get(f"/v2/{gun}/_trust/tuf/root.json")[0] == 404
    rule("deny")
    trust.notary("ci", "closed", "publish", gun)
    pin = _root_key_id(trust, gun)
    rule("deny", pin)
    add = ("add", "-p", gun, "v1", "file")
    refused = trust.notary("ci", "closed", *add, check=False)
    assert "signed by known, who must not sign here" in refused
    assert "v1" not in trust.notary("prod", "closed-reader", "list", gun)
    rule("only", pin)
    trust.notary("ci", "closed", "publish", gun)
    assert "v1" in trust.notary("prod", "closed-reader", "list", gun)
    # docker prints what notary's library makes of it
    image, name = tmp_path / "root.tar", f"{gun}-docker:1"
    with tarfile.open(image, "w") as archive:
        archive.add(trust.folder / "file", "file")
    trust.run("ci", daemon.client, "import", image, name, DOCKER_HOST=daemon.host)
    switch = {"DOCKER_HOST": daemon.host, "DOCKER_CONTENT_TRUST": "1"}
    signed = trust.run("ci", daemon.client, "push", name, check=False, **switch)
    assert signed.returncode != 0
    told = signed.stderr.replace(tmp_path.name.lower(), "NAME")
    check_golden("docker-signed-push-refused", told, trust.host)
    assert trust.get(f"/v2/{gun}-docker/_trust/tuf/root.json")[0] == 404


@pytest.mark.parametrize("client", _dockers())
def test_a_tag_that_is_signed_here_docker_and_notary_accept(
    trust: TrustWorld, daemon: DockerDaemon, tmp_path: Path, client: str
) -> None:
    """docker makes the repository, its signer and the signer's key; tags are signed here and by docker."""

    def docker(*arguments: object, check: bool = True, trusting: bool = False) -> str:
        switch = {"DOCKER_CONTENT_TRUST": "1"} if trusting else {}
        environment = {"DOCKER_HOST": daemon.host, **switch}
        done = trust.run("ci", client or daemon.client, *arguments, check=check, **environment)
        return done.stdout + done.stderr

    carol = f"carol-{'local' if 'local' in client else 'debian'}"
    repository = f"shop/tags-of-{carol}"
    name = f"{trust.host}/{repository}"
    (tmp_path / "hello").write_text("hello\n")
    with tarfile.open(tmp_path / "root.tar", "w") as archive:
        archive.add(tmp_path / "hello", "hello")
    docker("import", tmp_path / "root.tar", f"{name}:theirs")
    docker("tag", f"{name}:theirs", f"{name}:ours")
    docker("push", f"{name}:ours")
    docker("trust", "key", "generate", carol, "--dir", tmp_path)
    docker("trust", "signer", "add", carol, name, "--key", tmp_path / f"{carol}.pub")
    docker("trust", "sign", f"{name}:theirs")
    assert "No valid trust data for ours" in docker("pull", f"{name}:ours", check=False, trusting=True)

    pin = json.loads(docker("trust", "inspect", name))[0]["AdministrativeKeys"]
    (root_key,) = (key["ID"] for role in pin if role["Name"] == "Root" for key in role["Keys"])
    asked = ("verify", "--policy", f"dir:{_policy_of(tmp_path / 'policy', root_key)}", "-o", "json")
    assert trust.run("ci", "trustgate", *asked, f"{name}:theirs").returncode == 0
    assert trust.run("ci", "trustgate", *asked, f"{name}:ours", check=False).returncode == 1
    by_carol = ("--key", _key_file_of(trust, carol), "--role", f"targets/{carol}", "--root-key", root_key)
    trust.run("ci", "trustgate", "sign", "--notary-v1", *by_carol, f"{name}:ours")
    for tag in ("theirs", "ours"):
        said = json.loads(trust.run("ci", "trustgate", *asked, f"{name}:{tag}").stdout)
        assert [one["outcome"] for one in said["candidates"]] == ["verified"]
    listed = trust.notary("prod", f"listing-{carol}", "list", name)
    assert {"ours", "theirs"} <= {line.split()[0] for line in listed.splitlines() if line.split()}
    shown = json.loads(docker("trust", "inspect", name))[0]["SignedTags"]
    assert {one["SignedTag"]: one["Signers"] for one in shown} == {"ours": [carol], "theirs": [carol]}
    for tag in ("ours", "theirs"):
        docker("rmi", "-f", f"{name}:{tag}")
        assert f"Tagging {name}@sha256:" in docker("pull", f"{name}:{tag}", trusting=True)
    # and docker goes on where we were
    docker("tag", f"{name}:ours", f"{name}:later")
    docker("trust", "sign", f"{name}:later")
    assert f"Tagging {name}@sha256:" in docker("pull", f"{name}:ours", trusting=True)


def _key_file_of(trust: TrustWorld, name: str) -> Path:
    """As docker keeps it: encrypted, with a header that says whose it is."""
    private = trust.folder / "home-ci" / ".docker" / "trust" / "private"
    (path,) = (path for path in private.iterdir() if f"role: {name}\n".encode() in path.read_bytes())
    return path


def _policy_of(folder: Path, root_key: str) -> Path:
    """What is pulled is signed in trust data under this root."""
    head = "apiVersion: trustgate.dev/v1\n"
    for name, text in {
        "trustgate.yaml": POLICY,
        "trust/dct.yaml": f"{head}kind: TrustStore\nattestors:\n"
        f'  dct: {{type: notary-v1, rootKeyIds: ["{root_key}"]}}\n',
        "policies/signed.yaml": f"{head}kind: Policy\nmetadata: {{name: prod}}\nmode: enforce\n"
        'scope: {repositories: ["shop/**"]}\n'
        "rules: [{id: signed, contentTrust: {require: {attestor: dct}}}]\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def _head(trust: TrustWorld, repository: str, tag: str) -> Subject:
    status, headers, raw = trust.get(f"/v2/{repository}/manifests/{tag}")
    assert status == 200
    return Subject(Digest(headers["docker-content-digest"]), headers["content-type"], len(raw))


def test_the_page_says_what_works(trust: TrustWorld, daemon: DockerDaemon, tmp_path: Path) -> None:
    """``docs/how-to/docker-trust.md`` typed as it stands; its policy, with the id that it says to take."""
    page = (ROOT / "docs" / "how-to" / "docker-trust.md").read_text("utf-8")
    name = f"{trust.host}/shop/web:1"
    (tmp_path / "hello").write_text("hello\n")
    with tarfile.open(tmp_path / "root.tar", "w") as archive:
        archive.add(tmp_path / "hello", "hello")
    for words in (("import", tmp_path / "root.tar", name), ("push", name)):
        trust.run("ci", daemon.client, *words, DOCKER_HOST=daemon.host)
    said = ""
    for kind, body in _BLOCK.findall(page):
        for line in body.splitlines() if kind == "console" else ():
            command = line.removeprefix("$ ").replace(PAGE_HOST, trust.host)
            command = f"cd {tmp_path} && {command.replace('docker ', f'{daemon.client} ')}"
            said = trust.run("ci", "sh", "-c", command, DOCKER_HOST=daemon.host).stdout
    (policy,) = (body for kind, body in _BLOCK.findall(page) if kind == "yaml")
    roles = json.loads(said)[0]["AdministrativeKeys"]
    (pin,) = (key["ID"] for role in roles if role["Name"] == "Root" for key in role["Keys"])
    store = tmp_path / "policy" / "trust" / "attestors.yaml"
    store.parent.mkdir(parents=True)
    store.write_text(policy.replace("0" * 64, pin).replace(PAGE_HOST, trust.host))
    (tmp_path / "policy" / "trustgate.yaml").write_text(POLICY)
    found = load(
        {
            file.relative_to(tmp_path / "policy").as_posix(): file.read_bytes()
            for file in (tmp_path / "policy").rglob("*.yaml")
        },
        revision="page",
    )
    (attestor,) = found.attestors
    fact = judge_notary(
        _metadata(trust, f"{trust.host}/shop/web"),
        gun=f"{trust.host}/shop/web",
        tag="1",
        subject=_head(trust, "shop/web", "1"),
        attestors=[attestor],
        now=datetime.now(UTC),
        seen={},
    )
    assert (fact.outcome, fact.attestors) == (Outcome.VERIFIED, ("web-release",)), fact.reason
