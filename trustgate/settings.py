"""What the operator chose, read once: flag, then ``TRUSTGATE_*``, then ``trustgate.toml``, then default.

All mistakes are told together, each with the place where it stands. Only ``cli`` and ``wiring`` see this.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trustgate.errors import ConfigInvalid

DEFAULT_PORT = 5080
MAX_PORT = 65535
MAX_DAYS = 36_500
CONFIG_FILE = "trustgate.toml"
ENVIRONMENT_PREFIX = "TRUSTGATE_"
SLIP = 0.8
THE_ENVIRONMENT, THE_COMMAND_LINE = "the environment", "the command line"
_UNITS = ("", "KiB", "MiB", "GiB", "TiB")
_SIZE = re.compile(rf"([0-9]{{1,18}}) ?({'|'.join(_UNITS)})")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that ``trustgate serve`` can be told."""

    data: Path = Path("trustgate-data")
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    policy: str = "starter"
    """A git work tree, bare repository or URL (with ``#ref``), ``dir:PATH``, or ``starter``."""
    public_url: str = ""
    """How clients reach the registry, when that is not ``http://host:port``."""
    metrics_port: int = 0
    """Prometheus metrics on this port of the same host; 0 for none."""
    scanners: tuple[str, ...] = ("embedded",)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    sparse_indexes: bool = False
    """Accept an index although a manifest that it lists is missing."""
    max_blob_bytes: int = 128 * 1024**3
    """The most that is taken as one blob; with a unit, as 20GiB."""
    threads: int = 16
    """Threads for blocking work: database, disk, password hashes."""
    policy_interval_s: int = 30
    decision_days: int = 90
    """How long the record of a decision is kept, and its page answers."""
    revocation_hosts: tuple[str, ...] = ()
    """Hosts of own certificate authorities: OCSP and CRLs are fetched from them at inner addresses too."""

    @property
    def base_url(self) -> str:
        """How decisions and tokens name this registry."""
        scheme = "https" if self.tls_cert else "http"
        name = {"127.0.0.1": "localhost", "::1": "localhost"}.get(self.host, self.host)
        name = f"[{name}]" if ":" in name else name
        return (self.public_url or f"{scheme}://{name}:{self.port}").rstrip("/")

    @property
    def own_hosts(self) -> frozenset[str]:
        """The hosts that name this registry in ``HOST/REPOSITORY``; on loopback, by each of its names."""
        host = self.base_url.partition("://")[2]
        if self.public_url or not host.startswith("localhost:"):
            return frozenset({host})
        return frozenset({host, f"127.0.0.1:{self.port}", f"[::1]:{self.port}"})


def load_settings(
    flags: Mapping[str, Any], environment: Mapping[str, str], *, config: Path | None = None
) -> Settings:
    """Put the sources together. ``flags`` holds what was given on the command line, by field name.

    Raises ``ConfigInvalid`` with every mistake.
    """
    mistakes: list[str] = []
    values: dict[str, Any] = {}
    names = {field.name for field in fields(Settings)}
    for source, given in (
        *_from_file(config, mistakes),
        (THE_ENVIRONMENT, _from_environment(environment, mistakes)),
        (THE_COMMAND_LINE, flags),
    ):
        for name, value in given.items():
            if name not in names:
                mistakes.append(f"{source}: there is no setting {name!r}{_suggestion(name, names)}")
            elif value is not None:
                _read(name, value, source, values, mistakes)
    settings = Settings(**values)
    _check_together(settings, mistakes)
    if mistakes:
        raise ConfigInvalid(
            "the settings do not fit together:\n  " + "\n  ".join(mistakes),
            hint="trustgate serve --help lists all settings",
        )
    return settings


def _from_file(config: Path | None, mistakes: list[str]) -> list[tuple[str, Mapping[str, Any]]]:
    path = config or Path(CONFIG_FILE)
    try:
        return [(str(path), tomllib.loads(path.read_text("utf-8")))]
    except FileNotFoundError:
        if config is not None:
            mistakes.append(f"{config}: there is no such file")
        return []
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        mistakes.append(f"{path}: {exc}")
        return []


def _from_environment(environment: Mapping[str, str], mistakes: list[str]) -> dict[str, str]:
    """Variables of other makers share the prefix (Kubernetes' do), so only what looks like a slip is one."""
    known = {f"{ENVIRONMENT_PREFIX}{field.name.upper()}": field.name for field in fields(Settings)}
    for name in environment:
        if not name.startswith(ENVIRONMENT_PREFIX) or name in known:
            continue
        close = get_close_matches(name.removeprefix(ENVIRONMENT_PREFIX).lower(), known.values(), 1, SLIP)
        if close:
            mistakes.append(f"{name} is no setting; did you mean {ENVIRONMENT_PREFIX}{close[0].upper()}?")
    return {known[name]: value for name, value in environment.items() if name in known and value}


def _read(name: str, value: Any, source: str, values: dict[str, Any], mistakes: list[str]) -> None:
    try:
        values[name] = _READERS[name](value)
    except (ValueError, TypeError) as exc:
        mistakes.append(f"{_spelled(name, source)}: {exc}")


def _spelled(name: str, source: str) -> str:
    """The setting as the reader wrote it, there where it has to be changed."""
    if source == THE_ENVIRONMENT:
        return f"{ENVIRONMENT_PREFIX}{name.upper()}"
    if source == THE_COMMAND_LINE:
        return f"--{name.replace('_', '-')}"
    return f"{source}: {name}"


def _port(value: Any) -> int:
    if str(value).startswith("tcp://"):
        raise ValueError(
            f"{str(value)!r} is not a port; Kubernetes sets this variable for a Service named trustgate: "
            "name the Service otherwise, or set enableServiceLinks: false"
        )
    try:
        number = int(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a port (0 to {MAX_PORT})") from None
    if not 0 <= number <= MAX_PORT:
        raise ValueError(f"{number} is not a port (0 to {MAX_PORT})")
    return number


def _count(value: Any) -> int:
    number = int(value) if str(value).isdecimal() else 0
    if not 1 <= number <= 1024:
        raise ValueError(f"{value!r} is not a number from 1 to 1024")
    return number


def _days(value: Any) -> int:
    number = int(value) if str(value).isdecimal() else 0
    if not 1 <= number <= MAX_DAYS:
        raise ValueError(f"{value!r} is not a number of days from 1 to {MAX_DAYS}")
    return number


def _bytes(value: Any) -> int:
    found = _SIZE.fullmatch(str(value))
    if found is None or not int(found[1]):
        raise ValueError(f"{value!r} is not a size like 20GiB")
    return int(found[1]) << 10 * _UNITS.index(found[2])


def _flag(value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() not in words:
        raise ValueError(f"{value!r} is not true or false")
    return words[str(value).lower()]


def _url(value: Any) -> str:
    parts = urlsplit(str(value))
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/") or parts.query:
        raise ValueError(f"{value!r} is not a URL like https://registry.example.com")
    return str(value).rstrip("/")


def _names(value: Any) -> tuple[str, ...]:
    return tuple(value.split(",")) if isinstance(value, str) else tuple(map(str, value))


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "data": lambda value: Path(str(value)),
    "host": str,
    "port": _port,
    "policy": str,
    "public_url": _url,
    "metrics_port": _port,
    "scanners": _names,
    "revocation_hosts": _names,
    "tls_cert": lambda value: Path(str(value)),
    "tls_key": lambda value: Path(str(value)),
    "sparse_indexes": _flag,
    "max_blob_bytes": _bytes,
    "threads": _count,
    "policy_interval_s": _count,
    "decision_days": _days,
}


def _check_together(settings: Settings, mistakes: list[str]) -> None:
    if (settings.tls_cert is None) != (settings.tls_key is None):
        mistakes.append("tls-cert and tls-key go together")
    named = [path for path in (settings.tls_cert, settings.tls_key) if path is not None]
    mistakes += [f"{path}: there is no such file" for path in named if not path.is_file()]


def _suggestion(name: str, names: set[str]) -> str:
    close = get_close_matches(name, names, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
