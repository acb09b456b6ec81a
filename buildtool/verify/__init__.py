"""Verification: whether two builds or two images are the same, and if not, where they differ and why."""
