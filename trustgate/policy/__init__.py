"""Policy: files become rules, rules and evidence become a verdict. Pure: nothing here asks anyone."""
