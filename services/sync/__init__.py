"""The data road: every granted change, once, in order, cut to its grant."""
