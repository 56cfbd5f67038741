"""The scanner adapters."""
