"""What is true of the log: no I/O, no framework."""
