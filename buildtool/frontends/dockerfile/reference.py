"""The short form that image names of Dockerfiles and named contexts are compared in."""

from dataclasses import replace

from buildtool.diag import BuildError
from buildtool.reference import read, split_host


def familiar(name: str) -> str:
    """The name without the default registry, `library/` and `:latest`.

    BuildError `bad-reference`, `bad-digest`.
    """
    found = read(name)
    if found is None:
        repository = split_host(name)[1].split("@")[0].split(":")[0]
        hint = "an image's name is in lower case" if repository != repository.lower() else ""
        raise BuildError("bad-reference", f'"{name}" is not the name of an image', hint=hint)
    latest = found.tag == "latest" and not found.digest
    return (replace(found, tag="") if latest else found).short


def context_name(name: str) -> str:
    """A named context's name as image names are compared; one that can name no image stays as it is."""
    try:
        return familiar(name.lower() if "/" not in name else name)
    except BuildError:
        return name
