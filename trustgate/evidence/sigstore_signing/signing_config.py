"""Which services to ask (Sigstore protobuf-specs, ``SigningConfig`` v0.2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from trustgate.errors import ConfigInvalid
from trustgate.oci.strict_json import Json, JsonRefused, loads

MAX_CONFIG_BYTES: Final = 256 * 1024
MAX_SERVICES: Final = 32
MEDIA_TYPE: Final = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
CLIENT_TRUST_CONFIG: Final = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
FULCIO_VERSIONS: Final = frozenset({1})
REKOR_VERSIONS: Final = frozenset({1, 2})
TSA_VERSIONS: Final = frozenset({1})
_HINT: Final = "cosign signing-config create writes such files"

Selector = Literal["ALL", "ANY", "EXACT"]


@dataclass(frozen=True, slots=True)
class Service:
    """One address, and the major version of the API that is spoken there."""

    url: str
    version: int = 1
    operator: str = ""


@dataclass(frozen=True, slots=True)
class SigningConfig:
    """The services that one signature takes, chosen already."""

    fulcio: Service | None
    logs: tuple[Service, ...]
    timestamps: tuple[Service, ...]


def read_signing_config(raw: bytes, now: datetime) -> SigningConfig:
    """Choose services that are valid ``now``, of the newest version that is spoken here.

    Raises ``ConfigInvalid``.
    """
    document = _document(raw)
    fulcio = _valid(document, "caUrls", FULCIO_VERSIONS, now)
    logs = _valid(document, "rekorTlogUrls", REKOR_VERSIONS, now)
    stamps = _valid(document, "tsaUrls", TSA_VERSIONS, now)
    return SigningConfig(
        fulcio=fulcio[0] if fulcio else None,
        logs=_chosen(logs, document.get("rekorTlogConfig"), "rekorTlogConfig"),
        timestamps=_chosen(stamps, document.get("tsaConfig"), "tsaConfig"),
    )


def _document(raw: bytes) -> dict[str, Json]:
    try:
        document = loads(raw, max_bytes=MAX_CONFIG_BYTES)
    except JsonRefused as exc:
        raise ConfigInvalid(f"the signing configuration {exc}", hint=_HINT) from exc
    if isinstance(document, dict) and document.get("mediaType") == CLIENT_TRUST_CONFIG:
        document = document.get("signingConfig")
    if not isinstance(document, dict):
        raise ConfigInvalid("the signing configuration is not a JSON object", hint=_HINT)
    found = document.get("mediaType")
    if found != MEDIA_TYPE:
        raise ConfigInvalid(
            f"the signing configuration has the type {found!a:.80}, expected {MEDIA_TYPE}", hint=_HINT
        )
    return document


def _valid(document: dict[str, Json], key: str, spoken: frozenset[int], now: datetime) -> list[Service]:
    """The services of the newest version, of each operator the last begun (client spec)."""
    items = document.get(key) or []
    if not isinstance(items, list) or len(items) > MAX_SERVICES:
        raise ConfigInvalid(f"{key} is not a list of at most {MAX_SERVICES} services", hint=_HINT)
    found = [(start, service) for start, service in (_service(item, key, now) for item in items) if start]
    usable = [(start, service) for start, service in found if service.version in spoken]
    if found and not usable:
        raise ConfigInvalid(
            f"{key} offers only versions that are not spoken here: {sorted({s.version for _, s in found})}"
        )
    newest = max((service.version for _, service in usable), default=0)
    by_operator: dict[str, Service] = {}
    for _start, service in sorted(usable, key=lambda pair: pair[0]):
        if service.version == newest:
            by_operator[service.operator or service.url] = service
    return list(by_operator.values())


def _service(item: Json, key: str, now: datetime) -> tuple[datetime | None, Service]:
    """The service, and since when it is valid; ``None`` when it is not, now."""
    if not isinstance(item, dict):
        raise ConfigInvalid(f"{key} holds something that is no service", hint=_HINT)
    url, version, operator = item.get("url"), item.get("majorApiVersion"), item.get("operator", "")
    if not isinstance(url, str) or not isinstance(operator, str) or type(version) is not int:
        raise ConfigInvalid(f"{key} holds a service without url or majorApiVersion", hint=_HINT)
    window = item.get("validFor")
    if not isinstance(window, dict):
        raise ConfigInvalid(f"{key}: {url[:80]!a} does not say from when on it is valid", hint=_HINT)
    start, end = _moment(window.get("start"), key), _moment(window.get("end"), key)
    if start is None:
        raise ConfigInvalid(f"{key}: {url[:80]!a} does not say from when on it is valid", hint=_HINT)
    valid = start <= now and (end is None or now <= end)
    return (start if valid else None), Service(url.rstrip("/"), version, operator)


def _moment(value: Json, key: str) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as exc:
        raise ConfigInvalid(f"{key}: {str(value)[:40]!a} is not a time (RFC 3339)", hint=_HINT) from exc
    if moment.tzinfo is None:
        raise ConfigInvalid(f"{key}: {str(value)[:40]!a} has no time zone", hint=_HINT)
    return moment


def _chosen(services: list[Service], rule: Json, key: str) -> tuple[Service, ...]:
    """ANY is the first, ALL all of them, EXACT so many by different operators."""
    if not services:
        return ()
    selector = rule.get("selector", "ANY") if isinstance(rule, dict) else "ANY"
    if selector == "ANY":
        return (services[0],)
    if selector == "ALL":
        return tuple(services)
    count = rule.get("count") if isinstance(rule, dict) else None
    if selector != "EXACT" or type(count) is not int or not 1 <= count <= len(services):
        raise ConfigInvalid(
            f"{key} asks for {selector!a:.20} {count!a:.20} of {len(services)} services", hint=_HINT
        )
    return tuple(services[:count])
