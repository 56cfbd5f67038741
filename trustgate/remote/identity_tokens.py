"""Where the identity token comes from: the command line, the environment, or the CI that runs us."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from id import IdentityError, detect_credential

from trustgate.errors import ConfigInvalid, UpstreamFailed
from trustgate.evidence.sigstore_signing.identity_token import MAX_TOKEN_CHARACTERS

AUDIENCE: Final = "sigstore"
VARIABLE: Final = "SIGSTORE_ID_TOKEN"
_HINT: Final = (
    "--key FILE; or --identity-token TOKEN or FILE, SIGSTORE_ID_TOKEN, or a CI that gives tokens "
    "(GitHub: permissions id-token: write; GitLab: id_tokens)"
)


def find_identity_token(given: str, environment: Mapping[str, str]) -> str:
    """The token itself. Raises ``ConfigInvalid``, and ``UpstreamFailed`` when the CI does not answer."""
    if given:
        return _value_or_file(given)
    if environment.get(VARIABLE):
        return environment[VARIABLE].strip()
    try:
        found = detect_credential(AUDIENCE)
    except IdentityError as exc:
        raise UpstreamFailed(f"the CI gives no identity token: {exc}", hint=_HINT) from exc
    if not found:
        raise ConfigInvalid("there is neither a key nor an identity token to sign with", hint=_HINT)
    return found


def _value_or_file(text: str) -> str:
    """A JWT has two dots and begins with ``eyJ``; everything else names a file."""
    if text.startswith("eyJ") and text.count(".") == 2:
        return text
    try:
        with Path(text).open(encoding="ascii") as file:
            return file.read(MAX_TOKEN_CHARACTERS + 1).strip()
    except (OSError, ValueError) as exc:
        raise ConfigInvalid(
            f"--identity-token {text[:60]!a} is neither a token nor a file that can be read", hint=_HINT
        ) from exc
