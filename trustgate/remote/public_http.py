"""Fetch from an address that somebody else wrote, and from nowhere inside (server-side request forgery).

A certificate names the hosts that know whether it was revoked, and anyone can write certificates. So: http
and https only; every address of the host has to be a public one; the connection goes to the address that was
looked at; no redirects, no proxies, a bounded body in a bounded time.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

import httpx

from trustgate import __version__
from trustgate.errors import UpstreamFailed
from trustgate.remote import tls
from trustgate.remote.ending import Ending, ending

MAX_URL_CHARACTERS: Final = 2048
MAX_LOOKUPS: Final = 4
"""Names that are looked up at the same time: a resolver that hangs holds no more threads."""
MAX_ADDRESSES: Final = 3
"""Addresses of one host that are tried."""
MIN_TIMEOUT_S: Final = 0.05
_PORTS: Final = {"http": 80, "https": 443}
_INNER: Final = tuple(
    map(
        ipaddress.ip_network,
        ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "3fff::/20"),
    )
)
"""What counts as global somewhere and is not: host agents of clouds, protocol assignments, test networks."""
_GLOBAL_IPV6: Final = ipaddress.ip_network("2000::/3")
"""All that was ever assigned to the world (RFC 4291, 2.4); the rest has old forms of inner addresses."""
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_HINT: Final = (
    "internal authorities have to be allowed by name; otherwise this is not an address to be fetched"
)

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], list[str]]
"""Host and port in, addresses out. Raises ``OSError``."""


def resolve(host: str, port: int) -> list[str]:
    """Every address that the system's resolver has for ``host``."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(address: Address) -> bool:
    """Whether the address is out in the world, in each of the forms in which an inner one can be written."""
    if any(address in network for network in _INNER) or address.is_multicast or not address.is_global:
        return False
    inside = tuple(_inside(address))
    if isinstance(address, ipaddress.IPv6Address) and not inside and address not in _GLOBAL_IPV6:
        return False
    return all(map(is_public, inside))


def _inside(address: Address) -> Iterator[Address]:
    """IPv4 addresses that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            yield address.ipv4_mapped
        if address.sixtofour is not None:
            yield address.sixtofour
        if address.teredo is not None:
            yield from address.teredo
        if address in _NAT64:
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


_TOO_SLOW: Final = " did not finish its answer in time"


class _NotConnected(UpstreamFailed):
    """Nobody listens at one address of a host; another may."""


class PublicHttp:
    """A client for foreign addresses. ``allowed`` names hosts (or ``host:port``) that may be inside."""

    def __init__(
        self,
        *,
        allowed: Collection[str] = (),
        transport: httpx.BaseTransport | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self._allowed = frozenset(name.lower() for name in allowed)
        self._resolve = resolve
        self._lookups = ThreadPoolExecutor(MAX_LOOKUPS, thread_name_prefix="lookup")
        self._http = httpx.Client(
            transport=transport,
            trust_env=False,
            verify=tls.context(trust_env=False),
            follow_redirects=False,
            # connections are pooled by address, and one address may serve many names
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"User-Agent": f"trustgate/{__version__}", "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        self._http.close()
        self._lookups.shutdown(wait=False, cancel_futures=True)

    def fetch(
        self, url: str, *, max_bytes: int, timeout_s: float, post: bytes | None = None, content_type: str = ""
    ) -> bytes:
        """The body of a 200. Raises ``UpstreamFailed`` for everything else."""
        deadline = time.monotonic() + timeout_s
        parts = _split(url)
        host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
        failed = UpstreamFailed(f"{host}: no address answered")
        for address in self._addresses(host, port, timeout_s)[:MAX_ADDRESSES]:
            left = max(deadline - time.monotonic(), MIN_TIMEOUT_S)
            with ending(left) as end:
                try:
                    request = self._request(parts, url, address, left, end, post, content_type)
                    with _translated(host, end), _answer(self._http, request) as answer:
                        return _body(answer, host, max_bytes, end)
                except _NotConnected as exc:
                    failed = exc
        raise failed

    def _request(
        self,
        parts: SplitResult,
        url: str,
        address: str,
        timeout_s: float,
        end: Ending,
        post: bytes | None,
        content_type: str,
    ) -> httpx.Request:
        """The connection goes to the address that was checked; the name is for the server's certificate."""
        host = str(parts.hostname)
        return self._http.build_request(
            "GET" if post is None else "POST",
            httpx.URL(url).copy_with(host=address),
            content=post,
            headers={
                "Host": _authority(host, parts),
                **({"Content-Type": content_type} if content_type else {}),
            },
            timeout=timeout_s,
            extensions={**end.extensions, **({"sni_hostname": host} if parts.scheme == "https" else {})},
        )

    def _addresses(self, host: str, port: int, timeout_s: float) -> list[str]:
        """The addresses of ``host``, in the resolver's order; each of them has to be a public one."""
        try:
            found = self._lookups.submit(self._resolve, host, port).result(timeout_s)
            addresses = [ipaddress.ip_address(one.partition("%")[0]) for one in found]
        except TimeoutError as exc:
            raise UpstreamFailed(f"{host}: the name was not resolved in {timeout_s:.0f} s") from exc
        except (OSError, UnicodeError, ValueError) as exc:
            raise UpstreamFailed(f"{host}: the name can't be resolved") from exc
        if not addresses:
            raise UpstreamFailed(f"{host}: the name has no address")
        if not {host.lower(), f"{host.lower()}:{port}"} & self._allowed:
            inner = next((one for one in addresses if not is_public(one)), None)
            if inner is not None:
                raise UpstreamFailed(f"{host} is at {inner}, which is not a public address", hint=_HINT)
        return list(map(str, addresses))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as exc:
        raise UpstreamFailed(f"{url[:80]!a} is not an address") from exc
    if len(url) > MAX_URL_CHARACTERS or not url.isascii() or not url.isprintable():
        raise UpstreamFailed(f"{url[:80]!a} is not an address")
    if parts.scheme not in _PORTS or not parts.hostname:
        raise UpstreamFailed(f"{url[:80]!a} is not an http or https address")
    if parts.username is not None or parts.password is not None:
        raise UpstreamFailed("the address names a user, which no authority's does")
    return parts


def _authority(host: str, parts: SplitResult) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{name}:{parts.port}" if parts.port not in {None, _PORTS[parts.scheme]} else name


@contextmanager
def _translated(host: str, end: Ending) -> Iterator[None]:
    try:
        yield
    except httpx.ConnectError as exc:
        raise _NotConnected(f"{host} can't be connected to") from exc
    except httpx.TimeoutException as exc:
        raise UpstreamFailed(f"{host} did not answer in time") from exc
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as exc:
        why = _TOO_SLOW if end.over else f": {type(exc).__name__}"
        raise UpstreamFailed(f"{host}{why}") from exc


@contextmanager
def _answer(client: httpx.Client, request: httpx.Request) -> Iterator[httpx.Response]:
    answer = client.send(request, stream=True)
    try:
        yield answer
    finally:
        answer.close()


def _body(answer: httpx.Response, host: str, max_bytes: int, end: Ending) -> bytes:
    if answer.status_code != httpx.codes.OK:
        raise UpstreamFailed(f"{host} answered {answer.status_code}")
    whole = bytearray()
    for piece in answer.iter_raw():
        whole += piece
        if len(whole) > max_bytes:
            raise UpstreamFailed(f"{host} answered more than {max_bytes} bytes")
    if end.over:  # what ends with its connection looks whole
        raise UpstreamFailed(f"{host}{_TOO_SLOW}")
    return bytes(whole)
