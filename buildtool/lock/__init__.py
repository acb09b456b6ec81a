"""The lock: what moves, pinned."""
