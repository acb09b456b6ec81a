"""Labels: the names of targets, of patterns over them, and of `.star` files to load.

A target is `//package:name`; `//a/b` is short for `//a/b:b`, and `:name` stands
for a target of the package where it is written.  A package is a folder with a
BUILD.star, named by its path from the workspace root ("" for the root itself).
`//a/...` is a pattern: every target in `a` and below.
"""

import re
from dataclasses import dataclass

from buildtool.diag import BuildError

BUILD_FILE = "BUILD.star"
ROOT_FILE = "buildtool.toml"

_SEGMENT = re.compile(r"[A-Za-z0-9_.+=,@~-]+")


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """The name of a target."""

    package: str
    name: str

    def __str__(self) -> str:
        return f"//{self.package}:{self.name}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Labels asked for together: one target, or with `below` all in a package and under it.

    `every` is all targets of one package (`//a:all`).
    """

    package: str
    name: str = ""
    below: bool = False

    @property
    def every(self) -> bool:
        return not self.name and not self.below


def is_label(text: str) -> bool:
    """Whether a text is written as a label: it begins with `//` or a colon."""
    return text.startswith(("//", ":"))


def parse_label(text: str, package: str) -> Label:
    """The target that `text` names when it is written in `package`; BuildError `bad-label`."""
    if not is_label(text):
        raise _bad(text, f"a label begins with // or a colon, as in //{package}:{text}")
    where, colon, name = text.partition(":")
    if where:
        package = _package(where[2:], text)
        if not colon:
            name = package.rpartition("/")[2]
            if not name:
                raise _bad(text, "the root package has no target of its own name; write //:name")
    if not _SEGMENT.fullmatch(name) or name in (".", "..", "..."):
        raise _bad(text, "a target's name is made of letters, digits and _ . + = , @ ~ -")
    return Label(package, name)


def parse_pattern(text: str, package: str) -> Pattern:
    """What a person asks for on a command line: a label, `//a/...`, `...` or `//a:all`."""
    head = text.removesuffix("...")
    if text.endswith("...") and (head in ("", "//") or head.endswith("/")):
        if not head.startswith("//"):
            head = f"//{package}/{head}" if package else f"//{head}"
        return Pattern(_package(head[2:].strip("/"), text), below=True)
    if text.endswith(":all"):
        where = text.removesuffix(":all")
        return Pattern(_package(where[2:], text) if where.startswith("//") else package)
    label = parse_label(text, package)
    return Pattern(label.package, label.name)


def check_name(name: str) -> str:
    """A name that a target may have; BuildError `bad-label`."""
    return parse_label(":" + name, "").name


@dataclass(frozen=True, slots=True)
class ModuleLabel:
    """The name of a `.star` file: `shipped` ones come with this tool (`@rules//`)."""

    shipped: bool
    package: str
    name: str

    @property
    def path(self) -> str:
        """The file, relative to the workspace root or to the shipped rules."""
        return f"{self.package}/{self.name}" if self.package else self.name

    def __str__(self) -> str:
        """How the file is shown in front of people, and called by Starlark."""
        return f"@rules//{self.path}" if self.shipped else self.path


def parse_module(text: str, package: str, shipped: bool) -> ModuleLabel:
    """The file that `load(text)` in `package` means; BuildError `bad-load`.

    `:x.star` and `x.star` are files of the same package, `//a:x.star` and `//a/x.star`
    files of the workspace, `@rules//x.star` files that come with this tool.
    """
    rest = text
    if text.startswith("@"):
        repository, slashes, rest = text.partition("//")
        if repository != "@rules" or not slashes:
            raise _bad_load(text, "the only other place to load from is @rules//")
        shipped, package = True, ""
    elif text.startswith("//"):
        shipped, package, rest = False, "", text[2:]
    where, colon, name = rest.rpartition(":")
    if not colon:
        where, _, name = rest.rpartition("/")
        if where and ".." not in where and not text.startswith(("//", "@")):
            raise _bad_load(text, f"a file of another package is //{rest}")
    if where:
        package = where
    if not name.endswith(".star") or name == BUILD_FILE:
        raise _bad_load(text, "a file to load has a name that ends in .star, and is no BUILD.star")
    segments = [*package.split("/"), name] if package else [name]
    if not all(_SEGMENT.fullmatch(s) and s not in (".", "..") for s in segments):
        raise _bad_load(text, "load() takes //package:file.star, :file.star or @rules//file.star")
    return ModuleLabel(shipped, package, name)


def _package(path: str, text: str) -> str:
    if path and not all(_SEGMENT.fullmatch(s) and s not in (".", "..", "...") for s in path.split("/")):
        raise _bad(text, "a package is a path of folders from the workspace root, as in //a/b")
    return path


def _bad(text: str, hint: str) -> BuildError:
    return BuildError("bad-label", f"{text[:200]!r} is not a label", hint=hint)


def _bad_load(text: str, hint: str) -> BuildError:
    return BuildError("bad-load", f"{text[:200]!r} is not a file to load", hint=hint)
