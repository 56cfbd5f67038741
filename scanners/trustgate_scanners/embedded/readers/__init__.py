"""One module a kind of package database: pure, bytes in, packages out; ``ValueError`` for what is broken."""
