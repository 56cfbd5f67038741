"""What can be wrong, one switch each: all off is a signature that everybody accepts."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Faults:
    """Switches of ``PrivateSigstore``; several may be on at once."""

    # --- the certificate ---
    no_sct: bool = False
    sct_by_unknown_log: bool = False
    sct_over_other_certificate: bool = False
    sct_signature_broken: bool = False
    leaf_without_code_signing: bool = False
    leaf_is_ca: bool = False
    leaf_without_issuer: bool = False
    leaf_without_san: bool = False
    leaf_with_two_sans: bool = False
    leaf_by_foreign_ca: bool = False
    """By an authority of the same names that the trusted root does not hold."""
    intermediate_expired: bool = False
    intermediate_is_no_ca: bool = False
    # --- windows of the trusted root, ended before the signature ---
    ca_window_ended: bool = False
    ct_window_ended: bool = False
    log_window_ended: bool = False
    tsa_window_ended: bool = False
    # --- the log ---
    unknown_log: bool = False
    """Entry by a log whose key the trusted root does not hold."""
    no_set: bool = False
    set_by_other_key: bool = False
    set_over_other_time: bool = False
    no_inclusion_proof: bool = False
    no_checkpoint: bool = False
    wrong_root_hash: bool = False
    """In the proof; the checkpoint has the true one."""
    proof_of_other_leaf: bool = False
    proof_index_outside_tree: bool = False
    checkpoint_by_other_key: bool = False
    checkpoint_of_other_root: bool = False
    """A good signature, over the root of another tree."""
    checkpoint_origin_foreign: bool = False
    entry_for_other_artifact: bool = False
    """A genuine entry of the same signer, about other bytes."""
    entry_with_other_signature: bool = False
    entry_with_other_key: bool = False
    """The body names another certificate or key than the one that signed."""
    integrated_time_before_leaf: bool = False
    integrated_time_after_leaf: bool = False
    # --- the timestamp ---
    timestamp_over_other_bytes: bool = False
    timestamp_before_leaf: bool = False
    timestamp_after_leaf: bool = False
    timestamp_signature_broken: bool = False
    timestamp_of_other_content: bool = False
    """The signed attributes hold the digest of another TSTInfo."""
    timestamp_refused: bool = False
    """PKIStatus rejection, around a good token."""
    tsa_unknown: bool = False
    tsa_without_eku: bool = False
    tsa_eku_not_critical: bool = False
    tsa_with_second_eku: bool = False
    tsa_expired: bool = False
    # --- the signature ---
    signature_over_other_bytes: bool = False

    def __post_init__(self) -> None:
        assert all(isinstance(getattr(self, one.name), bool) for one in fields(self))


FAULTS = tuple(one.name for one in fields(Faults))
"""The names of all switches, for tests that try each."""


def only(name: str) -> Faults:
    """All is well but ``name``."""
    return Faults(**{name: True})
