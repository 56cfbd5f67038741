"""Sigstore's evidence, judged by pure code: bytes, a trusted root and a policy in, facts out."""
