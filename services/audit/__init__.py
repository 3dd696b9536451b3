"""The proof: every step of the exchange in one log that cannot be changed unseen."""
