"""The embedded exchange: all parts on one machine, without root, without a container engine."""
