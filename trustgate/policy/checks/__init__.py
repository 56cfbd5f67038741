"""One module a kind of rule: evidence in, an answer out. Pure."""
