"""What is true of demands and grants: no I/O, no framework."""
