"""Layers: the one tar writer, its compression, and what a step changed."""
