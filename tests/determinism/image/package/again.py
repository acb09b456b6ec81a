"""A module whose bytecode holds a set, names and a docstring."""

VALUE = "naïve"


def allowed(name: str) -> bool:
    """Membership in a frozen set is where marshalling once depended on the hash seed."""
    return name in {"alpha", "beta", "gamma", "delta", "epsilon"}
