"""Registries: a thin client of the OCI distribution-spec, and the store served as one."""
