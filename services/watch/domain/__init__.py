"""What is true about lag, curves and the road's hops; no I/O."""
