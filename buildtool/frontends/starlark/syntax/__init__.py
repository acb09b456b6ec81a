"""The syntax of Starlark with its comments, for what rewrites and checks files."""
