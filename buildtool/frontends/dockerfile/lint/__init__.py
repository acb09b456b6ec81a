"""Checks of Dockerfiles: BuildKit's rules under their names, and ours on what makes a build differ."""
