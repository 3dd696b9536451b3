"""What rules say of several rows at once: that values are unique, and that two resources say the same of one entity."""
