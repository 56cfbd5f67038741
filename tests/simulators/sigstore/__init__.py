"""A private Sigstore that one can break: Fulcio, a CT log, Rekor 1 and 2, a timestamp authority, an issuer.

``PrivateSigstore()`` holds the keys and mints what the real services would have answered;
``PrivateSigstore(Faults(no_sct=True))`` is the same one with one thing wrong. All instances of a process
have the same keys, so what a broken one minted can be held against the trusted root of a good one.
``server.SigstoreServer`` speaks the services' HTTP on loopback, for real clients.

What it does not do: one process holds all keys, trees have a few leaves and no witnesses. It tests formats
and checks, and says nothing about the public-good instance.
"""

from tests.simulators.sigstore.authorities import PrivateSigstore
from tests.simulators.sigstore.faults import Faults
from tests.simulators.sigstore.leaf import Identity
from tests.simulators.sigstore.minting import (
    LegacyLayer,
    Logged,
    mint_bundle,
    mint_legacy_attestation,
    mint_legacy_layer,
)
from tests.simulators.sigstore.trust import signing_config, trusted_root

__all__ = [
    "Faults",
    "Identity",
    "LegacyLayer",
    "Logged",
    "PrivateSigstore",
    "mint_bundle",
    "mint_legacy_attestation",
    "mint_legacy_layer",
    "signing_config",
    "trusted_root",
]
