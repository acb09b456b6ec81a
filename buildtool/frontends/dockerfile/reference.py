"""Image names: their form, and the short form that named contexts are compared in."""

import re

from buildtool.diag import BuildError

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_NAME = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(
    rf"{_NAME}(?:/{_NAME})*(?::\w[\w.-]{{0,127}})?(?P<digest>@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{{32,}})?",
    re.A,
)
_LONGEST = 4096


def familiar(name: str) -> str:
    """The name without the default registry, `library/` and `:latest`; BuildError `bad-reference`."""
    first, slash, rest = name.partition("/")
    domain, path = "", name
    if slash and (any(c in first for c in ".:") or first == "localhost" or first != first.lower()):
        domain, path = first, rest
    match = _PATH.fullmatch(path) if len(name) <= _LONGEST else None
    if match is None or (domain and not _DOMAIN.fullmatch(domain)):
        repository = path.split("@")[0].split(":")[0]
        hint = "an image's name is in lower case" if repository != repository.lower() else ""
        raise BuildError("bad-reference", f'"{name}" is not the name of an image', hint=hint)
    if domain in ("docker.io", "index.docker.io"):
        domain = ""
    if not domain:
        path = path.removeprefix("library/")
    if not match["digest"]:
        path = path.removesuffix(":latest")
    return f"{domain}/{path}" if domain else path


def context_name(name: str) -> str:
    """A named context's name as image names are compared; one that can name no image stays as it is."""
    try:
        return familiar(name.lower() if "/" not in name else name)
    except BuildError:
        return name
