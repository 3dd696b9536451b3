"""The demo: a sample world at work on a real exchange."""
