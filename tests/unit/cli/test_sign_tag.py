"""sign --notary-v1 against our own server: the whole way, and everything that stops it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tests.conformance.server import serving
from tests.data_folders import begun
from tests.interop.world import free_port
from tests.signing_world import private_pem, public_pem
from tests.unit.cli.conftest import Call, Done
from tests.unit.evidence.notary import scene as sc
from tests.unit.gate.conftest import ROOT, Gated, write
from trustgate.errors import Unauthorized, UpstreamRefused
from trustgate.evidence.notary.keys import read_key
from trustgate.evidence.notary.metadata import read_targets
from trustgate.evidence.notary.signing import MetadataSigner, add_signer, new_repository, root_signer
from trustgate.evidence.notary.trust import notary_trust
from trustgate.flows.sign_tag import sign_tag
from trustgate.oci.names import Tag
from trustgate.ports import Grant, Permission
from trustgate.remote.docker_config import Credential
from trustgate.remote.layout import LayoutSource
from trustgate.remote.notary import NotaryClient
from trustgate.settings import Settings
from trustgate.wiring import build

ROLE = ("--role", "targets/alice")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    """A server that knows under which port it is reached: GUNs begin with it."""
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    write(folder / "policy", {"trustgate.yaml": ROOT})
    server = build(Settings(data=begun(folder / "data"), policy=f"dir:{folder / 'policy'}", port=port))
    try:
        rights: dict[str, frozenset[Permission]] = {
            "ci": frozenset({"pull", "push"}),
            "prod": frozenset({"pull"}),
        }
        secrets = {
            name: server.accounts.create_robot(name, grants=[Grant("shop", allowed)])[1]
            for name, allowed in rights.items()
        }
        with serving(server.app, port) as host:
            yield Gated(server, host, folder, ec.generate_private_key(ec.SECP256R1()), secrets)
    finally:
        server.close()


@pytest.fixture
def as_ci(call: Call, served: Gated) -> Call:
    assert login(call, served, "ci").code == 0
    return call


def login(call: Call, served: Gated, who: str) -> Done:
    secret = served.secrets[who]
    return call("login", served.host, "-u", f"robot${who}", "--password-stdin", stdin=f"{secret}\n")


def client(served: Gated, gun: str) -> NotaryClient:
    return NotaryClient(served.host, gun, Credential("robot$ci", served.secrets["ci"], "test"))


def repository(served: Gated, name: str, *, signers: tuple[str, ...] = ("alice",)) -> tuple[str, str]:
    """A GUN with these signers, and the id of its root key."""
    gun = f"{served.host}/shop/{name}"
    keys = {
        role: read_key(json.loads(served.ask("ci", "GET", f"/v2/{gun}/_trust/tuf/{role}.key").body), role)
        for role in ("snapshot", "timestamp")
    }
    now = datetime.now(UTC)
    root = root_signer(sc.private("root"), gun, now - timedelta(hours=1))
    targets = sc.signer("targets")
    files = new_repository(root, targets, now=now, **keys)
    for one in signers:
        key = MetadataSigner.of(sc.private(one)).key
        files["targets"] = add_signer(read_targets("targets", files["targets"]), one, (key,), targets, now)
    with client(served, gun) as server:
        server.publish(files)
    return gun, root.key.id


def names(served: Gated, gun: str, role: str) -> dict[str, str]:
    """Tag to sha256, as the server has it."""
    raw = served.ask("ci", "GET", f"/v2/{gun}/_trust/tuf/{role}.json").body
    return {
        tag: f"sha256:{meta.hashes['sha256'].hex()}" for tag, meta in read_targets(role, raw).targets.items()
    }


@pytest.fixture
def keys(tmp_path: Path) -> None:
    private = sc.private("alice")
    (tmp_path / "alice.key").write_bytes(private_pem(private))
    (tmp_path / "bob.key").write_bytes(private_pem(sc.private("bob")))
    sealed = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "sealed.key").write_bytes(sealed)
    (tmp_path / "root.pub").write_bytes(public_pem(sc.private("root")))


def test_tags_are_added_one_after_another(as_ci: Call, served: Gated, keys: None) -> None:
    gun, pin = repository(served, "tags")
    first, second = served.push("shop/tags", "1", "one"), served.push("shop/tags", "2", "two")
    options = ("sign", "--notary-v1", *ROLE, "--root-key")
    done = as_ci(*options, pin, "--key", "alice.key", f"{gun}:1")
    assert (done.code, done.err) == (0, ""), done.err
    assert done.out.startswith(f"signed {gun}@{first}  (targets/alice sha256:")
    # the root as a file, and a key with a passphrase
    more = (*options, "root.pub", "--key", "sealed.key", f"{gun}:2", "-o", "json")
    done = as_ci(*more, DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE="secret")
    assert done.code == 0, done.err
    assert done.json["schema"] == "trustgate.sign/1"
    assert (done.json["subject"], done.json["stored"]) == (second, "targets/alice")
    for role in ("targets/alice", "targets/releases"):
        assert names(served, gun, role) == {"1": first, "2": second}


def test_two_signers_share_the_releases(as_ci: Call, served: Gated, keys: None) -> None:
    gun, pin = repository(served, "shared", signers=("alice", "bob"))
    digest = served.push("shop/shared", "1", "shared")
    served.push("shop/shared", "2", "shared")
    for name, tag in (("alice", "1"), ("bob", "2")):
        given = ("--role", f"targets/{name}", "--key", f"{name}.key", "--root-key", pin, f"{gun}:{tag}")
        assert as_ci("sign", "--notary-v1", *given).code == 0
    assert names(served, gun, "targets/releases") == {"1": digest, "2": digest}
    assert names(served, gun, "targets/bob") == {"2": digest}


class Racing:
    """A server on which somebody else publishes just before us, so many times."""

    def __init__(self, server: NotaryClient, between: Callable[[], object], times: int) -> None:
        self.metadata = server.metadata
        self._server = server
        self._between = between
        self.left = times

    def publish(self, files: Mapping[str, bytes]) -> None:
        if self.left:
            self.left -= 1
            self._between()
        self._server.publish(files)


@pytest.mark.parametrize(("times", "done"), [(0, True), (1, True), (3, True), (4, False)])
def test_somebody_publishes_in_between(served: Gated, times: int, done: bool) -> None:
    gun, pin = repository(served, f"raced{times}", signers=("alice", "bob"))
    tags = [str(number) for number in range(5)]
    digests = {tag: served.push(f"shop/raced{times}", tag, f"{times} {tag}") for tag in tags}
    theirs = iter(tags[1:])

    def sign(server: Any, name: str, tag: str) -> None:
        with served.client("ci", f"shop/raced{times}") as source:
            sign_tag(
                source,
                Tag(tag),
                server,
                sc.private(name),
                gun=gun,
                role=f"targets/{name}",
                trust=notary_trust(root_key_ids=[pin]),
                now=datetime.now(UTC),
            )

    with client(served, gun) as server:
        racing = Racing(server, lambda: sign(server, "bob", next(theirs)), times)
        with nullcontext() if done else pytest.raises(UpstreamRefused, match="VERSION"):
            sign(racing, "alice", "0")
    expected = {tag: digests[tag] for tag in tags[1 : times + 1]}
    assert names(served, gun, "targets/releases") == expected | ({"0": digests["0"]} if done else {})


def test_a_refusal_is_not_tried_again(served: Gated) -> None:
    """What stands is what was built on: the server has another reason."""
    gun, pin = repository(served, "refusing")
    served.push("shop/refusing", "1", "refusing")
    reader = Credential("robot$prod", served.secrets["prod"], "test")
    with NotaryClient(served.host, gun, reader) as server, served.client("ci", "shop/refusing") as source:
        asked = {"gun": gun, "role": "targets/alice", "trust": notary_trust(root_key_ids=[pin])}
        with pytest.raises((UpstreamRefused, Unauthorized)):
            sign_tag(source, Tag("1"), server, sc.private("alice"), now=datetime.now(UTC), **asked)  # type: ignore[arg-type]


def test_the_server_can_be_named(as_ci: Call, served: Gated, keys: None) -> None:
    gun, pin = repository(served, "named")
    served.push("shop/named", "1", "named")
    given = ("sign", "--notary-v1", *ROLE, "--root-key", pin, "--key", "alice.key")
    assert as_ci(*given, "--server", f"http://{served.host}/", f"{gun}:1").code == 0
    unreachable = as_ci(*given, f"{gun}:1", DOCKER_CONTENT_TRUST_SERVER="http://localhost:1")
    assert (unreachable.code, "localhost:1" in unreachable.err) == (3, True)
    elsewhere = as_ci(*given, "--server", "http://notary.test", f"{gun}:1")
    assert (elsewhere.code, "plain http" in elsewhere.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--key", "bob.key", *ROLE, "--root-key", "PIN"), 2, "does not name this key"),
        (("--key", "alice.key", "--role", "targets/bob", "--root-key", "PIN"), 2, "has no role targets/bob"),
        (("--key", "alice.key", *ROLE, "--root-key", "0" * 64), 2, "not signed by a root key"),
        (("--key", "alice.key", *ROLE, "--root-key", "short"), 2, "not a root key id"),
        (("--key", "alice.key", *ROLE), 2, "--root-key"),
        (("--key", "alice.key", "--root-key", "PIN"), 2, "--role targets/NAME"),
        ((*ROLE, "--root-key", "PIN"), 2, "--key FILE"),
        (("--key", "alice.key", "--role", "targets", "--root-key", "PIN"), 2, "not a signer's role"),
        (("--key", "absent.key", *ROLE, "--root-key", "PIN"), 2, "absent.key can't be read"),
        (
            ("--key", "sealed.key", *ROLE, "--root-key", "PIN"),
            2,
            "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
        ),
        (("--key", "alice.key", *ROLE, "--root-key", "PIN", "--notation"), 2, "not both"),
        (("--key", "alice.key", *ROLE, "--root-key", "PIN", "--legacy"), 2, "--legacy is for cosign's"),
    ],
)
def test_what_signs_nothing(
    as_ci: Call, served: Gated, keys: None, arguments: tuple[str, ...], code: int, said: str
) -> None:
    gun, pin = f"{served.host}/shop/nothing", ""
    if served.ask("ci", "GET", f"/v2/{gun}/_trust/tuf/root.json").status == 404:
        repository(served, "nothing")
        served.push("shop/nothing", "1", "nothing")
    raw = served.ask("ci", "GET", f"/v2/{gun}/_trust/tuf/root.json").body
    (pin,) = json.loads(raw)["signed"]["roles"]["root"]["keyids"]
    given = [pin if one == "PIN" else one for one in arguments]
    done = as_ci("sign", "--notary-v1", *given, f"{gun}:1")
    assert (done.code, done.out) == (code, ""), done.err
    assert said in done.err
    assert served.ask("ci", "GET", f"/v2/{gun}/_trust/tuf/targets/releases.json").status == 404


def test_what_is_not_there_is_3(as_ci: Call, served: Gated, keys: None) -> None:
    gun = f"{served.host}/shop/unsigned"
    given = ("sign", "--notary-v1", *ROLE, "--root-key", "0" * 64, "--key", "alice.key")
    assert as_ci(*given, f"{gun}:1").code == 3  # no such image
    served.push("shop/unsigned", "1", "unsigned")
    assert as_ci(*given, f"{gun}:1").code == 3  # no trust data


def test_only_tags_of_repositories(call: Call, served: Gated, keys: None, tmp_path: Path) -> None:
    given = ("sign", "--notary-v1", *ROLE, "--root-key", "0" * 64, "--key", "alice.key")
    LayoutSource(tmp_path / "here", create=True)
    for image in (f"{served.host}/shop/a@sha256:{'0' * 64}", "oci-layout:here:1"):
        done = call(*given, image)
        assert (done.code, "HOST/REPO:TAG" in done.err) == (2, True), image


def test_someone_without_push_is_refused(call: Call, served: Gated, keys: None) -> None:
    gun, pin = repository(served, "guarded")
    served.push("shop/guarded", "1", "guarded")
    assert login(call, served, "prod").code == 0
    done = call("sign", "--notary-v1", *ROLE, "--root-key", pin, "--key", "alice.key", f"{gun}:1")
    assert (done.code, f"POST tuf/ of {gun} at {served.host}: UNAUTHORIZED" in done.err) == (3, True)
    assert served.ask("ci", "GET", f"/v2/{gun}/_trust/tuf/targets/releases.json").status == 404
