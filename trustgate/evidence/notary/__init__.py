"""Notary v1 (Docker Content Trust): its metadata read, verified, updated and written. Pure."""
