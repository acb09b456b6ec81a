"""What BUILD files declare, as plain data: the targets and the packages.

These records cross the border between the child that evaluates Starlark and the
rest of the tool as JSON, and are checked on both sides: where a builtin is called,
so that an error has the place of the call, and where the child's answer is read,
because the child ran a stranger's program.

Source paths and labels stand as they were written; they belong to the package of
the target that holds the step.
"""

from typing import TypeAlias

import msgspec
from msgspec import Struct

from buildtool.frontends.starlark.labels import check_name, parse_label
from buildtool.frontends.starlark.steps import (
    FileStep,
    Pairs,
    Record,
    Site,
    Step,
    Text,
    Words,
    check_source,
    require,
)
from buildtool.frontends.starlark.visibility import PRIVATE, check_visibility


class TargetRecord(Record, frozen=True, tag_field="target", kw_only=True):
    """A declared target."""

    name: Text
    visibility: Words | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        check_visibility(self.visibility or ())


class ImageTarget(TargetRecord, tag="image", frozen=True, kw_only=True):
    """An image: steps over a base.  An entry of `steps` that is a text is the label of a layer."""

    base: Text | None = None
    steps: tuple[Step | Text, ...] = ()
    annotations: Pairs = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for step in self.steps:
            if isinstance(step, str):
                parse_label(step, "")


class LayerTarget(TargetRecord, tag="layer", frozen=True, kw_only=True):
    """Files that are one layer of the images that name it."""

    steps: tuple[FileStep, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.steps), "a layer holds at least one step")


class FilegroupTarget(TargetRecord, tag="filegroup", frozen=True, kw_only=True):
    """A name for files of the package and for other file groups."""

    srcs: Words

    def __post_init__(self) -> None:
        super().__post_init__()
        for src in self.srcs:
            check_source(src)


class DockerfileTarget(TargetRecord, tag="dockerfile", frozen=True, kw_only=True):
    """An image from a Dockerfile; a context is the label of an image, a folder, or an image elsewhere."""

    dockerfile: Text = "Dockerfile"
    context: Text = "."
    contexts: Pairs = ()
    build_args: Pairs = ()
    stage: Text | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_source(self.dockerfile)
        check_source(self.context)
        for _, context in self.contexts:
            check_source(context)


class DebianRootTarget(TargetRecord, tag="debian_root", frozen=True, kw_only=True):
    """An image that is a root filesystem of packages from Debian's archive."""

    suites: Words
    components: Words = ("main",)
    packages: Words = ()
    variant: Text = "minbase"
    keyring: Text | None = None


Target: TypeAlias = ImageTarget | LayerTarget | FilegroupTarget | DockerfileTarget | DebianRootTarget

TARGETS: dict[str, type[TargetRecord]] = {
    t.__struct_config__.tag: t  # type: ignore[misc]
    for t in (ImageTarget, LayerTarget, FilegroupTarget, DockerfileTarget, DebianRootTarget)
}


class Printed(Struct, frozen=True):
    """A line that print() wrote while a package was loaded."""

    text: str
    at: tuple[Site, ...]


class Globbed(Struct, frozen=True):
    """A glob that a package depends on, and the digest of what it gave."""

    include: tuple[str, ...]
    exclude: tuple[str, ...]
    digest: str


class Package(Struct, frozen=True):
    """A loaded package: its targets in the order of their declaration, and all that it was made from.

    `reads` maps each file that was evaluated (`app/BUILD.star`, `@rules//image.star`) to its digest.
    `visibility` is that of targets without their own.  `configured` tells that a select() was
    asked on the way, so that all of this holds for one configuration only.
    """

    name: str
    targets: tuple[Target, ...]
    reads: dict[str, str]
    globs: tuple[Globbed, ...] = ()
    printed: tuple[Printed, ...] = ()
    visibility: Words = (PRIVATE,)
    configured: bool = False

    def visibility_of(self, target: TargetRecord) -> Words:
        return self.visibility if target.visibility is None else target.visibility


def encode(package: Package) -> bytes:
    return msgspec.json.encode(package)


def decode(data: bytes) -> Package:
    """The package that a child or a cache wrote; ValueError for anything else."""
    return msgspec.json.decode(data, type=Package)
