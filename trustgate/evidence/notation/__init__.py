"""Notary Project signatures (``notation``): envelopes, certificates, trust, verdicts. Pure, as all evidence."""
