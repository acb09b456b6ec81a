"""Names of images of the store as people type them (`registry/name:tag`): a tag always, a digest never."""

from dataclasses import replace

from buildtool.diag import BuildError
from buildtool.reference import Reference, read


def parse_name(text: str) -> Reference:
    """The name that `text` says, with tag `latest` where it has none; BuildError("bad-image-name").

    The store knows it by its `short` form.
    """
    found = None if "@" in text else read(text)
    if found is None:
        raise BuildError("bad-image-name", f"{text!r} is not a name for an image", hint=_advice(text))
    return replace(found, tag=found.tag or "latest")


def _advice(text: str) -> str:
    if "@" in text:
        return "a digest comes out of a build; a name has a tag at most"
    if text.lower() != text and read(text.lower()):
        return f"names are in lower case: {text.lower()}"
    return "a name looks like app, app:1.0 or registry.example/team/app:1.0"
