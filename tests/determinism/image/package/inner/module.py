"""A module below another."""

NAMES = sorted({"c", "b", "a"})
