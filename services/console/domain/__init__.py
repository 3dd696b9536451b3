"""What is true of signing in, and of who is told what: no I/O, no framework."""
