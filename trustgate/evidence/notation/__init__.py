"""Notary Project signatures (``notation``): envelopes, certificates, trust, verdicts; pure."""
