"""buildtool builds OCI container images that are the same, bit for bit, on every machine."""

__version__ = "0.1.0"
