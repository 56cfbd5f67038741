"""Authorities are asked over HTTP: at public addresses only, bounded, and remembered for a while."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from tests.notation_world import NOW, Issued
from tests.revocation_world import access, crl, leaf, points, question, response, revoked
from tests.simulators.authority import SimulatedAuthority, drip, slow_head
from trustgate.errors import UpstreamFailed
from trustgate.evidence.notation.revocation import RevocationStatus
from trustgate.remote import public_http
from trustgate.remote import revocation as module
from trustgate.remote.public_http import PublicHttp, is_public
from trustgate.remote.revocation import RevocationClient

GOOD, REVOKED, UNKNOWN = RevocationStatus.GOOD, RevocationStatus.REVOKED, RevocationStatus.UNKNOWN


class At:
    """The clock of the certificates' world."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def authority() -> Iterator[SimulatedAuthority]:
    with SimulatedAuthority() as simulator:
        yield simulator


@pytest.fixture
def asked(authority: SimulatedAuthority) -> Iterator[RevocationClient]:
    client = RevocationClient(At(), allowed_hosts=["localhost"])
    yield client
    client.close()


def answer(client: RevocationClient, issued: Issued) -> Any:
    one = question(issued)
    return client.ask([one])[one.thumbprint]


# --- OCSP and CRL --------------------------------------------------------------------------------


def test_ocsp_is_enough(authority: SimulatedAuthority, asked: RevocationClient) -> None:
    issued = leaf(access(authority.url("/ocsp")), points(authority.url("/crl")))
    authority.put("/ocsp", response(issued))
    found = answer(asked, issued)
    assert found.status is GOOD
    assert found.valid_until == NOW + module.ASK_AGAIN  # not as long as the responder allows
    ((method, path, headers),) = authority.seen
    assert (method, path) == ("POST", "/ocsp")
    assert headers["content-type"] == "application/ocsp-request"
    assert headers["host"] == f"localhost:{authority.port}"


def test_the_request_names_the_certificate(authority: SimulatedAuthority, asked: RevocationClient) -> None:
    issued = leaf(access(authority.url("/ocsp")))

    def responder(body: bytes) -> tuple[int, bytes]:
        request = ocsp.load_der_ocsp_request(body)
        assert isinstance(request.hash_algorithm, hashes.SHA1)
        assert request.serial_number == issued.certificate.serial_number
        return 200, response(issued, status=ocsp.OCSPCertStatus.REVOKED)

    authority.pages["/ocsp"] = responder
    assert answer(asked, issued).status is REVOKED


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"garbage", 200), (b"", 500), (b"", 302), (b"", 404)],
)
def test_a_crl_answers_where_ocsp_does_not(
    content: bytes, status: int, authority: SimulatedAuthority, asked: RevocationClient
) -> None:
    issued = leaf(access(authority.url("/ocsp")), points(authority.url("/crl")))
    authority.put("/ocsp", content, status)
    authority.headers["Location"] = authority.url("/elsewhere")
    authority.put("/crl", crl(revoked(issued)))
    assert answer(asked, issued).status is REVOKED
    assert [path for _, path, _ in authority.seen] == ["/ocsp", "/crl"]  # and no redirect was followed


def test_without_an_answer_it_is_unknown_and_says_why(
    authority: SimulatedAuthority, asked: RevocationClient
) -> None:
    issued = leaf(access(authority.url("/ocsp")), points(authority.url("/crl")))
    found = answer(asked, issued)
    assert found.status is UNKNOWN
    assert "localhost answered 404" in found.why


def test_the_next_responder_and_every_crl(authority: SimulatedAuthority, asked: RevocationClient) -> None:
    issued = leaf(access(authority.url("/a"), authority.url("/b")))
    authority.put("/b", response(issued))
    assert answer(asked, issued).status is GOOD
    listed = leaf(points(authority.url("/1"), authority.url("/2")))
    authority.put("/1", crl())
    assert answer(asked, listed).status is UNKNOWN
    fresh = RevocationClient(At(), allowed_hosts=["localhost"])
    authority.put("/2", crl(revoked(listed)))
    assert answer(fresh, listed).status is REVOKED
    fresh.close()


def test_answers_are_kept_and_failures_for_less_long(
    authority: SimulatedAuthority, asked: RevocationClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = leaf(points(authority.url("/crl")))
    authority.put("/crl", crl())
    for _ in range(3):
        assert answer(asked, issued).status is GOOD
    assert len(authority.seen) == 1
    missing = leaf(points(authority.url("/missing")))
    for _ in range(3):
        assert answer(asked, missing).status is UNKNOWN
    assert len(authority.seen) == 2
    began = time.monotonic()
    monkeypatch.setattr(public_http.time, "monotonic", lambda: began + module.FAILURE_KEPT_S + 5)
    answer(asked, missing)
    answer(asked, issued)
    assert len(authority.seen) == 3
    monkeypatch.setattr(public_http.time, "monotonic", lambda: began + module.KEPT_S + 5)
    answer(asked, issued)
    assert len(authority.seen) == 4


def test_an_answer_that_can_not_be_used_is_kept_as_a_failure(
    authority: SimulatedAuthority, asked: RevocationClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = leaf(points(authority.url("/crl")))
    authority.put("/crl", b"no list at all")
    assert answer(asked, issued).status is UNKNOWN
    authority.put("/crl", crl())
    assert answer(asked, issued).status is UNKNOWN
    began = time.monotonic()
    monkeypatch.setattr(public_http.time, "monotonic", lambda: began + module.FAILURE_KEPT_S + 1)
    assert answer(asked, issued).status is GOOD


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    monkeypatch.setattr(module, "MAX_KEPT_BYTES", 100)
    kept = module._Kept()
    for number in range(5):
        kept.keep(str(number), b"x" * 10, 60)
    assert [kept.find(str(number)) is not None for number in range(5)] == [False, False, True, True, True]
    kept.keep("big", b"x" * 90, 60)
    assert kept.find("3") is None
    assert kept.find("4") == b"x" * 10
    kept.keep("4", b"x" * 10, 0)
    assert kept.find("4") is None


def test_there_is_an_end_to_all_asking(
    authority: SimulatedAuthority, asked: RevocationClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOTAL_TIMEOUT_S", 0.0)
    found = answer(asked, leaf(points(authority.url("/crl"))))
    assert found.status is UNKNOWN
    assert "no time left" in found.why
    assert authority.seen == []


# --- endless, slow, huge -------------------------------------------------------------------------


def test_huge_and_slow_answers(authority: SimulatedAuthority) -> None:
    http = PublicHttp(allowed=["localhost"])
    authority.put("/endless", (b"x" * 1024 for _ in iter(int, 1)))
    with pytest.raises(UpstreamFailed, match="more than 5000 bytes"):
        http.fetch(authority.url("/endless"), max_bytes=5000, timeout_s=5)
    authority.put("/slow", drip(b"x", 0.05))
    began = time.monotonic()
    with pytest.raises(UpstreamFailed, match="in time"):
        http.fetch(authority.url("/slow"), max_bytes=5000, timeout_s=0.4)
    authority.put("/silent", drip(b"x", 5))
    with pytest.raises(UpstreamFailed, match="in time"):
        http.fetch(authority.url("/silent"), max_bytes=5000, timeout_s=0.2)
    with slow_head(0.05) as port, pytest.raises(UpstreamFailed, match="in time"):
        http.fetch(f"http://localhost:{port}/", max_bytes=5000, timeout_s=0.3)
    assert time.monotonic() - began < 4
    http.close()


def test_no_proxy_is_asked(authority: SimulatedAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would look the name up anew, and go where it likes."""
    with SimulatedAuthority() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url("/"))
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        http = PublicHttp(allowed=["localhost"])
        authority.put("/here", b"itself")
        assert http.fetch(authority.url("/here"), max_bytes=10, timeout_s=5) == b"itself"
        http.close()
        assert proxy.seen == []


def test_a_host_that_is_not_there() -> None:
    http = PublicHttp(allowed=["localhost:1"])
    with pytest.raises(UpstreamFailed, match="localhost"):
        http.fetch("http://localhost:1/", max_bytes=10, timeout_s=1)
    http.close()


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.255.0.1",
        "0.0.0.0",  # noqa: S104
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "fec0::1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "4000::1",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)
def test_inner_addresses(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"])
def test_outer_addresses(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


class Wire(httpx.BaseTransport):
    """Keeps what would have been sent."""

    def __init__(self) -> None:
        self.sent: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(b"ok"))


def fetched(url: str, addresses: list[str], **changes: Any) -> httpx.Request:
    wire = Wire()
    http = PublicHttp(transport=wire, resolve=lambda host, port: addresses, **changes)
    try:
        http.fetch(url, max_bytes=10, timeout_s=1)
    finally:
        http.close()
    (request,) = wire.sent
    return request


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    request = fetched("https://ca.test/x?y", ["93.184.216.34", "1.1.1.1"])
    assert str(request.url) == "https://93.184.216.34/x?y"
    assert request.headers["host"] == "ca.test"
    assert request.extensions["sni_hostname"] == "ca.test"
    request = fetched("http://ca.test:8080/", ["2606:4700::1111"])
    assert request.url.host == "2606:4700::1111"
    assert request.headers["host"] == "ca.test:8080"
    assert fetched("http://[2606:4700::1111]/", ["2606:4700::1111"]).headers["host"] == "[2606:4700::1111]"


def test_the_next_address_where_nobody_listens(authority: SimulatedAuthority) -> None:
    authority.put("/crl", b"list")
    addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]  # the simulator listens at the last alone
    http = PublicHttp(allowed=["ca.test"], resolve=lambda host, port: addresses)
    assert http.fetch(authority.url("/crl", "ca.test"), max_bytes=10, timeout_s=2) == b"list"
    addresses.insert(0, "127.0.0.4")
    with pytest.raises(UpstreamFailed, match="can't be connected to"):
        http.fetch(authority.url("/crl", "ca.test"), max_bytes=10, timeout_s=2)
    http.close()


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["fe80::1%eth0"], []])
def test_one_inner_address_is_too_many(addresses: list[str]) -> None:
    with pytest.raises(UpstreamFailed, match=r"not a public address|no address"):
        fetched("http://ca.test/", addresses)


@pytest.mark.parametrize(
    "url", ["http://0x7f.1/", "http://2130706433/", "http://localhost/", "http://[::1]/"]
)
def test_other_spellings_of_this_machine(url: str) -> None:
    http = PublicHttp(transport=Wire())
    with pytest.raises(UpstreamFailed, match=r"not a public address|can't be resolved"):
        http.fetch(url, max_bytes=10, timeout_s=2)
    http.close()


def test_hosts_that_are_allowed_by_name() -> None:
    for allowed in (["ca.internal"], ["CA.internal:80"]):
        assert fetched("http://ca.internal/", ["10.0.0.1"], allowed=allowed).url.host == "10.0.0.1"
    for allowed in (["other.internal"], ["ca.internal:8080"], ["10.0.0.1"]):
        with pytest.raises(UpstreamFailed, match="not a public address"):
            fetched("http://ca.internal/", ["10.0.0.1"], allowed=allowed)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://ca.test/",
        "file:///etc/passwd",
        "ldap://ca.test/cn=x",
        "gopher://ca.test/",
        "ca.test/x",
        "http://",
        "http:///x",
        "http://user@ca.test/",
        "http://user:password@ca.test/",
        "http://ca.test:99999/",
        "http://ca.test:x/",
        "http://[::1/",
        "http://ca.test/\n",
        "http://ca.tést/",
        "http://ca.test/" + "x" * 3000,
        "",
    ],
)
def test_addresses_that_are_not_fetched(url: str) -> None:
    with pytest.raises(UpstreamFailed):
        fetched(url, ["93.184.216.34"])


def test_names_that_do_not_resolve() -> None:
    def fails(host: str, port: int) -> list[str]:
        raise OSError

    def hangs(host: str, port: int) -> list[str]:
        time.sleep(0.5)
        return []

    for resolver, reason in (
        (fails, "can't be resolved"),
        (lambda host, port: ["nonsense"], "can't be resolved"),
        (hangs, "not resolved in"),
    ):
        http = PublicHttp(transport=Wire(), resolve=resolver)
        with pytest.raises(UpstreamFailed, match=reason):
            http.fetch("http://ca.test/", max_bytes=10, timeout_s=0.1)
        http.close()


def test_a_certificate_that_points_inside_is_unknown() -> None:
    wire = Wire()
    client = RevocationClient(At(), transport=wire, resolve=lambda host, port: ["169.254.169.254"])
    found = answer(client, leaf(points("http://metadata.test/latest")))
    assert found.status is UNKNOWN
    assert "is not a public address" in found.why
    assert wire.sent == []
    client.close()
