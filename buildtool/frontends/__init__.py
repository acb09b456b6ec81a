"""The ways to write a build down: a Dockerfile, or BUILD.star files."""
