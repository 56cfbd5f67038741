"""Repository names, tags and references (distribution-spec, "Pulling manifests")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from trustgate.errors import NameInvalid, ReferenceInvalid, TagInvalid
from trustgate.oci.digest import Digest

MAX_NAME_CHARACTERS = 255
MAX_TAG_CHARACTERS = 128
_SHOWN_CHARACTERS = 80

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(rf"[a-zA-Z0-9_][a-zA-Z0-9._-]{{0,{MAX_TAG_CHARACTERS - 1}}}")
_HOST = re.compile(r"(?:\[[0-9a-fA-F:]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::[0-9]{1,5})?")


class RepositoryName(str):
    """A repository's name, checked when it is made. Raises ``NameInvalid``."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if len(text) > MAX_NAME_CHARACTERS:
            raise NameInvalid(
                f"the repository name has {len(text)} characters, at most {MAX_NAME_CHARACTERS} are allowed"
            )
        if not _NAME.fullmatch(text):
            raise NameInvalid(
                f"{text[:_SHOWN_CHARACTERS]!r} is not a repository name",
                hint="lower-case letters and digits in parts joined by '/', with . _ __ or - inside a part",
            )
        return super().__new__(cls, text)

    @property
    def project(self) -> str:
        """The first path segment: grants are given on it."""
        return self.partition("/")[0]


class Tag(str):
    """A tag, checked when it is made. Raises ``TagInvalid``."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if not _TAG.fullmatch(text):
            raise TagInvalid(
                f"{text[:_SHOWN_CHARACTERS]!r} is not a tag",
                hint=f"at most {MAX_TAG_CHARACTERS} letters, digits, '_', '.' and '-'; no '.' or '-' first",
            )
        return super().__new__(cls, text)


def tag_or_digest(text: str) -> Tag | Digest:
    """What stands after ``/manifests/`` in a URL. Raises ``DigestInvalid`` or ``TagInvalid``."""
    return Digest(text) if ":" in text else Tag(text)


@dataclass(frozen=True, slots=True)
class Reference:
    """``HOST/REPOSITORY[:TAG][@DIGEST]``; with a digest, the digest is what counts."""

    host: str
    repository: RepositoryName
    tag: Tag | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a full reference; a host is required (no implicit docker.io).

        Raises ``ReferenceInvalid``, ``NameInvalid``, ``TagInvalid`` or ``DigestInvalid``.
        """
        host, slash, rest = text.partition("/")
        if not slash or not _HOST.fullmatch(host) or not _looks_like_host(host):
            raise ReferenceInvalid(
                f"{text[:_SHOWN_CHARACTERS]!r} does not begin with a registry's host",
                hint="write the host out: localhost:5080/shop/web:1",
            )
        rest, at, digest = rest.partition("@")
        name, colon, tag = rest.partition(":")
        return cls(
            host=host,
            repository=RepositoryName(name),
            tag=Tag(tag) if colon else None,
            digest=Digest(digest) if at else None,
        )

    @property
    def target(self) -> Tag | Digest:
        """What to ask the registry for: the digest, else the tag, else ``latest``."""
        return self.digest or self.tag or Tag("latest")

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.repository}{tag}{digest}"


def _looks_like_host(host: str) -> bool:
    return host == "localhost" or any(character in host for character in ".:[")
