"""A key that lives elsewhere, to be broken: its answer, its public half, whether it answers at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding

from trustgate.errors import SigningKeyUnavailable
from trustgate.evidence.signing_algorithm import SigningAlgorithm


@dataclass(slots=True)
class SimulatedKey:
    """The port ``SigningKey`` over ``private``; ``change`` makes another answer of a good one."""

    private: Any
    says: Any = None
    """The private key whose public half is shown instead."""
    change: Callable[[bytes], bytes] = bytes
    broken: bool = False
    asked: list[SigningAlgorithm] = field(default_factory=list)

    def __str__(self) -> str:
        return "pkcs11:token=simulated;object=key"

    def public_key(self) -> Any:
        return (self.says or self.private).public_key()

    def sign(self, content: bytes, algorithm: SigningAlgorithm) -> bytes:
        self.asked.append(algorithm)
        if self.broken:
            raise SigningKeyUnavailable("the token was pulled out", hint="plug it in")
        return self.change(_signature(self.private, content, algorithm))


def _signature(private: Any, content: bytes, algorithm: SigningAlgorithm) -> bytes:
    chosen = algorithm.hash
    if isinstance(private, ed25519.Ed25519PrivateKey):
        assert chosen is None
        return private.sign(content)
    if isinstance(private, ec.EllipticCurvePrivateKey):
        assert chosen is not None
        return private.sign(content, ec.ECDSA(chosen))
    assert chosen is not None
    pad: Any = padding.PKCS1v15()
    if "PSS" in algorithm:
        pad = padding.PSS(padding.MGF1(chosen), chosen.digest_size)
    signature: bytes = private.sign(content, pad, chosen)
    return signature
