"""Fulcio, Rekor and timestamp authorities that answer well, lie, stall, refuse and send us elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.signing_world import key
from tests.simulators.registry import Answer, as_json, drip, endless, redirect, silence
from tests.simulators.sigstore.faults import only
from tests.simulators.sigstore.minting import sign_bytes
from tests.simulators.sigstore.server import SigstoreServer
from tests.simulators.wires import loopback
from trustgate.errors import ConfigInvalid, TrustgateError, Unauthorized, UpstreamFailed, UpstreamRefused
from trustgate.evidence.sigstore_signing.identity_token import IdentityToken, read_identity_token
from trustgate.evidence.sigstore_signing.material import CertificateChain
from trustgate.evidence.sigstore_signing.rekor import Loggable
from trustgate.evidence.sigstore_signing.signing_config import Service, SigningConfig, read_signing_config
from trustgate.remote import sigstore_services
from trustgate.remote.sigstore_services import (
    FulcioClient,
    RekorClient,
    TimestampClient,
    open_services,
    service_url,
    signing_http,
)

KEY: ec.EllipticCurvePrivateKey = key("p256", "ephemeral")
CONTENT = b"what is signed"
SOON_S = 5


@pytest.fixture
def server() -> Iterator[SigstoreServer]:
    with SigstoreServer() as made:
        yield made


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with signing_http(loopback()) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sigstore_services, "TIMEOUT", httpx.Timeout(0.3))
    monkeypatch.setattr("trustgate.remote.wire.GRACE_S", 0.2)


def token(server: SigstoreServer, **claims: object) -> IdentityToken:
    return read_identity_token(server.token(**claims), datetime.now(UTC))


def about(chain: CertificateChain | None = None, envelope: bytes = b"") -> Loggable:
    return Loggable(sign_bytes(KEY, CONTENT), CONTENT, chain or KEY.public_key(), envelope)


Call = Callable[[SigstoreServer, httpx.Client], object]
CALLS: dict[str, Call] = {
    "fulcio": lambda server, http: FulcioClient(server.url, http).certificate(KEY, token(server)),
    "rekor 1": lambda server, http: RekorClient(server.url, 1, http).append(about()),
    "rekor 2": lambda server, http: RekorClient(server.url, 2, http).append(about()),
    "tsa": lambda server, http: TimestampClient(f"{server.url}/api/v1/timestamp", http).timestamp(CONTENT),
}


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest) -> Call:
    return CALLS[request.param]


# --- good answers ------------------------------------------------------------------------------------


def test_a_certificate_for_the_bearer(server: SigstoreServer, http: httpx.Client) -> None:
    client = FulcioClient(server.url, http)
    found = client.certificate(KEY, token(server))
    assert found.leaf.public_key() == KEY.public_key()
    assert found.above == (server.authorities.ca_intermediate, server.authorities.ca_root)
    mail = client.certificate(KEY, token(server, email="a@shop.test", email_verified=True))
    assert b"a@shop.test" in mail.leaf_der


@pytest.mark.parametrize("version", [1, 2])
def test_an_entry_for_key_and_certificate(server: SigstoreServer, http: httpx.Client, version: int) -> None:
    client = RekorClient(server.url, version, http)
    chain = FulcioClient(server.url, http).certificate(KEY, token(server))
    assert client.version == version
    first, second = client.append(about()), client.append(about(chain))
    assert first.index + 1 == second.index
    assert (first.integrated_time is None) is (version == 2)


def test_an_entry_that_is_there_already_is_fetched(server: SigstoreServer, http: httpx.Client) -> None:
    client, same = RekorClient(server.url, 1, http), about()
    assert client.append(same) == client.append(same)
    assert len(server.asked("GET /api/v1/log/entries/")) == 1


@pytest.mark.parametrize("where", ["", "/", "https://elsewhere.test/api/v1/log/entries/?x=1"])
def test_a_conflict_that_does_not_say_with_what(
    server: SigstoreServer, http: httpx.Client, where: str
) -> None:
    server.rig("POST /api/v1/log/entries", Answer(409, {"Location": where}))
    with pytest.raises(UpstreamFailed, match="no word with what"):
        RekorClient(server.url, 1, http).append(about())


def test_a_conflict_never_sends_us_to_another_host(server: SigstoreServer, http: httpx.Client) -> None:
    server.rig("POST /api/v1/log/entries", Answer(409, {"Location": "https://elsewhere.test/a/b/abc1"}))
    with pytest.raises(UpstreamRefused):
        RekorClient(server.url, 1, http).append(about())
    assert server.asked("GET /api/v1/log/entries/abc1")


def test_a_timestamp(server: SigstoreServer, http: httpx.Client) -> None:
    assert TimestampClient(f"{server.url}/api/v1/timestamp", http).timestamp(CONTENT)


def test_services_of_a_configuration(server: SigstoreServer, http: httpx.Client) -> None:
    config = read_signing_config(server.signing_config(rekor=2), datetime.now(UTC))
    services = open_services(config, http)
    assert services.authority is not None
    assert [log.version for log in services.logs] == [2]
    assert len(services.timestamps) == 1
    none = open_services(SigningConfig(None, (), ()), http)
    assert (none.authority, none.logs, none.timestamps) == (None, (), ())


# --- bad answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (as_json({"code": 3, "message": "no \x1b[2J such"}, 400), UpstreamRefused, r"no \?\[2J such"),
        (as_json({"message": "who?"}, 401), Unauthorized, "who?"),
        (as_json({"message": "not you"}, 403), Unauthorized, "not you"),
        (Answer(404, {}, b"plain words"), UpstreamRefused, "plain words"),
        (Answer(429, {}, b""), UpstreamRefused, "status 429"),
        (Answer(500, {}, b"<html>"), UpstreamFailed, "answered 500"),
        (Answer(503), UpstreamFailed, "answered 503"),
        (redirect("https://elsewhere.test/"), UpstreamFailed, "redirects are not followed"),
        (redirect("/there", 308), UpstreamFailed, "redirects are not followed"),
        (Answer(200, {}, b""), UpstreamFailed, "makes no sense"),
        (Answer(200, {}, b"<html>"), UpstreamFailed, "makes no sense"),
        (Answer(200, {}, b"[" * 100_000), UpstreamFailed, "more than|makes no sense"),
        (Answer(200, {}, b"{}"), UpstreamFailed, "makes no sense"),
    ],
)
def test_an_answer_that_is_none(
    server: SigstoreServer,
    http: httpx.Client,
    call: Call,
    answer: Answer,
    error: type[TrustgateError],
    said: str,
) -> None:
    server.rig("POST", answer)
    with pytest.raises(error, match=said) as caught:
        call(server, http)
    assert caught.value.hint
    assert caught.value.message.isprintable()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", ["drip", "silence", "endless", "endless refusal"])
def test_an_answer_without_end(server: SigstoreServer, call: Call, kind: str) -> None:
    answers = {
        "drip": lambda: drip(server.closing),
        "silence": lambda: silence(server.closing),
        "endless": endless,
        "endless refusal": lambda: Answer(400, {}, endless().body),
    }
    server.rig("POST", answers[kind]())
    began = time.monotonic()
    with signing_http(loopback()) as http, pytest.raises((UpstreamFailed, UpstreamRefused)):
        call(server, http)
    assert time.monotonic() - began < SOON_S


def test_nobody_is_there(call: Call, http: httpx.Client) -> None:
    with SigstoreServer() as gone:
        pass
    with pytest.raises(UpstreamFailed) as caught:
        call(gone, http)
    assert "service" in caught.value.hint


def test_a_certificate_for_somebody_elses_key(server: SigstoreServer, http: httpx.Client) -> None:
    answer = FulcioClient(server.url, http).certificate(key("p256", "other"), token(server))
    chain = {"certificates": [answer.leaf_pem.decode()]}
    server.rig("POST /api/v2/signingCert", as_json({"signedCertificateEmbeddedSct": {"chain": chain}}))
    with pytest.raises(UpstreamFailed, match="another key"):
        FulcioClient(server.url, http).certificate(KEY, token(server))


@pytest.mark.parametrize("version", [1, 2])
def test_an_entry_about_something_else(http: httpx.Client, version: int) -> None:
    with (
        SigstoreServer(only("entry_with_other_signature")) as broken,
        pytest.raises(UpstreamFailed, match="another signature"),
    ):
        RekorClient(broken.url, version, http).append(about())


def test_a_timestamp_over_other_bytes(http: httpx.Client) -> None:
    with (
        SigstoreServer(only("timestamp_over_other_bytes")) as broken,
        pytest.raises(UpstreamFailed, match="other bytes"),
    ):
        TimestampClient(f"{broken.url}/api/v1/timestamp", http).timestamp(CONTENT)


def test_fulcio_refuses_a_token_of_a_stranger(server: SigstoreServer, http: httpx.Client) -> None:
    with SigstoreServer() as other, pytest.raises(Unauthorized, match="identity token"):
        FulcioClient(server.url, http).certificate(KEY, token(other))


def test_the_token_goes_to_fulcio_alone(server: SigstoreServer, http: httpx.Client) -> None:
    mine = token(server)
    FulcioClient(server.url, http).certificate(KEY, mine)
    RekorClient(server.url, 1, http).append(about())
    RekorClient(server.url, 2, http).append(about())
    TimestampClient(f"{server.url}/api/v1/timestamp", http).timestamp(CONTENT)
    told = [seen.path for seen in server.seen if mine.raw in f"{seen.headers}{seen.body!r}"]
    assert told == ["/api/v2/signingCert"]


# --- addresses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["https://fulcio.test", "https://fulcio.test:8443/a/", "http://127.0.0.1:5", "http://localhost"]
)
def test_addresses(url: str, http: httpx.Client) -> None:
    assert service_url(url) == url.rstrip("/")
    assert open_services(SigningConfig(Service(url), (Service(url, 2),), (Service(url),)), http).authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "fulcio.test",
        "http://fulcio.test",
        "http://127.0.0.1.evil.test",
        "http://localhost@evil.test",
        "https://user:secret@fulcio.test",
        "https://",
        "https://fulcio.test/?a=1",
        "https://fulcio.test/#a",
        "ftp://fulcio.test",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_address_for_a_token(url: str, http: httpx.Client) -> None:
    with pytest.raises(ConfigInvalid, match="is not the address"):
        FulcioClient(url, http)
