"""Reconciliation: what a grant's consumer has against what it should have."""
