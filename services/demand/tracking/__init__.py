"""Tracking: what was delivered under each grant, counted from the manifests, as a process of its own."""
