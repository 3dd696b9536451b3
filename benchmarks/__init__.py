"""Benchmarks: what the exchange does in a second and how long a change is on its way, beside a peer in the same run."""
