"""cosign's options for who must have signed, by cosign's names, and the attestors that they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.core import ParameterSource

from trustgate.cli.options import at_option, moment_of
from trustgate.cli.signing_options import read_file

if TYPE_CHECKING:
    from trustgate.evidence.attestor import Attestor
    from trustgate.evidence.sigstore.trusted_root import TrustedRoot
    from trustgate.flows.verify import Shapes

F = TypeVar("F", bound=Callable[..., Any])
GITHUB: Final = ("trigger", "sha", "name", "repository", "ref")
REFUSED: Final[Mapping[str, str]] = {
    "--insecure-ignore-sct": "a certificate transparency timestamp is always asked for",
    "--allow-insecure-registry": "certificates are always verified; use --plain-http for plain HTTP",
    "--private-infrastructure": "name your own services' roots with --trusted-root",
    "--check-claims": "a signature that is not of this digest is none",
}
_FILE = click.Path(path_type=Path)


def _said(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A condition that is given and empty is a variable that was not set, and never no condition."""
    given = context.get_parameter_source(parameter.name or "") is not ParameterSource.DEFAULT
    if given and not value:
        raise click.UsageError(f"{parameter.opts[0]} is empty")
    return value


def _text(name: str, text: str) -> Callable[[F], F]:
    return click.option(name, default="", callback=_said, help=text)


_OPTIONS = (
    click.option(
        "--key",
        "keys",
        multiple=True,
        metavar="FILE|pkcs11:…",
        help="Public key (PEM), or one in a token; one of several.",
    ),
    click.option("--ed25519ph", is_flag=True, help="Ed25519 keys sign prehashed, as cosign sign does."),
    _text("--certificate-identity", "Who must have signed, exactly."),
    _text("--certificate-identity-regexp", "The same, as a pattern of the whole."),
    _text("--certificate-oidc-issuer", "Who must have said so, exactly."),
    _text("--certificate-oidc-issuer-regexp", "The same, as a pattern of the whole."),
    *(
        _text(f"--certificate-github-workflow-{name}", f"What it must say of the workflow's {name}.")
        for name in GITHUB
    ),
    click.option("--trusted-root", type=_FILE, help="A trusted_root.json; else the public-good instance's."),
    click.option(
        "--insecure-ignore-tlog",
        type=bool,
        default=None,
        help="Ask for no log. Keyless then needs a timestamp. Keys need a log only with --trusted-root.",
    ),
    click.option(
        "--use-signed-timestamps", type=bool, default=False,
        help="Ask for a timestamp by an authority of the trusted root.",
    ),
    click.option(
        "--offline",
        type=bool,
        default=None,
        help="Ask nobody whether certificates were revoked; layouts and files are judged so with --policy.",
    ),
    click.option(
        "--new-bundle-format",
        type=bool,
        default=None,
        help="Only bundles (true), or only .sig and .att tags (false); without it everything counts.",
    ),
    click.option("-a", "annotations", multiple=True, metavar="K=V", help="Must be signed along."),
    at_option,
)  # fmt: skip


BOOLEANS: Final = frozenset(
    {"--insecure-ignore-tlog", "--use-signed-timestamps", "--offline", "--new-bundle-format", *REFUSED}
)


class CosignCommand(click.Command):
    """Reads booleans as cosign's parser does: ``--flag`` or ``--flag=false``, never the word behind it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [f"{one}=true" if one in BOOLEANS else one for one in args])


@dataclass(frozen=True, slots=True)
class CosignOptions:
    """What the user gave."""

    keys: tuple[str, ...]
    ed25519ph: bool
    certificate_identity: str
    certificate_identity_regexp: str
    certificate_oidc_issuer: str
    certificate_oidc_issuer_regexp: str
    certificate_github_workflow_trigger: str
    certificate_github_workflow_sha: str
    certificate_github_workflow_name: str
    certificate_github_workflow_repository: str
    certificate_github_workflow_ref: str
    trusted_root: Path | None
    insecure_ignore_tlog: bool | None
    use_signed_timestamps: bool
    offline: bool | None
    new_bundle_format: bool | None
    annotations: tuple[str, ...]
    at: str | None

    @property
    def keyless(self) -> bool:
        """Whether anything is said about a certificate."""
        return bool(self.certificate_identity or self.certificate_identity_regexp or self.issuer)

    @property
    def issuer(self) -> str:
        return self.certificate_oidc_issuer or self.certificate_oidc_issuer_regexp

    @property
    def shapes(self) -> Shapes:
        """Where to look."""
        from trustgate.flows.verify import Shapes

        if self.new_bundle_format is None:
            return Shapes.ALL
        return Shapes.REFERRERS if self.new_bundle_format else Shapes.TAGS

    @property
    def claims(self) -> dict[str, str]:
        """What a certificate must say of its workflow."""
        said = {
            f"github-workflow-{name}": getattr(self, f"certificate_github_workflow_{name}") for name in GITHUB
        }
        return {name: text for name, text in said.items() if text}

    @property
    def wanted_annotations(self) -> dict[str, str]:
        pairs = [text.partition("=") for text in self.annotations]
        for key, equals, _value in pairs:
            if not (key and equals):
                raise click.UsageError("-a takes KEY=VALUE")
        wanted = {key: value for key, _equals, value in pairs}
        if any(wanted[key] != value for key, _equals, value in pairs):
            raise click.UsageError("-a asks for two values of one key, and a signature has one")
        return wanted

    @property
    def now(self) -> datetime:
        """The moment that is judged."""
        return moment_of(self.at)


def _refused(name: str, why: str) -> Callable[[F], F]:
    """An option of cosign's that would make less of the answer: named, and refused."""

    def refuse(_context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        harmless = "true" if name == "--check-claims" else "false"
        if value is not None and value.lower() != harmless:
            raise click.UsageError(f"{name}: {why}")

    return click.option(name, hidden=True, callback=refuse, expose_value=False)


def cosign_options(command: F) -> F:
    """Add the options; the command gets them as ``**cosign``, for ``CosignOptions``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    for name, why in REFUSED.items():
        command = _refused(name, why)(command)
    return command


def attestors_of(options: CosignOptions) -> list[Attestor]:
    """Whom the options trust. Raises ``UsageError``, ``ConfigInvalid``, ``KeyUnreadable``."""
    if bool(options.keys) == options.keyless:
        raise click.UsageError(
            "give --key, or --certificate-identity with --certificate-oidc-issuer (or their -regexp forms)"
        )
    if options.keyless:
        return [_by_certificate(options)]
    if options.claims:
        raise click.UsageError("a key has no certificate that could say something of a workflow")
    return _by_keys(options)


def _by_keys(options: CosignOptions) -> list[Attestor]:
    from trustgate.evidence.attestor import Attestor
    from trustgate.evidence.keys import key_trust

    ignore = options.insecure_ignore_tlog
    asked = ignore is False or (options.trusted_root is not None and not ignore)
    needs_root = asked or options.use_signed_timestamps
    root = _root(options.trusted_root) if needs_root else None
    return [
        Attestor(
            _name_of(given),
            key_trust(
                _public_pem(given),
                prehashed=options.ed25519ph,
                root=root,
                min_logs=1 if asked else 0,
                min_timestamps=1 if options.use_signed_timestamps else 0,
            ),
        )
        for given in options.keys
    ]


def _public_pem(given: str) -> bytes:
    from trustgate.evidence.keys import pem_of
    from trustgate.evidence.pkcs11.uri import is_pkcs11_uri

    if not is_pkcs11_uri(given):
        return read_file(Path(given))
    from trustgate.cli.token_key import read_token_key

    return pem_of(read_token_key(given))


def _name_of(given: str) -> str:
    """What the attestor is called: never a URI's query."""
    from trustgate.evidence.pkcs11.uri import is_pkcs11_uri, read_pkcs11_uri

    return str(read_pkcs11_uri(given)) if is_pkcs11_uri(given) else Path(given).name


def _by_certificate(options: CosignOptions) -> Attestor:
    from trustgate.evidence.attestor import Attestor
    from trustgate.evidence.sigstore.pattern import PatternRefused
    from trustgate.evidence.sigstore.trust import cosign_keyless_trust

    try:
        trust = cosign_keyless_trust(
            _root(options.trusted_root),
            certificate_identity=options.certificate_identity,
            certificate_identity_regexp=options.certificate_identity_regexp,
            certificate_oidc_issuer=options.certificate_oidc_issuer,
            certificate_oidc_issuer_regexp=options.certificate_oidc_issuer_regexp,
            claims=options.claims,
            ignore_tlog=bool(options.insecure_ignore_tlog),
            use_signed_timestamps=options.use_signed_timestamps,
        )
    except PatternRefused as exc:
        raise click.UsageError(str(exc)) from exc
    wanted = options.certificate_identity or options.certificate_identity_regexp
    return Attestor(wanted[:100], trust)


def _root(path: Path | None) -> TrustedRoot:
    from trustgate.errors import ConfigInvalid
    from trustgate.evidence.sigstore.refusal import Refusal
    from trustgate.evidence.sigstore.trusted_root import read_trusted_root
    from trustgate.remote.trust_root import bundled_trusted_root

    try:
        return read_trusted_root(read_file(path) if path else bundled_trusted_root())
    except Refusal as exc:
        raise ConfigInvalid(
            f"{path}: {exc}", hint="give a trusted_root.json, media type version=0.1"
        ) from exc
