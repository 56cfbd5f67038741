"""Trust in identities: whose certificates count, given out by whom, and what must be proven beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trustgate.evidence.sigstore.certificate import CLAIMS, Identity
from trustgate.evidence.sigstore.pattern import Exact, PatternRefused, Text, exact, glob, whole
from trustgate.evidence.sigstore.refusal import NotTrusted
from trustgate.evidence.sigstore.trusted_root import TrustedRoot
from trustgate.evidence.sigstore.verify import KeylessProof, check_enough

MAX_CLAIMS: Final = 32
_SHOWN: Final = 120


@dataclass(frozen=True, slots=True)
class KeylessTrust:
    """A signature counts when its certificate names this issuer and this identity, and makes these claims.

    A certificate transparency timestamp is always needed, and so is a proven time: by a log, or by a
    timestamp authority of ``root``.
    """

    root: TrustedRoot
    issuer: Text
    identity: Text
    claims: tuple[tuple[str, Text], ...] = ()
    """Names of certificate extensions (``CLAIMS``) and what they must say; one that is missing fails."""
    min_logs: int = 1
    """Distinct transparency logs that must hold the signature."""
    min_timestamps: int = 0
    """Distinct timestamp authorities that must have seen it."""
    second_judge: bool = field(default=True)
    """Ask the ``sigstore`` library too, wherever it covers the shape; both must accept."""

    def __post_init__(self) -> None:
        if min(self.min_logs, self.min_timestamps) < 0 or self.min_logs + self.min_timestamps < 1:
            raise PatternRefused(
                "a keyless signature needs a log entry or a timestamp: its time must be proven"
            )
        unknown = sorted(name for name, _ in self.claims if name not in CLAIMS)
        if unknown:
            raise PatternRefused(
                f"{unknown[0][:_SHOWN]!a} is not a certificate claim; known are {', '.join(sorted(CLAIMS))}"
            )
        if len(self.claims) > MAX_CLAIMS:
            raise PatternRefused(f"at most {MAX_CLAIMS} claims are read")

    @property
    def sole_identity(self) -> str | None:
        """The one identity that can ever match; ``None`` where a pattern leaves it open."""
        if isinstance(self.issuer, Exact) and isinstance(self.identity, Exact):
            return named(Identity(self.identity.text, self.issuer.text))
        return None

    def check(self, found: KeylessProof) -> None:
        """Raises ``NotTrusted`` when the certificate is someone else's, or too little is proven."""
        self.check_identity(found.identity)
        check_enough(found.proof, min_logs=self.min_logs, min_timestamps=self.min_timestamps)

    def check_identity(self, found: Identity) -> None:
        """Raises ``NotTrusted`` when the certificate is someone else's, or was given for something else."""
        if not self.issuer.matches(found.issuer):
            raise NotTrusted(
                f"its certificate is by the issuer {_shown(found.issuer)}, not by the trusted one"
            )
        if not self.identity.matches(found.subject):
            raise NotTrusted(f"its certificate is for {_shown(found.subject)}, not for the trusted identity")
        for name, wanted in self.claims:
            said = found.claims.get(name, "")
            if not said or not wanted.matches(said):
                raise NotTrusted(f"its certificate says {_shown(said)} for {name}, not what is trusted")


def keyless_trust(
    root: TrustedRoot,
    *,
    issuer: Text,
    identity: Text,
    claims: Mapping[str, str] | None = None,
    min_logs: int = 1,
    min_timestamps: int = 0,
) -> KeylessTrust:
    """Trust as a policy writes it: each claim exactly, or with ``*`` as a glob. Raises ``PatternRefused``."""
    wanted = tuple(
        (name, glob(text) if "*" in text else exact(text)) for name, text in (claims or {}).items()
    )
    return KeylessTrust(root, issuer, identity, wanted, min_logs, min_timestamps)


def cosign_keyless_trust(
    root: TrustedRoot,
    *,
    certificate_identity: str = "",
    certificate_identity_regexp: str = "",
    certificate_oidc_issuer: str = "",
    certificate_oidc_issuer_regexp: str = "",
    claims: Mapping[str, str] | None = None,
    ignore_tlog: bool = False,
    use_signed_timestamps: bool = False,
) -> KeylessTrust:
    """Trust as cosign's options say it, except that a regular expression must match the whole text.

    Raises ``PatternRefused``.
    """
    return KeylessTrust(
        root,
        issuer=_chosen("certificate-oidc-issuer", certificate_oidc_issuer, certificate_oidc_issuer_regexp),
        identity=_chosen("certificate-identity", certificate_identity, certificate_identity_regexp),
        claims=tuple((name, exact(text)) for name, text in (claims or {}).items()),
        min_logs=0 if ignore_tlog else 1,
        min_timestamps=1 if use_signed_timestamps or ignore_tlog else 0,
    )


def _chosen(option: str, text: str, pattern: str) -> Text:
    if bool(text) == bool(pattern):
        raise PatternRefused(f"give exactly one of --{option} and --{option}-regexp")
    return exact(text) if text else whole(pattern)


def named(found: Identity) -> str:
    """What distinct signers are counted by."""
    return f"keyless:{found.issuer} {found.subject}"


def _shown(text: str) -> str:
    return f"{text[:_SHOWN]!a}" if text else "nothing"
