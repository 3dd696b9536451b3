"""What is true of the catalogue: no I/O, no framework."""
