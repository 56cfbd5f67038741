"""A Sigstore trusted root out of a TUF repository, by python-tuf's client: from a pinned root on.

What is remembered lies in a folder: with it a mirror can't go back to what it showed before; without one,
what it shows has to be in time (TUF specification 1.0.34, section 5). Names of files come from roles and
digests that the client has checked, and one fixed target.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from trustgate import __version__
from trustgate.errors import ConfigInvalid, UpstreamFailed
from trustgate.remote import tls
from trustgate.remote.ending import ending
from trustgate.remote.trust_root import PUBLIC_GOOD, bundled_tuf_root

TARGET: Final = "trusted_root.json"
MAX_TARGET_BYTES: Final = 1024 * 1024
MAX_ROTATIONS: Final = 64
"""Of the repository's root, behind the pinned one; sigstore.dev's is at 15 after five years."""
REQUEST_TIMEOUT_S: Final = 20.0
TOTAL_TIMEOUT_S: Final = 120.0
_TOO_SLOW: Final = f"the mirror took more than {TOTAL_TIMEOUT_S:.0f} s"
_CONFIG: Final = UpdaterConfig(max_root_rotations=MAX_ROTATIONS, max_delegations=8)


class _Fetcher(FetcherInterface):
    """HTTP without redirects, proxies' wishes apart, and with an end."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._deadline = time.monotonic() + TOTAL_TIMEOUT_S

    def _fetch(self, url: str) -> Iterator[bytes]:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DownloadError(_TOO_SLOW)
        with ending(left) as end:
            try:
                request = self._http.build_request("GET", url, extensions=dict(end.extensions))
                with closing(self._http.send(request, stream=True)) as response:
                    if response.status_code != httpx.codes.OK:
                        raise DownloadHTTPError(
                            f"{url} answered {response.status_code}", response.status_code
                        )
                    yield from response.iter_raw()
                if end.over:  # what ends with its connection looks whole
                    raise DownloadError(_TOO_SLOW)
            except httpx.HTTPError as exc:
                why = _TOO_SLOW if end.over else f"the connection broke: {type(exc).__name__}"
                raise DownloadError(why) from exc


def fetch_trusted_root(mirror: str, *, pinned: bytes, state: Path | None = None) -> bytes:
    """``trusted_root.json`` as the repository signs it now.

    ``pinned`` is a ``root.json`` of that repository that is trusted already; what ``state`` remembers goes on
    from there. Raises ``ConfigInvalid`` for addresses that are none, and ``UpstreamFailed``.
    """
    base = _checked(mirror)
    with _folder(state) as folder, _client() as http:
        try:
            updater = Updater(
                str(folder),
                f"{base}/",
                target_base_url=f"{base}/targets/",
                fetcher=_Fetcher(http),
                config=_CONFIG,
                bootstrap=pinned,
            )
            updater.refresh()
            return _target(updater, folder)
        except (RepositoryError, DownloadError) as exc:
            raise UpstreamFailed(f"{mirror}: {_told(exc)}", hint=_HINT) from exc
        except (OSError, ValueError) as exc:
            raise UpstreamFailed(f"{mirror}: {type(exc).__name__}: {str(exc)[:200]}", hint=_HINT) from exc


def _client() -> httpx.Client:
    alone = httpx.Limits(max_keepalive_connections=0)  # a connection ends with its request
    return httpx.Client(timeout=REQUEST_TIMEOUT_S, headers=_HEADERS, limits=alone, verify=tls.context())


_HEADERS: Final = {"User-Agent": f"trustgate/{__version__}", "Accept-Encoding": "identity"}
_HINT: Final = "nothing was written; is --root a root.json of that mirror?"


def _target(updater: Updater, folder: Path) -> bytes:
    info = updater.get_targetinfo(TARGET)
    if info is None:
        raise UpstreamFailed(f"the repository has no {TARGET}", hint=_HINT)
    if info.length > MAX_TARGET_BYTES:
        raise UpstreamFailed(f"{TARGET} has {info.length} bytes, at most {MAX_TARGET_BYTES} are read")
    place = folder / TARGET
    place.unlink(missing_ok=True)  # what lies there was checked against other metadata
    updater.download_target(info, str(place))
    return place.read_bytes()


@contextmanager
def _folder(state: Path | None) -> Iterator[Path]:
    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
        yield state
        return
    with tempfile.TemporaryDirectory(prefix="trustgate-tuf-") as made:
        yield Path(made)


def _checked(mirror: str) -> str:
    """HTTPS, and plain HTTP to this machine only. Raises ``ConfigInvalid``."""
    try:
        parts = urlsplit(mirror)
    except ValueError as exc:
        raise ConfigInvalid(f"{mirror[:200]!a} is no address", hint="https://HOST/PATH") from exc
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ConfigInvalid(f"{mirror[:200]!a} is no https:// address", hint="a mirror is reached by HTTPS")
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ConfigInvalid(f"{mirror[:200]!a} is no address of a mirror", hint="https://HOST/PATH")
    return mirror.rstrip("/")


def _told(exc: Exception) -> str:
    return f"{type(exc).__name__}: {str(exc)[:300]}"


def public_good_root() -> bytes:
    """The root of sigstore.dev's repository that comes with the ``sigstore`` package."""
    return bundled_tuf_root(PUBLIC_GOOD)
