"""The scanner that comes with trustgate: own package readers, OSV advisories, no network."""
