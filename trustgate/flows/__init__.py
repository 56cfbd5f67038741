"""What trustgate does: a flow asks the ports, calls a decider, writes once and returns."""
