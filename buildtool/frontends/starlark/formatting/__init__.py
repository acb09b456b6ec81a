"""Formatting of Starlark files, as buildifier does it."""
