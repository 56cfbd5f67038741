"""From what the user writes (``HOST/REPO:TAG``, ``oci-layout:DIR:TAG``) to a place with images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from trustgate.oci.digest import Digest
from trustgate.oci.names import Reference, RepositoryName, Tag
from trustgate.ports import ImageSource


@dataclass(frozen=True, slots=True)
class Place:
    """A source, what is asked of it, and how to name both to people."""

    source: ImageSource
    target: Tag | Digest
    name: str
    """``HOST/REPO`` or ``oci-layout:DIR``."""
    repository: RepositoryName
    listed: Callable[[], Iterable[Tag | Digest]]
    """What stands there: its tags, or the entries of a layout."""
    is_local: bool = False
    """Whether it is on this machine: then no network is touched unless it is asked for."""

    @property
    def tag(self) -> Tag | None:
        """The name by which it is asked for, if there is one."""
        return self.target if isinstance(self.target, Tag) else None

    def at(self, digest: Digest) -> str:
        return f"{self.name}@{digest}"


def open_place(text: str, *, plain_http: bool = False, create: bool = False) -> Place:
    """Raises ``ReferenceInvalid``, ``NotFound`` and the parse errors."""
    from trustgate.remote.layout import PREFIX, LayoutSource, parse_layout_reference

    if text.startswith(PREFIX):
        directory, target = parse_layout_reference(text)
        source = LayoutSource(directory, create=create)
        name = f"{PREFIX}{directory}"
        return Place(source, target, name, RepositoryName("local/layout"), source.listed, is_local=True)
    reference = Reference.parse(text)
    registry = open_registry(reference, plain_http=plain_http)
    name = f"{reference.host}/{reference.repository}"
    return Place(registry, reference.target, name, reference.repository, registry.tags)


def open_registry(reference: Reference, *, plain_http: bool = False) -> ImageSource:
    """The client for a reference, with the user's credential for its host."""
    from trustgate.remote.docker_config import DockerConfig
    from trustgate.remote.registry import client_for

    credential = DockerConfig(os.environ, Path.home()).find(reference.host)
    client = client_for(reference, credential, plain_http=plain_http)
    click.get_current_context().call_on_close(client.close)
    return client


def warn_about_tag(place: Place, digest: Digest) -> str:
    """What to say when a tag was named and a digest was worked on."""
    if isinstance(place.target, Digest):
        return ""
    return f"you named the tag {place.target}; it pointed to {digest}"
