"""Everything that lies outside: other registries, git repositories of policies."""
