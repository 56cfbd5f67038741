"""``trustgate sign --notary-v1``: a tag in the trust data of docker and notary."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from trustgate.oci.names import Tag

if TYPE_CHECKING:
    from trustgate.cli.images import Place
    from trustgate.evidence.notary.trust import NotaryTrust
    from trustgate.flows.sign import Signed

PASSPHRASES: Final = ("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "NOTARY_DELEGATION_PASSPHRASE")

TAG_OPTIONS: Final = (
    click.option("--role", default="", metavar="targets/NAME", help="The Notary v1 role to sign in."),
    click.option(
        "--root-key",
        "root_keys",
        multiple=True,
        metavar="ID|FILE",
        help="The root that the trust data must rest on: its id, or PEM.",
    ),
    click.option(
        "--server",
        "notary_server",
        metavar="URL",
        envvar="DOCKER_CONTENT_TRUST_SERVER",
        show_envvar=True,
        default="",
        help="The Notary server; the registry's own host without.",
    ),
)


@dataclass(frozen=True, slots=True)
class TagOptions:
    """What the user gave."""

    role: str
    root_keys: Sequence[str]
    notary_server: str


def sign_tag(place: Place, key: str, options: TagOptions) -> Signed:
    """Raises ``ConfigInvalid``, ``InvalidInput``, ``KeyUnreadable``, and what places and servers raise."""
    from trustgate.cli.signing_options import read_file
    from trustgate.evidence.notary.private_key import read_delegation_key
    from trustgate.flows import sign_tag as flow
    from trustgate.remote.docker_config import DockerConfig
    from trustgate.remote.layout import PREFIX
    from trustgate.remote.notary import NotaryClient, server_host

    if not key or not options.role:
        raise click.UsageError("--notary-v1 takes --key FILE and --role targets/NAME")
    if not isinstance(place.target, Tag) or place.name.startswith(PREFIX):
        raise click.UsageError("Notary v1 signs the tag of a repository: HOST/REPO:TAG")
    trust = _trust(options.root_keys)
    pem = read_file(Path(key))
    private = read_delegation_key(pem, _passphrase(pem))
    server = options.notary_server or place.name.partition("/")[0]
    credential = DockerConfig(os.environ, Path.home()).find(server_host(server))
    with closing(NotaryClient(server, place.name, credential)) as client:
        return flow.sign_tag(
            place.source,
            place.target,
            client,
            private,
            gun=place.name,
            role=options.role,
            trust=trust,
            now=datetime.now(UTC),
        )


def _trust(given: Sequence[str]) -> NotaryTrust:
    """What stands is signed anew with the tag: from a server that is believed it could be anything."""
    from trustgate.cli.signing_options import read_file
    from trustgate.evidence.notary.trust import notary_trust

    if not given:
        raise click.UsageError(
            "name the repository's root with --root-key: its id as docker trust inspect shows it, or its PEM"
        )
    ids: set[str] = set()
    for text in given:
        file = Path(text)
        ids |= notary_trust(root_key=read_file(file)).root_keys if file.is_file() else {text}
    return notary_trust(root_key_ids=ids)


def _passphrase(pem: bytes) -> bytes:
    if b"ENCRYPTED" not in pem:
        return b""
    for name in PASSPHRASES:
        if name in os.environ:
            return os.environ[name].encode()
    from trustgate.cli.secret import ask_secret

    return ask_secret("Passphrase of the key", instead=f"set {PASSPHRASES[0]}").encode()
