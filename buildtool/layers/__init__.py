"""Layers: the one tar writer, its compression, and what a step changed.

The bytes of a layer are specified in docs/design/layer-format.md.
"""
