"""Keyless signing as values: what is asked of Fulcio, Rekor and timestamp authorities, and what came back."""
