"""What the exchange runs on: the embedded parts of one machine, and the files for containers."""
