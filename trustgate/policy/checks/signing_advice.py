"""How to sign so that an attestor counts: the command of the format that the trust store names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

from trustgate.evidence.attestor import Attestor
from trustgate.evidence.helm.trust import GpgTrust
from trustgate.evidence.keys import KeyTrust
from trustgate.evidence.notary.trust import NotaryTrust
from trustgate.evidence.notation.trust import NotationTrust
from trustgate.evidence.sigstore.trust import KeylessTrust
from trustgate.policy.checks.answer import HOST
from trustgate.policy.checks.shortfall import some
from trustgate.policy.model import Request

_ATTEST_WITH_KEY: Final = "attest it: cosign attest --key KEY"


def how_to_sign(attestors: Iterable[Attestor], missing: tuple[str, ...], request: Request) -> str:
    """What to run, for the first attestor that is missing; all missing ones are named."""
    first = next((one for one in attestors if one.name in missing), None)
    command = _command(first, request) if first else "sign it"
    return f"{command} (attestor {some(missing)})"


def how_to_attest(
    attestors: Iterable[Attestor], missing: tuple[str, ...], predicate_type: str, request: Request
) -> str:
    """The same for an attestation of that type."""
    first = next((one for one in attestors if one.name in missing), None)
    keyless = first is not None and isinstance(first.trust, KeylessTrust)
    how = "attest it with the identity that is trusted: cosign attest" if keyless else _ATTEST_WITH_KEY
    place = f"{HOST}{request.repository}@{request.digest}"
    return f"{how} --type {predicate_type} --predicate FILE {place} (attestor {some(missing)})"


def _command(attestor: Attestor, request: Request) -> str:
    place = f"{HOST}{request.repository}@{request.digest}"
    match attestor.trust:
        case KeyTrust():
            return f"sign it: cosign sign --key KEY {place}"
        case KeylessTrust():
            return f"sign it with the identity that is trusted: cosign sign {place}"
        case NotationTrust():
            return f"sign it: notation sign {place}"
        case NotaryTrust():
            tag = request.tag or "TAG"
            return f"sign its tag: docker trust sign {HOST}{request.repository}:{tag}"
        case GpgTrust():
            return "sign the chart: helm package --sign, and push it with its .prov"
        case _ as never:
            assert_never(never)
