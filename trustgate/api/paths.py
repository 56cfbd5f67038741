"""From the path of a ``/v2/`` request to words, before anything else looks at it.

The raw path is read: an encoded slash or dot is not a slash or dot, it is a name that is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

from trustgate.errors import InvalidInput, NameInvalid, NotFound
from trustgate.oci.names import RepositoryName

MAX_PATH_BYTES = 4096
MAX_QUERY_BYTES = 8192
MAX_QUERY_FIELDS = 64

Kind = Literal["ping", "catalog", "manifests", "blobs", "upload-begin", "upload", "tags", "referrers"]

_UPLOADS = re.compile(r"(?P<name>.+)/blobs/uploads/(?P<rest>[^/]*)")
_TAGS = re.compile(r"(?P<name>.+)/tags/(?P<rest>list)")
_CONTENT = re.compile(r"(?P<name>.+)/(?P<kind>manifests|blobs|referrers)/(?P<rest>[^/]+)")


@dataclass(frozen=True, slots=True)
class Route:
    """What a path names. ``rest`` is a tag, digest or upload id, not looked at yet."""

    kind: Kind
    repository: RepositoryName | None = None
    rest: str = ""


def route(raw_path: bytes) -> Route:
    """Raises ``NameInvalid`` or ``NotFound``."""
    if len(raw_path) > MAX_PATH_BYTES:
        raise NameInvalid(f"the path has {len(raw_path)} bytes, at most {MAX_PATH_BYTES} are read")
    path = raw_path.decode("latin-1").removeprefix("/v2")
    if path in {"", "/"}:
        return Route("ping")
    if path == "/_catalog":
        return Route("catalog")
    if "%" in path:
        path = _decode_digest(path)
    return _in_repository(path.removeprefix("/"))


def _in_repository(path: str) -> Route:
    if found := _TAGS.fullmatch(path):
        return Route("tags", RepositoryName(found["name"]))
    if path.endswith("/blobs/uploads"):
        return Route("upload-begin", RepositoryName(path.removesuffix("/blobs/uploads")))
    if found := _UPLOADS.fullmatch(path):
        kind: Kind = "upload" if found["rest"] else "upload-begin"
        return Route(kind, RepositoryName(found["name"]), found["rest"])
    if found := _CONTENT.fullmatch(path):
        return Route(found["kind"], RepositoryName(found["name"]), found["rest"])  # type: ignore[arg-type]  # the pattern names the three
    raise NotFound(f"there is nothing at /v2/{path[:120]!a}")


def _decode_digest(path: str) -> str:
    """Some clients write ``sha256%3A…``; no other escape can stand in a valid name or tag."""
    head, slash, last = path.rpartition("/")
    last = re.sub("%3[aA]", ":", last)
    if "%" in head or "%" in last:
        raise NameInvalid(
            f"{path[:120]!a} has percent-encoded characters",
            hint="names are lower-case letters, digits and . _ - /, none of which are encoded",
        )
    return f"{head}{slash}{last}"


def query(raw: bytes) -> list[tuple[str, str]]:
    """The fields of a query string. Raises ``InvalidInput``."""
    if len(raw) > MAX_QUERY_BYTES:
        raise InvalidInput(f"the query has {len(raw)} bytes, at most {MAX_QUERY_BYTES} are read")
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except (ValueError, UnicodeDecodeError) as exc:
        raise InvalidInput("the query string can't be read") from exc
