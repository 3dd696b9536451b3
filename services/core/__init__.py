"""The shared kernel: what at least two services use, and nothing else."""
