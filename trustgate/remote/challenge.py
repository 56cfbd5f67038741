"""What a registry asks for with a 401 (RFC 9110, 11.6.1), and where a credential may go for it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

_PART = re.compile(r'([A-Za-z][\w-]*)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?')


def parse_challenges(text: str) -> Mapping[str, Mapping[str, str]]:
    """Scheme to parameters, both in lower case; the first challenge of a scheme counts."""
    found: dict[str, dict[str, str]] = {}
    fields: dict[str, str] = {}
    for match in _PART.finditer(text):
        name, quoted, plain = match.groups()
        if quoted is None and plain is None:
            fields = {}
            found.setdefault(name.lower(), fields)
        else:
            fields.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted else plain or "")
    return found


def is_same_site(host: str, realm: str) -> bool:
    """Whether a realm belongs to the registry at ``host`` (both without port).

    The same name does, and so do names under the registry's own domain: ``registry-1.docker.io`` logs in
    at ``auth.docker.io``. An address is itself only, and a domain of one label is nobody's own.
    This machine is one site by all its names.
    """
    host, realm = host.lower().rstrip("."), realm.lower().rstrip(".")
    if host == realm or (_is_this_machine(host) and _is_this_machine(realm)):
        return bool(host)
    if _is_address(host) or _is_address(realm):
        return False
    parent = host.partition(".")[2]
    return realm.endswith(f".{host}") or ("." in parent and f".{realm}".endswith(f".{parent}"))


def _is_this_machine(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
