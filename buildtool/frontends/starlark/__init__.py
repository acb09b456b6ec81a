"""The Starlark frontend: BUILD.star files to declared targets, targets to a graph."""
