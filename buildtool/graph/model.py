"""The step kinds: what a build is made of before anything has run.

A *step* is a frozen value that refers to the steps it needs.  A *source* brings
files in; a *filesystem step* makes one layer over a base; a *result* is what a
person asked for.  A step's *output* is what carrying it out gives: for a source
or a filesystem step a tree of files, for an image its manifest.

A field marked as a hint does not take part in a step's identity: it may help to
carry the step out or to talk about it, never change its output.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias, cast

from buildtool.diag import Span
from buildtool.digest import Digest

# Under these names the rest of the tool knows them, whichever module they are written in.
from buildtool.graph.config import Healthcheck as Healthcheck
from buildtool.graph.config import History as History
from buildtool.graph.config import ImageConfig as ImageConfig
from buildtool.graph.identity import counts as counts
from buildtool.graph.identity import hint as hint
from buildtool.graph.identity import later as later
from buildtool.graph.mounts import BindMount, CacheMount, Mount
from buildtool.graph.unpacking import JoinAction, UnpackArchiveAction, UnpackWheelAction


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a step was written down, and how it is called in front of people."""

    title: str
    span: Span | None = None
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Platform:
    """An OCI platform: `linux/amd64`, `linux/arm/v7`."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(p for p in (self.os, self.architecture, self.variant) if p)


# ---------------------------------------------------------------- sources


@dataclass(frozen=True, slots=True)
class BaseLayer:
    """A layer of an image that exists, as its manifest and config describe it."""

    diff_id: Digest
    digest: Digest
    size: int
    media_type: str


@dataclass(frozen=True, slots=True, eq=False)
class ImageSource:
    """The root filesystem of an image that exists.

    `location` says where its blobs can be had (`oci-layout:PATH`, or empty for
    the store); `reference` is the name it was asked for by.
    """

    manifest: Digest
    layers: tuple[BaseLayer, ...] = hint()
    location: str = hint("")
    reference: str = hint("")
    origin: Origin | None = hint(None)


@dataclass(frozen=True, slots=True, eq=False)
class LocalSource:
    """Files of a folder on this machine: a build context, a package's files.

    `include` are paths or patterns relative to the folder ("" is all of it),
    `ignore` the lines of a .dockerignore, in order.  The output is keyed by the
    content, so neither the folder's path nor its name takes part in it.
    """

    include: tuple[str, ...]
    ignore: tuple[str, ...] = ()
    folder: str = hint("")
    origin: Origin | None = hint(None)

    def __post_init__(self) -> None:
        _check(bool(self.include), "a local source includes something")


@dataclass(frozen=True, slots=True, eq=False)
class FetchSource:
    """One file from a URL, known by its digest; the tree holds `name` alone.

    `mtime` is its own time in seconds, None where it has none.  `urls` are places to
    try in order: addresses, or an archive and a path in it (`debian:pool/main/...`)
    that a mirror may serve.
    """

    digest: Digest
    name: str
    mode: int = 0o600
    mtime: int | None = later(None)
    size: int = hint(0)
    urls: tuple[str, ...] = hint(())
    origin: Origin | None = hint(None)

    def __post_init__(self) -> None:
        _check("/" not in self.name and self.name not in ("", ".", ".."), f"{self.name!r} is a file name")


@dataclass(frozen=True, slots=True, eq=False)
class GitSource:
    """The files of a commit of a git repository, or of its folder `subdir`.

    Files are 0644 or 0755 and have no time of their own.  With `keep_git_dir` the tree
    has a `.git` that holds this commit alone; with `submodules` it has their files.
    `url` is without credentials; `address` is it with them, where it needs some.
    """

    url: str
    commit: str
    subdir: str = ""
    keep_git_dir: bool = False
    submodules: bool = True
    address: str = hint("")
    origin: Origin | None = hint(None)

    def __post_init__(self) -> None:
        commit = set(self.commit) <= set("0123456789abcdef") and len(self.commit) in (40, 64)
        _check(commit, f"{self.commit!r} is a commit")


@dataclass(frozen=True, slots=True)
class LiteralFile:
    """A file whose bytes stand in the build definition itself."""

    path: str
    data: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True, eq=False)
class LiteralSource:
    """Files whose bytes stand in the build definition itself."""

    files: tuple[LiteralFile, ...]
    origin: Origin | None = hint(None)

    def __post_init__(self) -> None:
        names = [f.path for f in self.files]
        _check(len(set(names)) == len(names), "literal files have names of their own")


# ---------------------------------------------------------------- file operations


@dataclass(frozen=True, slots=True)
class Owner:
    """`--chown` as written: names or numbers; an empty group means the user's own number."""

    user: str
    group: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class CopyAction:
    """Copy `paths` (patterns allowed) of a source to `dest`, an absolute path.

    A `dest` that ends in a slash is a folder.  Without `owner`, files of a local,
    literal or fetched source belong to 0:0 and files of a stage keep their owner.
    `mode` is octal or symbolic, as chmod takes it.  With `unpack`, a source that
    is a tar archive by its content is unpacked at `dest` instead.  With `link`,
    links in `dest` are not followed and existing folders are reset.
    """

    source: "Step"
    paths: tuple[str, ...]
    dest: str
    owner: Owner | None = None
    mode: str | None = None
    exclude: tuple[str, ...] = ()
    parents: bool = False
    unpack: bool = False
    link: bool = False
    wildcards: bool = True

    def __post_init__(self) -> None:
        _check(bool(self.paths), "a copy has a source path")
        _check(self.dest.startswith("/"), f"{self.dest!r} is an absolute path")


@dataclass(frozen=True, slots=True, eq=False)
class MakeFolderAction:
    """Make a folder and its parents (0755 and the owner); an existing one stays as it is."""

    path: str
    owner: Owner | None = None
    mode: int = 0o755

    def __post_init__(self) -> None:
        _check(self.path.startswith("/"), f"{self.path!r} is an absolute path")


@dataclass(frozen=True, slots=True, eq=False)
class MakeLinkAction:
    """Make a symbolic link, replacing a file or a link that is there."""

    path: str
    target: str
    owner: Owner | None = None

    def __post_init__(self) -> None:
        _check(self.path.startswith("/"), f"{self.path!r} is an absolute path")


@dataclass(frozen=True, slots=True, eq=False)
class UnpackDebsAction:
    """Unpack the data of Debian packages (every `.deb` of the source) at the root, running nothing.

    With `status`, each is described below /var/lib/dpkg/status.d, as distroless images have it.
    """

    source: "Step"
    status: bool = later(False)


Action: TypeAlias = (
    CopyAction
    | MakeFolderAction
    | MakeLinkAction
    | UnpackDebsAction
    | UnpackArchiveAction
    | UnpackWheelAction
    | JoinAction
)
#: The actions that take files of another step.
_TakingAction: TypeAlias = (
    CopyAction | UnpackDebsAction | UnpackArchiveAction | UnpackWheelAction | JoinAction
)


@dataclass(frozen=True, slots=True, eq=False)
class FileOp:
    """File operations over a base (None: an empty root); their sum is one layer."""

    base: "Step | None"
    actions: tuple[Action, ...]
    epoch: int
    origin: Origin | None = hint(None)

    def __post_init__(self) -> None:
        _check(bool(self.actions), "a file operation does something")


# ---------------------------------------------------------------- run


Network = Literal["default", "none", "host"]
Security = Literal["sandbox", "insecure"]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One hermetic process over a root filesystem; what it changes is one layer.

    `proxies` are variables of the machine's surroundings, below those of `env`.
    `clock` is the instant, in seconds, that the process sees and that its files
    get; with network `default` a process that reaches for the network is run with
    the instant of the recording instead.  `finishers` name what is mended in the
    files that it wrote.  `frozen` false leaves the machine's clock running.  With
    security `insecure` the process has every privilege that we have.  `place` is the
    step's name in a lock, `STAGE N PLATFORM`.
    """

    base: "Step | None"
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    user: str
    clock: int
    network: Network = "default"
    hostname: str = "buildkitsandbox"
    mounts: tuple[Mount, ...] = ()
    finishers: tuple[str, ...] = ()
    frozen: bool = True
    security: Security = later("sandbox")
    platform: Platform = Platform("linux", "amd64")
    proxies: tuple[tuple[str, str], ...] = hint(())
    place: str = hint("")
    origin: Origin | None = hint(None)

    def __post_init__(self) -> None:
        _check(bool(self.argv), "a process has arguments")
        _check(self.cwd.startswith("/"), f"{self.cwd!r} is an absolute path")


# ---------------------------------------------------------------- results


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """An image: a root filesystem (None: no layers at all) and its config."""

    rootfs: "Step | None"
    config: ImageConfig
    platform: Platform
    created: int
    history: tuple[History, ...] = ()
    author: str = ""
    annotations: tuple[tuple[str, str], ...] = ()
    origin: Origin | None = hint(None)


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """One name for the images of several platforms."""

    images: tuple[Image, ...]
    annotations: tuple[tuple[str, str], ...] = ()
    origin: Origin | None = hint(None)

    def __post_init__(self) -> None:
        names = [str(i.platform) for i in self.images]
        _check(len(set(names)) == len(names), "the images of an index have platforms of their own")


Source: TypeAlias = ImageSource | LocalSource | FetchSource | GitSource | LiteralSource
Filesystem: TypeAlias = FileOp | Run
Step: TypeAlias = Source | Filesystem | Image | Index

STEP_KINDS: tuple[type, ...] = (
    ImageSource,
    LocalSource,
    FetchSource,
    GitSource,
    LiteralSource,
    FileOp,
    Run,
    Image,
    Index,
)


def is_step(value: object) -> bool:
    """Whether `value` is a step of one of the kinds."""
    return isinstance(value, STEP_KINDS)


def inputs(step: Step) -> tuple[Step, ...]:
    """The steps that `step` refers to, in the order of its fields, each once."""
    seen: dict[int, Step] = {}
    for f in fields(step):
        for found in _steps_in(getattr(step, f.name)):
            seen.setdefault(id(found), found)
    return tuple(seen.values())


def walk(roots: "tuple[Step, ...] | list[Step]") -> list[Step]:
    """Every step that the roots need, each once, inputs before the steps that use them."""
    order: list[Step] = []
    done: set[int] = set()
    stack: list[tuple[Step, bool]] = [(r, False) for r in reversed(roots)]
    while stack:
        step, entered = stack.pop()
        if id(step) in done:
            continue
        if entered:
            done.add(id(step))
            order.append(step)
        else:
            stack.append((step, True))
            stack.extend((i, False) for i in reversed(inputs(step)))
    return order


def _steps_in(value: object) -> Iterator[Step]:
    if isinstance(value, STEP_KINDS):
        yield cast(Step, value)
    elif isinstance(value, tuple):
        for item in value:
            yield from _steps_in(item)
    elif isinstance(value, _TakingAction | BindMount):
        yield value.source
    elif isinstance(value, CacheMount):
        yield from _steps_in(value.source)


def _check(true: bool, claim: str) -> None:
    if not true:
        raise ValueError(f"not true of this step: {claim}")
