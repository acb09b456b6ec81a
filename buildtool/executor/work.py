"""Work: one step as data, complete enough to be carried out in another process or on another machine.

A `Spec` names its inputs by digest.  `python -m buildtool.executor.worker SPEC`
carries one out and prints its `Outcome`; the local executor sends the same
structures to a worker process over a pipe, and a remote one would send them as
an action.
"""

from typing import TypeAlias

import msgspec

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.graph.mounts import Sharing
from buildtool.lock.exchanges import Exchange
from buildtool.network.settings import Settings
from buildtool.store import chain_id


class LayerRef(msgspec.Struct, frozen=True, array_like=True):
    """A layer by its `diff_id`; `blob` is its stored form, empty while there is only a snapshot."""

    diff_id: Digest
    blob: str = ""
    size: int = 0


class ChainTree(msgspec.Struct, frozen=True, tag="chain"):
    """The tree that layers make, lowest first."""

    layers: tuple[LayerRef, ...]


class LocalTree(msgspec.Struct, frozen=True, tag="local"):
    """Files of a folder: the listing (a file in the store's tmp) says which, and what they are.

    Both as the bytes that the kernel knows them by: a path of a machine need not be text.
    """

    folder: bytes
    listing: bytes


class FileTree(msgspec.Struct, frozen=True, tag="file"):
    """One blob of the store under a file name."""

    digest: Digest
    name: str
    mode: int
    mtime: int | None = None


class ArchiveTree(msgspec.Struct, frozen=True, tag="archive"):
    """The files of a plain tar archive of our own making, a blob of the store; they have no times."""

    digest: Digest


class LiteralTree(msgspec.Struct, frozen=True, tag="literal"):
    """Files by value: path, bytes, mode."""

    files: tuple[tuple[str, bytes, int], ...]


Tree: TypeAlias = ChainTree | LocalTree | FileTree | ArchiveTree | LiteralTree


class CopyWork(msgspec.Struct, frozen=True, tag="copy"):
    """A CopyAction, its source a tree; `owner` is user and group as written."""

    source: Tree
    paths: tuple[str, ...]
    dest: str
    owner: tuple[str, str] | None
    mode: str | None
    exclude: tuple[str, ...]
    parents: bool
    unpack: bool
    link: bool
    wildcards: bool


class FolderWork(msgspec.Struct, frozen=True, tag="folder"):
    """A MakeFolderAction."""

    path: str
    owner: tuple[str, str] | None
    mode: int


class LinkWork(msgspec.Struct, frozen=True, tag="link"):
    """A MakeLinkAction."""

    path: str
    target: str
    owner: tuple[str, str] | None


class DebsWork(msgspec.Struct, frozen=True, tag="debs"):
    """An UnpackDebsAction, its source a tree."""

    source: Tree
    status: bool = False


class UnpackWork(msgspec.Struct, frozen=True, tag="unpack"):
    """An UnpackArchiveAction, its source a tree."""

    source: Tree
    dest: str
    strip: str
    plain: bool
    executable: tuple[str, ...]


class WheelWork(msgspec.Struct, frozen=True, tag="wheel"):
    """An UnpackWheelAction, its source a tree."""

    source: Tree
    prefix: str
    python: str


class JoinWork(msgspec.Struct, frozen=True, tag="join"):
    """A JoinAction, its source a tree."""

    source: Tree
    paths: tuple[str, ...]
    dest: str
    mode: int


ActionWork: TypeAlias = CopyWork | FolderWork | LinkWork | DebsWork | UnpackWork | WheelWork | JoinWork


class FileWork(msgspec.Struct, frozen=True, tag="files"):
    """Carry out the actions of a FileOp."""

    base: ChainTree
    actions: tuple[ActionWork, ...]
    epoch: int
    compression: str | None


class Hidden(msgspec.Struct, frozen=True, array_like=True):
    """Bytes that nobody may read in a message or a traceback."""

    data: bytes

    def __repr__(self) -> str:
        return "Hidden(...)"


class BindWork(msgspec.Struct, frozen=True, tag="bind"):
    """A BindMount, its source a tree."""

    target: str
    source: ChainTree
    path: str
    read_only: bool


class CacheWork(msgspec.Struct, frozen=True, tag="cache"):
    """A CacheMount, what it begins with a tree or nothing."""

    target: str
    id: str
    source: ChainTree | None
    path: str
    mode: int | None
    uid: int | None
    gid: int | None
    sharing: Sharing
    read_only: bool


class TmpfsWork(msgspec.Struct, frozen=True, tag="tmpfs"):
    """A TmpfsMount."""

    target: str
    size: int | None
    read_only: bool


class SecretWork(msgspec.Struct, frozen=True, tag="secret"):
    """A SecretMount with its value; empty `target` or `env`: not seen there."""

    target: str
    env: str
    value: Hidden
    mode: int
    uid: int
    gid: int


class SshWork(msgspec.Struct, frozen=True, tag="ssh"):
    """An SshMount, `agent` being the socket of the agent on this machine."""

    target: str
    agent: str
    mode: int
    uid: int
    gid: int


MountWork: TypeAlias = BindWork | CacheWork | TmpfsWork | SecretWork | SshWork


class RunWork(msgspec.Struct, frozen=True, tag="run"):
    """Carry out a Run.

    `network` is `none`, `watched` (none, and say if it was wanted), `host`, or `recorded`, as
    `internet` says; of a process that is launched, `slirp4netns` is one of its own with a way out.
    """

    base: ChainTree
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    user: str
    clock: int
    frozen: bool
    network: str
    hostname: str
    mounts: tuple[MountWork, ...]
    finishers: tuple[str, ...]
    architecture: str
    compression: str | None
    insecure: bool = False
    internet: Settings | None = None


class VolumeWork(msgspec.Struct, frozen=True, array_like=True):
    """A file or folder of this machine that a process sees at `target`."""

    source: str
    target: str
    read_only: bool


class AttendWork(msgspec.Struct, frozen=True):
    """What a person who attends a process gives it, descriptors being those of the worker.

    `streams` are its standard input, output and error, and the socket for signals and the
    terminal.  `terminal` is its size in rows and columns.  `ports` are listening sockets and
    the ports that they lead to in the process's own network namespace.
    """

    streams: tuple[int, int, int, int]
    terminal: tuple[int, int] | None = None
    volumes: tuple[VolumeWork, ...] = ()
    ports: tuple[tuple[int, int], ...] = ()
    read_only: bool = False


class LaunchWork(msgspec.Struct, frozen=True, tag="launch"):
    """Run a process as a person tries an image: its output and exit status matter, its changes are lost."""

    process: RunWork
    attend: AttendWork | None = None


class CompressWork(msgspec.Struct, frozen=True, tag="compress"):
    """Give the topmost layer of a chain a stored form, from its snapshot or its plain tar."""

    chain: ChainTree
    compression: str


class FlattenWork(msgspec.Struct, frozen=True, tag="flatten"):
    """Make one plain tar archive of all files of a chain."""

    chain: ChainTree


class SnapshotWork(msgspec.Struct, frozen=True, tag="snapshot"):
    """Make the snapshots of a chain, all of whose layers are in the store."""

    chain: ChainTree


Spec: TypeAlias = FileWork | RunWork | LaunchWork | CompressWork | FlattenWork | SnapshotWork


class Outcome(msgspec.Struct, frozen=True):
    """What carrying out a spec gave.

    `size` is that of the tar; `blob` and `blob_size` are empty where no stored
    form was made.  `reached_out`: a watched process wanted the network, and there
    is no layer.  `status` is the exit status of a launched process, `exchanges` what one in the
    recorded internet asked for and got.
    """

    diff_id: str = ""
    size: int = 0
    blob: str = ""
    blob_size: int = 0
    compression: str = ""
    reached_out: bool = False
    mended: tuple[str, ...] = ()
    status: int = 0
    exchanges: tuple[Exchange, ...] = ()


class Failure(msgspec.Struct, frozen=True):
    """A BuildError on its way between processes."""

    code: str
    message: str
    hint: str = ""
    output: str = ""
    exit_status: int = 1
    missing: str = ""


class Request(msgspec.Struct, frozen=True):
    """Parent to worker: carry this out, in the order of arrival or side by side."""

    number: int
    spec: Spec


class Event(msgspec.Struct, frozen=True):
    """Worker to parent, about request `number`; exactly one of the last three ends a request."""

    number: int
    output: bytes | None = None
    advanced: tuple[str, int, int | None] | None = None
    outcome: Outcome | None = None
    failure: Failure | None = None
    crash: str | None = None


class LayerMissing(BuildError):
    """Something that was thought to be in the store is not, or is damaged: it must be made again."""

    def __init__(self, what: str) -> None:
        super().__init__("layer-missing", f"not in the store, or damaged: {what}", exit_status=1)
        self.what = what


class LayerElsewhere(LayerMissing):
    """A layer that is known as the result of a step alone: the step must be carried out here."""

    def __init__(self) -> None:
        super().__init__("a layer that its cache does not hold")


def failure_of(error: BuildError) -> Failure:
    """The error as data; spans stay with the parent, which knows the step."""
    missing = error.what if isinstance(error, LayerMissing) else ""
    return Failure(error.code, error.message, error.hint, error.output, error.exit_status, missing)


def error_of(failure: Failure) -> BuildError:
    """The error again."""
    if failure.missing:
        return LayerMissing(failure.missing)
    return BuildError(
        failure.code,
        failure.message,
        hint=failure.hint,
        output=failure.output,
        exit_status=failure.exit_status,
    )


def chain_ids(layers: tuple[LayerRef, ...]) -> list[Digest]:
    """The ChainID of each prefix of the layers, lowest first (image-spec, "Layer ChainID")."""
    chains: list[Digest] = []
    for layer in layers:
        chains.append(chain_id(chains[-1] if chains else None, layer.diff_id))
    return chains
