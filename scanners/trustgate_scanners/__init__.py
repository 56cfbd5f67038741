"""Scanner adapters that come with trustgate; a stranger's adapter registers in the same way."""
