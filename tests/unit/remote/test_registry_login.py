"""Who gets a credential: the registry that it is for, at its own site, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.signing_world import image
from tests.simulators.registry import (
    Answer,
    SimulatedRegistry,
    as_json,
    basic,
    challenge,
    endless,
    redirect,
)
from tests.simulators.wires import Wires, loopback
from trustgate.errors import TrustgateError, Unauthorized, UpstreamFailed
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor
from trustgate.oci.names import RepositoryName, Tag
from trustgate.remote.challenge import is_same_site, parse_challenges
from trustgate.remote.docker_config import Credential
from trustgate.remote.registry import RegistryClient

pytestmark = pytest.mark.usefixtures("impatient")
ALICE = Credential("alice", "secret", "a test")
IDENTITY = Credential("<token>", "secret", "a test")
IMAGE = image()
BLOB = b"a blob"
REPOSITORY = RepositoryName("shop/web")


@pytest.fixture
def locked() -> Iterator[SimulatedRegistry]:
    with SimulatedRegistry(password="secret") as simulated:
        simulated.add(IMAGE.raw, media.OCI_MANIFEST, "1")
        yield simulated


@pytest.fixture
def stranger() -> Iterator[SimulatedRegistry]:
    """Whoever it is, it must never see a credential or a token."""
    with SimulatedRegistry() as simulated:
        yield simulated
        assert [seen.line for seen in simulated.seen if seen.authorization] == []
        assert [seen.line for seen in simulated.seen if b"secret" in seen.body] == []


def client_of(
    simulator: SimulatedRegistry, credential: Credential | None = ALICE, **names: SimulatedRegistry
) -> RegistryClient:
    """A client that knows the simulator as https://registry.test."""
    others = {f"https://{name.replace('_', '.')}": other for name, other in names.items()}
    wires = Wires({"https://registry.test": simulator, **others})
    return RegistryClient("registry.test", REPOSITORY, credential, transport=wires)


def direct(simulator: SimulatedRegistry, credential: Credential | None) -> RegistryClient:
    return RegistryClient(simulator.host, REPOSITORY, credential, transport=loopback())


def refusal(client: RegistryClient, kind: type[TrustgateError] = Unauthorized) -> TrustgateError:
    with client, pytest.raises(kind) as caught:
        client.manifest(Tag("1"))
    assert caught.value.message
    assert caught.value.hint
    assert "secret" not in caught.value.message + caught.value.detail + caught.value.hint
    return caught.value


# --- the ways in -----------------------------------------------------------------------------------


@pytest.mark.parametrize("credential", [ALICE, IDENTITY])
def test_a_token_is_asked_for_and_used(locked: SimulatedRegistry, credential: Credential) -> None:
    with direct(locked, credential) as client:
        client.check_login()
        assert client.manifest(Tag("1")).raw == IMAGE.raw
        asked = len(locked.asked("/token"))
        assert client.manifest(Tag("1")).raw == IMAGE.raw
    assert len(locked.asked("/token")) == asked


def test_the_scope_is_what_is_needed(locked: SimulatedRegistry) -> None:
    with direct(locked, ALICE) as client:
        client.manifest(Tag("1"))
        client.put_manifest(IMAGE.raw, media.OCI_MANIFEST, Tag("2"))
    (asked,) = locked.asked("/token")
    assert asked.line == "GET /token?service=simulator&scope=repository%3Ashop%2Fweb%3Apull"
    with direct(locked, ALICE) as client:
        client.put_manifest(IMAGE.raw, media.OCI_MANIFEST, Tag("2"))
    assert "%3Apull%2Cpush" in locked.asked("/token")[-1].line


@pytest.mark.parametrize("credential", [None, Credential("alice", "wrong", "a test"), IDENTITY])
def test_a_wrong_login_is_refused_once(locked: SimulatedRegistry, credential: Credential | None) -> None:
    locked.rig("/token", Answer(401))
    with direct(locked, credential) as client, pytest.raises(Unauthorized) as caught:
        client.manifest(Tag("1"))
    assert caught.value.hint == f"trustgate login {locked.host}"
    assert len(locked.asked("/token")) == 1
    with direct(locked, credential) as client, pytest.raises(Unauthorized):
        client.check_login()


def test_a_token_that_is_not_taken_ends_it(locked: SimulatedRegistry) -> None:
    locked.rig("/token", as_json({"token": "another"}))
    refusal(client_of(locked, None, **{"127_0_0_1": locked}), TrustgateError)
    with direct(locked, ALICE) as client, pytest.raises(Unauthorized):
        client.manifest(Tag("1"))
    assert len(locked.asked("/manifests/")) == 3


@pytest.mark.parametrize(
    "challenges",
    [
        ["Basic realm=x"],
        ["basic"],
        ['Basic realm="x, Bearer y"'],
        ["Negotiate", 'Basic realm="x"'],
        ['Negotiate abc==, Basic realm="x"'],
        ['Bearer, Basic realm="x"'],
    ],
)
def test_basic(locked: SimulatedRegistry, challenges: list[str]) -> None:
    locked.rig("/manifests/", challenge(*challenges), Answer(200, {}, IMAGE.raw))
    with client_of(locked) as client:
        assert client.manifest(Tag("1")).raw == IMAGE.raw
    assert locked.seen[-1].authorization == basic("alice", "secret")


@pytest.mark.parametrize(
    "challenges",
    [
        ['Bearer realm="https://registry.test/token",service="a"'],
        ["bearer realm=https://registry.test/token , service=a"],
        ['Basic realm="x", Bearer realm="https://registry.test/token",service="a"'],
        ['Basic realm="x"', 'Bearer service="a",realm="https://registry.test/token"'],
        ["Negotiate", 'Bearer realm="https://registry.test/token",service="a",scope="b:c"'],
        ['Bearer realm="https://registry.test/token",service="a", Bearer realm="https://evil.test/"'],
    ],
)
def test_bearer_among_several(locked: SimulatedRegistry, challenges: list[str]) -> None:
    locked.rig("/manifests/", challenge(*challenges), Answer(200, {}, IMAGE.raw))
    with client_of(locked) as client:
        assert client.manifest(Tag("1")).raw == IMAGE.raw
    (asked,) = locked.asked("/token")
    assert (asked.authorization, "service=a&" in asked.line) == (basic("alice", "secret"), True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",,,",
        "Bearer",
        "Bearer realm",
        'Bearer realm="unterminated',
        'Bearer realm=""',
        'Bearer realm="http://["',
        'Bearer realm="/token"',
        'Bearer realm="file:///etc/passwd"',
        'Bearer realm="http://registry.test/token"',
        'Bearer realm="https://a:b:c/"',
        "Negotiate",
        "=====",
        'Digest realm="x"',
        "\\" * 5000 + '"' * 5000,
    ],
)
def test_a_malformed_challenge(locked: SimulatedRegistry, text: str) -> None:
    locked.rig("/", challenge(text))
    error = refusal(client_of(locked), TrustgateError)
    assert isinstance(error, Unauthorized | UpstreamFailed)
    with client_of(locked) as client, pytest.raises((Unauthorized, UpstreamFailed)):
        client.check_login()


@pytest.mark.parametrize(
    "answer",
    [
        as_json({}),
        as_json([]),
        as_json({"token": 7}),
        as_json({"token": ""}),
        Answer(200, {}, b"<html>"),
        Answer(200, {}, b"[" * 50000),
        Answer(503),
        endless(),
        redirect("http://localhost:1/"),
        as_json({"token": "a\nb: c"}),
        as_json({"token": "\u20ac"}),
    ],
)
def test_a_senseless_token_answer(locked: SimulatedRegistry, answer: Answer) -> None:
    locked.rig("/token", answer)
    with direct(locked, ALICE) as client, pytest.raises(TrustgateError) as caught:
        client.manifest(Tag("1"))
    assert caught.value.hint


# --- strangers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("credential", [ALICE, IDENTITY])
def test_a_realm_on_a_foreign_host_gets_nothing(
    locked: SimulatedRegistry, stranger: SimulatedRegistry, credential: Credential
) -> None:
    locked.rig("/v2/", challenge('Bearer realm="https://evil.test/token",service="registry.test"'))
    error = refusal(client_of(locked, credential, evil_test=stranger))
    assert "evil.test" in error.message
    assert stranger.seen == []
    with client_of(locked, credential, evil_test=stranger) as client, pytest.raises(Unauthorized):
        client.check_login()
    assert stranger.seen == []


def test_a_foreign_realm_is_asked_without_a_credential(
    locked: SimulatedRegistry, stranger: SimulatedRegistry
) -> None:
    """Nobody's token gives away nothing, and public images need it."""
    locked.rig("/manifests/", challenge('Bearer realm="https://auth.else.test/"'), Answer(200, {}, IMAGE.raw))
    stranger.rig("GET /", as_json({"access_token": "anonymous"}))
    with client_of(locked, None, auth_else_test=stranger) as client:
        assert client.manifest(Tag("1")).raw == IMAGE.raw
    assert locked.seen[-1].authorization == "Bearer anonymous"


def test_a_redirect_to_another_host_carries_nothing(
    locked: SimulatedRegistry, stranger: SimulatedRegistry
) -> None:
    digest = Digest.of(BLOB)
    stranger.blobs[digest] = BLOB
    locked.rig("/token", as_json({"token": "good"}))
    locked.rig("/blobs/", challenge('Bearer realm="https://registry.test/token"'), _to("evil.test", digest))
    with client_of(locked, evil_test=stranger) as client:
        assert b"".join(client.stream(Descriptor("a/b", digest, len(BLOB)))) == BLOB
    assert len(stranger.seen) == 1


@pytest.mark.parametrize(
    "said", ['Bearer realm="https://evil.test/token"', "Basic", 'Bearer realm="https://registry.test/token"']
)
def test_a_stranger_that_asks_for_a_login_gets_none(
    locked: SimulatedRegistry, stranger: SimulatedRegistry, said: str
) -> None:
    """CVE-2020-15157's class: the challenge of whoever a redirect leads to."""
    stranger.rig("/", challenge(said))
    locked.rig("/v2/", redirect("https://evil.test/v2/"))
    refusal(client_of(locked, evil_test=stranger))
    with client_of(locked, evil_test=stranger) as client, pytest.raises(Unauthorized):
        client.check_login()
    assert locked.asked("/token") == []


@pytest.mark.parametrize("port", [":8443", ""])
def test_another_port_or_scheme_is_another_place(
    locked: SimulatedRegistry, stranger: SimulatedRegistry, port: str
) -> None:
    scheme = "https" if port else "http"
    locked.rig("/token", as_json({"token": "good"}))
    locked.rig(
        "/manifests/",
        challenge('Bearer realm="https://registry.test/token"'),
        redirect(f"{scheme}://registry.test{port}/x"),
    )
    stranger.rig("/x", Answer(200, {}, IMAGE.raw))
    wires = Wires({"https://registry.test": locked, f"{scheme}://registry.test{port}": stranger})
    with RegistryClient("registry.test", REPOSITORY, ALICE, transport=wires) as client:
        if port:
            assert client.manifest(Tag("1")).raw == IMAGE.raw
        else:
            with pytest.raises(UpstreamFailed, match="not https"):
                client.manifest(Tag("1"))
    assert len(stranger.seen) == (1 if port else 0)


def test_the_next_page_at_a_stranger_carries_nothing(
    locked: SimulatedRegistry, stranger: SimulatedRegistry
) -> None:
    locked.rig("/token", as_json({"token": "good"}))
    page = as_json({"tags": ["1"]}, headers={"Link": '<https://evil.test/more>; rel="next"'})
    locked.rig("/tags/", challenge('Bearer realm="https://registry.test/token"'), page)
    stranger.rig("/more", as_json({"tags": ["2"]}))
    with client_of(locked, evil_test=stranger) as client:
        assert client.tags() == (Tag("1"), Tag("2"))


def test_an_upload_that_is_sent_to_a_stranger_carries_nothing(
    locked: SimulatedRegistry, stranger: SimulatedRegistry
) -> None:
    locked.rig("/token", as_json({"token": "good"}))
    realm = challenge('Bearer realm="https://registry.test/token"')
    locked.rig("HEAD", realm, Answer(404))
    locked.rig("POST", Answer(202, {"Location": "https://evil.test/upload?x=1"}))
    stranger.rig("PUT", challenge("Basic"))
    with client_of(locked, evil_test=stranger) as client, pytest.raises(Unauthorized):
        client.put_blob(Digest.of(BLOB), iter([BLOB]), len(BLOB))
    assert [seen.line for seen in stranger.seen] == [f"PUT /upload?x=1&digest={Digest.of(BLOB)}"]


# --- the words and the sites -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "realm", "same"),
    [
        ("registry.test", "registry.test", True),
        ("Registry.Test", "registry.test.", True),
        ("registry-1.docker.io", "auth.docker.io", True),
        ("registry.gitlab.com", "gitlab.com", True),
        ("example.com", "auth.example.com", True),
        ("localhost", "127.0.0.1", True),
        ("::1", "localhost", True),
        ("registry.test", "evil.test", False),
        ("docker.io", "evil.io", False),
        ("registry.gitlab.com", "evilgitlab.com", False),
        ("registry.example.com", "registry.example.com.evil.com", False),
        ("localhost", "evil.test", False),
        ("127.0.0.1", "10.0.0.1", False),
        ("10.0.0.1", "11.0.0.1", False),
        ("registry", "other", False),
        ("registry.test", "", False),
        ("", "", False),
    ],
)
def test_sites(host: str, realm: str, same: bool) -> None:
    assert is_same_site(host, realm) is same


def test_quoted_characters_in_a_challenge() -> None:
    parsed = parse_challenges(r'Bearer realm="a\"b, Basic c", service=d, error="x"')
    assert parsed == {"bearer": {"realm": 'a"b, Basic c', "service": "d", "error": "x"}}


def _to(host: str, digest: Digest) -> Answer:
    return redirect(f"https://{host}/v2/shop/web/blobs/{digest}")
