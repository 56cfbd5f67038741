"""Suites that every implementation of a port, and every adapter, has to pass."""
