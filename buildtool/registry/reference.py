"""References to images in registries as people type them: `HOST/PATH[:TAG][@DIGEST]`."""

from dataclasses import replace

from buildtool.diag import BuildError
from buildtool.digest import parse_digest
from buildtool.reference import Reference, read


def parse_reference(text: str, *, default_tag: str = "latest") -> Reference:
    """The reference that `text` spells; BuildError `bad-image-name`, `bad-digest`.

    The default tag is for texts with neither tag nor digest.
    """
    found = read(text)
    if found is None:
        raise _bad(text)
    return found if found.version else replace(found, tag=default_tag)


def _bad(text: str) -> BuildError:
    name, at, digest = text.partition("@")
    if at and read(name) is not None:
        parse_digest(digest)  # says what is wrong with it
    lower = text.lower()
    hint = "an image of a registry is named HOST/PATH:TAG or HOST/PATH@sha256:..."
    if lower != text and read(lower.partition("@")[0]) is not None:
        hint = f"names are in lower case: {lower}"
    return BuildError("bad-image-name", f"{text[:300]!r} does not name an image of a registry", hint=hint)
