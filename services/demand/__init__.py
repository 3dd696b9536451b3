"""The demand side: who asked for what, what was granted, and the broker state that follows from it."""
