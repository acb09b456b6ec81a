"""What BUILD files declare, as plain data: the targets and the packages.

These records cross the border between the child that evaluates Starlark and the
rest of the tool as JSON, and are checked on both sides: where a builtin is called,
so that an error has the place of the call, and where the child's answer is read,
because the child ran a stranger's program.

Source paths and labels stand as they were written; they belong to the package of
the target that holds the step.
"""

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct

from buildtool.diag import BuildError
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
from buildtool.reference import TAG, read

#: How an address may begin: also by the name of a package archive, which a mirror serves.
_PLACES = ("http://", "https://", "debian:", "debian-security:", "npm:", "pypi:")


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


class DebianPackagesTarget(TargetRecord, tag="debian_packages", frozen=True, kw_only=True):
    """Debian packages unpacked, nothing of theirs run; without `dependencies` those named alone."""

    suites: Words
    components: Words = ("main",)
    packages: Words = ()
    exclude: Words = ()
    dependencies: bool = True
    keyring: Text | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.packages), "packages names at least one package")


class FetchTarget(TargetRecord, tag="fetch", frozen=True, kw_only=True):
    """A file of the web: by its SHA-256, or (one address) as the lock pins it."""

    urls: Words
    sha256: Text | None = None
    filename: Text | None = None
    executable: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.urls), "urls names at least one address")
        for url in self.urls:
            require(url.startswith(_PLACES), f"{url!r} is an http or https address")
        digest = self.sha256 is None or re.fullmatch("[0-9a-f]{64}", self.sha256)
        require(bool(digest), "sha256 has 64 lower-case hexadecimal digits")
        require(self.sha256 is not None or len(self.urls) == 1, "a file of several addresses has a sha256")


class ArchiveTarget(TargetRecord, tag="archive", frozen=True, kw_only=True):
    """The files of an archive, which is a file of the package or the label of a fetched one."""

    source: Text
    strip_prefix: Text = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_source(self.source)
        require(".." not in self.strip_prefix.split("/"), "strip_prefix is a folder of the archive")


class GitTarget(TargetRecord, tag="git", frozen=True, kw_only=True):
    """The files of a commit of a git repository; a ref is pinned by the lock."""

    remote: Text
    ref: Text = ""
    commit: Text = ""
    subdir: Text = ""
    submodules: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            bool(re.fullmatch(r"(https?|ssh|git)://\S+|[^\s/:]+@[^\s:]+:\S+", self.remote)),
            f"{self.remote!r} is the address of a repository",
        )
        require(
            bool(re.fullmatch("(|[0-9a-f]{40}|[0-9a-f]{64})", self.commit)),
            f"{self.commit!r} is a whole commit",
        )
        require(not (self.ref and self.commit), "there is a ref or a commit, not both")
        require(".." not in self.subdir.split("/"), "subdir is a folder of the repository")


class OutputsTarget(TargetRecord, tag="outputs", frozen=True, kw_only=True):
    """Files that are there after steps over a base: `outs` are paths in that root."""

    outs: Words
    base: Text | None = None
    steps: tuple[Step | Text, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.outs), "outs names at least one file")
        for path in self.outs:
            require(path.startswith("/") and ".." not in path.split("/"), f"{path!r} is an absolute path")


class PythonPackagesTarget(TargetRecord, tag="python_packages", frozen=True, kw_only=True):
    """Wheels in a virtual environment at `prefix`; `platform` is the newest tag without its machine."""

    requirements: Text
    extras: Words = ()
    python: Text = "3.11"
    platform: Text = "manylinux_2_28"
    interpreter: Text = ""
    prefix: Text = "/opt/venv"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_source(self.requirements)
        require(self.prefix.startswith("/"), f"prefix {self.prefix!r} is an absolute path")


class NodePackagesTarget(TargetRecord, tag="node_packages", frozen=True, kw_only=True):
    """The node_modules that a package-lock.json describes, in the folder `dest`."""

    package_lock: Text = "package-lock.json"
    dest: Text = "/app"
    dev: bool = False
    optional: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_source(self.package_lock)
        require(self.dest.startswith("/"), f"dest {self.dest!r} is an absolute path")


class IndexTarget(TargetRecord, tag="index", frozen=True, kw_only=True):
    """One image for several platforms."""

    image: Text
    platforms: Words

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_label(self.image, "")
        require(bool(self.platforms), "platforms names at least one platform")
        for platform in self.platforms:
            require(
                bool(re.fullmatch("[a-z0-9]+(/[a-z0-9]+){1,2}", platform)),
                f"{platform!r} is a platform, as linux/amd64",
            )
        require(len(set(self.platforms)) == len(self.platforms), "every platform is there once")


class ImageTestTarget(TargetRecord, tag="image_test", frozen=True, kw_only=True):
    """A command in an image, and what is expected of it; `files` maps paths to a text in them."""

    image: Text
    command: Words = ()
    status: Annotated[int, Meta(ge=0, le=255)] = 0
    output: Words = ()
    not_output: Words = ()
    env: Pairs = ()
    timeout: Annotated[int, Meta(gt=0, le=3600)] = 60

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_label(self.image, "")


class PushTarget(TargetRecord, tag="push", frozen=True, kw_only=True):
    """An image and the repository that it is for."""

    image: Text
    repository: Text
    tags: Words = ("latest",)

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_label(self.image, "")
        named = read(self.repository)
        require(named is not None and not named.version, f"{self.repository!r} is a repository")
        for tag in self.tags:
            require(bool(re.fullmatch(TAG, tag)), f"{tag!r} is a tag")


#: What is one layer of the images that name it among their layers.
LayerLike: TypeAlias = LayerTarget | DebianPackagesTarget | PythonPackagesTarget | NodePackagesTarget
#: What can stand among the `srcs` of others.
FilesLike: TypeAlias = FilegroupTarget | FetchTarget | ArchiveTarget | GitTarget | OutputsTarget

Target: TypeAlias = (
    ImageTarget
    | LayerTarget
    | FilegroupTarget
    | DockerfileTarget
    | DebianRootTarget
    | DebianPackagesTarget
    | FetchTarget
    | ArchiveTarget
    | GitTarget
    | OutputsTarget
    | PythonPackagesTarget
    | NodePackagesTarget
    | IndexTarget
    | ImageTestTarget
    | PushTarget
)

TARGETS: dict[str, type[TargetRecord]] = {t.__struct_config__.tag: t for t in get_args(Target)}


class Printed(Struct, frozen=True):
    """A line that print() wrote while a package was loaded."""

    text: str
    at: tuple[Site, ...]


class Globbed(Struct, frozen=True):
    """A glob that a package depends on, and the digest of what it gave."""

    include: tuple[str, ...]
    exclude: tuple[str, ...]
    digest: str


class Package(Struct, frozen=True, dict=True):
    """A loaded package: its targets in the order of their declaration, and all that it was made from.

    `reads` maps each file that was evaluated (`app/BUILD.star`, `@rules//image.star`) to its digest.
    `visibility` is that of targets without their own.  `configured` tells that a select() was
    asked on the way, so that all of this holds for one configuration only.  `names` are those
    of the targets, which stay JSON until one of them is looked at: most packages of a large
    workspace are only listed.
    """

    name: str
    names: tuple[str, ...]
    declared: msgspec.Raw
    reads: dict[str, str]
    globs: tuple[Globbed, ...] = ()
    printed: tuple[Printed, ...] = ()
    visibility: Words = (PRIVATE,)
    configured: bool = False

    @cached_property
    def targets(self) -> dict[str, Target]:
        """The targets by name; BuildError `bad-package` for what is none."""
        try:
            found = msgspec.json.decode(self.declared, type=tuple[Target, ...])
        except ValueError as e:
            raise BuildError(
                "bad-package", f"what is known of package //{self.name} is damaged: {e}"
            ) from None
        return dict(zip(self.names, found, strict=True))

    def visibility_of(self, target: TargetRecord) -> Words:
        return self.visibility if target.visibility is None else target.visibility


def encode(package: Package) -> bytes:
    return msgspec.json.encode(package)


def encode_targets(targets: Iterable[Target]) -> msgspec.Raw:
    """Targets as a package holds them."""
    return msgspec.Raw(msgspec.json.encode(tuple(targets)))


def decode(data: bytes) -> Package:
    """The package that a child or a cache wrote, its targets unread yet; ValueError for anything else."""
    return msgspec.json.decode(data, type=Package)
