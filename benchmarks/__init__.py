"""Benchmarks: what a build costs us, against our budgets and against Debian's buildah.

`python -m benchmarks` runs all of them; docs/design/performance.md explains them.
"""
