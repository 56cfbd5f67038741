"""The machines that keep things: SQLite tables behind the ports, blobs on local disk."""
