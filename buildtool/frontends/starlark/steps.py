"""The steps of an image as BUILD files hold them: plain values, each checked when it is made.

The fields of a record are what a builtin of `prelude.star` passes on, and what the
JSON of a declaration holds; `declared` says who reads that.
"""

import re
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from buildtool.frontends.starlark.labels import is_label, parse_label

#: Longer texts belong in a file.
MAX_TEXT = 1 << 20

Text: TypeAlias = Annotated[str, Meta(max_length=MAX_TEXT)]
Pairs: TypeAlias = tuple[tuple[Text, Text], ...]
Words: TypeAlias = tuple[Text, ...]

_OWNER = re.compile(r"[^\s:]+(:[^\s:]+)?")
_MODE = re.compile(r"[0-7]{1,4}|[ugoa]*[-+=][rwxXst]*(,[ugoa]*[-+=][rwxXst]*)*")
_PORT = re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?(/(tcp|udp|sctp))?")
LAST_PORT = 65535
_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+|0")
_VARIABLE = re.compile(r"[^=\0]+")


class Site(Struct, frozen=True):
    """A call on the way to a declaration: what is called there, in which function, on which line of text."""

    file: str
    line: int
    function: str
    call: str
    text: str


class Record(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A value that a builtin makes, with the calls that led to it, outermost first."""

    at: tuple[Site, ...] = ()


# ---------------------------------------------------------------- steps


class StepRecord(Record, frozen=True, tag_field="step", kw_only=True):
    """A step of an image, as a plain value."""


class Copy(StepRecord, tag="copy", frozen=True, kw_only=True):
    """Files of the package, of file groups, or of another image."""

    srcs: Words
    dest: Text
    owner: Text | None = None
    mode: Text | None = None
    from_: Text | None = None
    exclude: Words = ()
    parents: bool = False
    link: bool = False
    unpack: bool = False

    def __post_init__(self) -> None:
        require(bool(self.srcs), "srcs names at least one file")
        _path(self.dest, "dest")
        _owner(self.owner)
        _mode(self.mode)
        if self.from_ is None:
            for src in self.srcs:
                check_source(src)
        if len(self.srcs) > 1 or any(is_label(s) for s in self.srcs):
            require(self.dest.endswith("/"), f"dest {self.dest!r} ends in a slash: it takes several files")


class Files(StepRecord, tag="files", frozen=True, kw_only=True):
    """Files whose text stands in the declaration."""

    files: Pairs
    owner: Text | None = None
    mode: Text = "644"

    def __post_init__(self) -> None:
        require(bool(self.files), "there is at least one file")
        for path, _ in self.files:
            _path(path, "a file's path")
            require(not path.endswith("/"), f"{path!r} names a file, not a folder")
        _owner(self.owner)
        _octal(self.mode)


class Mkdir(StepRecord, tag="mkdir", frozen=True, kw_only=True):
    """A folder."""

    path: Text
    owner: Text | None = None
    mode: Text = "755"

    def __post_init__(self) -> None:
        _path(self.path, "path")
        _owner(self.owner)
        _octal(self.mode)


class Symlink(StepRecord, tag="symlink", frozen=True, kw_only=True):
    """A symbolic link."""

    path: Text
    target: Text
    owner: Text | None = None

    def __post_init__(self) -> None:
        _path(self.path, "path")
        require(bool(self.target) and "\0" not in self.target, "target is a path")
        _owner(self.owner)


class Join(StepRecord, tag="join", frozen=True, kw_only=True):
    """One file of the content of several."""

    srcs: Words
    dest: Text
    mode: Text = "644"
    from_: Text | None = None

    def __post_init__(self) -> None:
        require(bool(self.srcs), "srcs names at least one file")
        _path(self.dest, "dest")
        _octal(self.mode)
        if self.from_ is None:
            for src in self.srcs:
                check_source(src)


FileStep: TypeAlias = Copy | Files | Mkdir | Symlink | Join


class Together(StepRecord, tag="together", frozen=True, kw_only=True):
    """File steps that make one layer."""

    steps: tuple[FileStep, ...]

    def __post_init__(self) -> None:
        require(bool(self.steps), "a layer holds at least one step")


class BindMount(Struct, tag="bind", tag_field="mount", frozen=True, forbid_unknown_fields=True):
    """Files of an image or of the package, seen while a process runs."""

    target: Text
    source: Text
    path: Text = "/"
    read_only: bool = True

    def __post_init__(self) -> None:
        _path(self.target, "target")
        if not is_label(self.source):
            check_source(self.source)


class TmpfsMount(Struct, tag="tmpfs", tag_field="mount", frozen=True, forbid_unknown_fields=True):
    """An empty file system in memory; `size` in bytes."""

    target: Text
    size: Annotated[int, Meta(gt=0, le=1 << 40)] | None = None

    def __post_init__(self) -> None:
        _path(self.target, "target")


class Run(StepRecord, tag="run", frozen=True, kw_only=True):
    """A process: a command for the shell in force, or arguments; `env` is its alone, `title` for people."""

    command: Text | Words
    env: Pairs = ()
    network: Literal["none", "default", "host"] = "none"
    mounts: tuple[BindMount | TmpfsMount, ...] = ()
    title: Text | None = None

    def __post_init__(self) -> None:
        require(bool(self.command), "the command is not empty")
        _variables(self.env)


class Env(StepRecord, tag="env", frozen=True, kw_only=True):
    """Environment variables."""

    values: Pairs

    def __post_init__(self) -> None:
        require(bool(self.values), "there is at least one variable")
        _variables(self.values)


class Label(StepRecord, tag="label", frozen=True, kw_only=True):
    """Labels of the image config."""

    values: Pairs

    def __post_init__(self) -> None:
        require(bool(self.values), "there is at least one label")
        for name, _ in self.values:
            require(bool(name), "a label has a name")


class Workdir(StepRecord, tag="workdir", frozen=True, kw_only=True):
    """The working directory."""

    path: Text

    def __post_init__(self) -> None:
        _path(self.path, "path")


class User(StepRecord, tag="user", frozen=True, kw_only=True):
    """The user of the steps and processes that follow."""

    name: Text

    def __post_init__(self) -> None:
        _owner(self.name)


class Expose(StepRecord, tag="expose", frozen=True, kw_only=True):
    """Ports."""

    ports: Words

    def __post_init__(self) -> None:
        require(bool(self.ports), "there is at least one port")
        for port in self.ports:
            numbers = port.partition("/")[0].split("-")
            fits = bool(_PORT.fullmatch(port)) and max(map(int, numbers)) <= LAST_PORT
            require(fits, f"{port!r} is a port, as 80 or 53/udp")


class Volume(StepRecord, tag="volume", frozen=True, kw_only=True):
    """Mount points of volumes."""

    paths: Words

    def __post_init__(self) -> None:
        require(bool(self.paths), "there is at least one path")
        for path in self.paths:
            _path(path, "path")


class Entrypoint(StepRecord, tag="entrypoint", frozen=True, kw_only=True):
    """The entry point: a command for the shell in force, or arguments."""

    command: Text | Words


class Cmd(StepRecord, tag="cmd", frozen=True, kw_only=True):
    """The default command: one for the shell in force, or arguments."""

    command: Text | Words


class Shell(StepRecord, tag="shell", frozen=True, kw_only=True):
    """The shell of the commands that follow."""

    argv: Words

    def __post_init__(self) -> None:
        require(bool(self.argv), "a shell has arguments")


class StopSignal(StepRecord, tag="stop_signal", frozen=True, kw_only=True):
    """The signal that asks a container to stop."""

    signal: Text

    def __post_init__(self) -> None:
        require(bool(re.fullmatch(r"[A-Z0-9+-]+", self.signal)), f"{self.signal!r} is a signal")


class Healthcheck(StepRecord, tag="healthcheck", frozen=True, kw_only=True):
    """How the health of a container is checked; None turns an inherited check off.  Durations as `1m30s`."""

    command: Text | Words | None
    interval: Text = "0"
    timeout: Text = "0"
    start_period: Text = "0"
    start_interval: Text = "0"
    retries: Annotated[int, Meta(ge=0, le=1_000_000)] = 0

    def __post_init__(self) -> None:
        for text in (self.interval, self.timeout, self.start_period, self.start_interval):
            require(bool(_DURATION.fullmatch(text)), f"{text!r} is a duration, as 30s or 1m30s")


Step: TypeAlias = (
    Copy
    | Files
    | Mkdir
    | Symlink
    | Join
    | Together
    | Run
    | Env
    | Label
    | Workdir
    | User
    | Expose
    | Volume
    | Entrypoint
    | Cmd
    | Shell
    | StopSignal
    | Healthcheck
)

STEPS: dict[str, type[StepRecord]] = {
    t.__struct_config__.tag: t  # type: ignore[misc]
    for t in (
        Copy,
        Files,
        Mkdir,
        Symlink,
        Join,
        Together,
        Run,
        Env,
        Label,
        Workdir,
        User,
        Expose,
        Volume,
        Entrypoint,
        Cmd,
        Shell,
        StopSignal,
        Healthcheck,
    )
}


# ---------------------------------------------------------------- checks


def require(true: bool, claim: str) -> None:
    """ValueError unless the claim is true."""
    if not true:
        raise ValueError(f"it must hold that {claim}")


def _variables(pairs: Pairs) -> None:
    for name, value in pairs:
        require(bool(_VARIABLE.fullmatch(name)), f"{name!r} is the name of a variable")
        require("\0" not in value, "a value has no NUL character")


def _path(path: str, what: str) -> None:
    require(bool(path) and "\0" not in path, f"{what} is a path")


def check_source(path: str) -> None:
    """A path of the package, or a label; a folder out of the package is another package's to name."""
    if is_label(path):
        parse_label(path, "")
        return
    require(bool(path) and "\0" not in path, "a source is a path or a label")
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(
            f"{path!r} is not inside the package; files of another package come through a filegroup() there"
        )


def _owner(owner: str | None) -> None:
    if owner is not None and not _OWNER.fullmatch(owner):
        raise ValueError(f"{owner!r} is not an owner; write user, user:group or numbers")


def _mode(mode: str | None) -> None:
    if mode is not None and not _MODE.fullmatch(mode):
        raise ValueError(f'{mode!r} is not a mode; write 0o755, "755" or "u+x"')


def _octal(mode: str) -> None:
    if not re.fullmatch(r"[0-7]{1,4}", mode):
        raise ValueError(f'{mode!r} is not a mode; write 0o755 or "755"')
