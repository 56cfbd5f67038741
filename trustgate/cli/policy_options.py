"""Options of a question to policies, and what makes them a question: whose pull, of what, from where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from trustgate.evidence.scan_report import ScanReport
    from trustgate.oci.names import RepositoryName
    from trustgate.policy.model import Caller

F = TypeVar("F", bound=Callable[..., Any])
KINDS: Final = ("contentTrust", "attestation", "severity")
"""Kinds of rules that speak about pulls."""
SCAN_SCHEMA: Final = "trustgate.scan/1"
MAX_REPORT_BYTES: Final = 256 * 1024 * 1024

policy_option = click.option(
    "--policy", "policy_source", metavar="SOURCE", help="Policies: a git repository or URL, or dir:PATH."
)
caller_option = click.option(
    "--as",
    "caller",
    default="anonymous",
    show_default=True,
    metavar="NAME",
    help="Whose pull, with --policy: a user's name, or robot:NAME.",
)
scope_option = click.option(
    "--scope",
    default="",
    metavar="HOST/REPO",
    help="Judge as if it stood there: for layouts and charts, whose policies would not know where they are.",
)
notary_server_option = click.option(
    "--notary-server",
    metavar="URL",
    default="",
    help="Where trust data of docker trust is, with --policy; for images in a registry"
    " $DOCKER_CONTENT_TRUST_SERVER without it, else the registry's own host.",
)
scan_report_option = click.option(
    "--scan-report",
    "scan_reports",
    multiple=True,
    type=click.Path(path_type=Path),
    help="What trustgate scan -o json wrote, for severity rules of --policy; the file is taken at its word.",
)
only_option = click.option(
    "--only",
    multiple=True,
    type=click.Choice(KINDS),
    help="With --policy: ask the rules of this kind alone. Without it none may be left unjudged.",
)


@dataclass(frozen=True, slots=True)
class PolicyQuestion:
    """What the user gave."""

    policy_source: str
    caller: str
    scope: str
    offline: bool | None = None
    notary_server: str = ""
    scan_reports: tuple[Path, ...] = ()
    only: tuple[str, ...] = ()

    @property
    def who(self) -> Caller:
        from trustgate.policy.model import Caller

        return Caller(self.caller.replace("robot:", "robot$", 1))

    @property
    def repository(self) -> RepositoryName | None:
        """Where ``--scope`` says that it stands. Raises ``ReferenceInvalid``, ``NameInvalid``."""
        from trustgate.oci.names import Reference

        if not self.scope:
            return None
        found = Reference.parse(self.scope)
        if found.tag or found.digest:
            raise click.UsageError("--scope is HOST/REPOSITORY, without tag or digest")
        return found.repository


_FORMS: Final = frozenset({"image", "at", "offline", "output", "plain_http"})
_TYPED: Final = ParameterSource.COMMANDLINE


def check_only_policys() -> None:
    """An option that would be ignored is a mistake: who gave it believes that it did something."""
    ctx = click.get_current_context()
    taken = _FORMS | {one.name for one in fields(PolicyQuestion)}
    for param in ctx.command.params:
        if param.name not in taken and ctx.get_parameter_source(param.name or "") is _TYPED:
            raise click.UsageError(f"{param.opts[0]} is not for --policy: the policy says what counts")


def check_not_policys(allowed: tuple[str, ...] = ()) -> None:
    """The other way round."""
    ctx = click.get_current_context()
    policys = {one.name for one in fields(PolicyQuestion)} - {"offline", *allowed}
    for param in ctx.command.params:
        if param.name in policys and ctx.get_parameter_source(param.name or "") is _TYPED:
            raise click.UsageError(f"{param.opts[0]} is for --policy")


def read_reports(paths: tuple[Path, ...]) -> list[ScanReport]:
    """Raises ``ConfigInvalid`` for what is not the JSON of ``trustgate scan``."""
    return [report for path in paths for report in _reports_in(path)]


def _reports_in(path: Path) -> list[ScanReport]:
    from trustgate.cli.signing_options import read_up_to
    from trustgate.errors import ConfigInvalid, InvalidInput

    raw = read_up_to(path, MAX_REPORT_BYTES, "is it the right file?")
    try:
        return _scan_document(raw)
    except (InvalidInput, ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ConfigInvalid(
            f"{path} is not a scan report ({type(exc).__name__})",
            hint="trustgate scan IMAGE -o json > FILE writes one",
        ) from exc


def _scan_document(raw: bytes) -> list[ScanReport]:
    import json

    from trustgate.evidence.report_json import report_from_json

    document = json.loads(raw)
    if document["schema"] != SCAN_SCHEMA:
        raise ValueError(SCAN_SCHEMA)
    return [report_from_json(one) for one in document["reports"]]
