"""The face: text and bytes of HTTP to words and back. It decides nothing."""
