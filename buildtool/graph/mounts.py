"""Mounts: what a process of a step sees besides its root filesystem, and no layer keeps.

They are values of the graph: every field is part of the identity of the step.  What
is not in them is what must not move a key: the value of a secret, the agent behind
an SSH mount, the content of a cache.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from buildtool.graph.model import Step

Sharing = Literal["shared", "private", "locked"]


@dataclass(frozen=True, slots=True, eq=False)
class BindMount:
    """A tree of another step, seen at `target` while a process runs; writes to it are lost."""

    source: "Step"
    target: str
    path: str = "/"
    read_only: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class CacheMount:
    """A folder of the store that outlives the build, seen at `target` while a process runs.

    Its content is no part of any key or layer: it may make a step faster, and whether
    it changes what the step writes is for the author of the step.  Two mounts see the
    same folder where `id`, the files of `source` (what it begins with; None: nothing),
    and `mode`, `uid` and `gid` of its top are the same.  `sharing` says what happens
    when a second process wants it: both have it, the second gets another, or waits.
    """

    target: str
    id: str
    source: "Step | None" = None
    path: str = "/"
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    sharing: Sharing = "shared"
    read_only: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class TmpfsMount:
    """An empty file system in memory, seen at `target` while a process runs; `size` in bytes."""

    target: str
    size: int | None = None
    read_only: bool = field(default=False, metadata={"later": True})


@dataclass(frozen=True, slots=True, eq=False)
class SecretMount:
    """A secret of the person who builds: a file at `target`, a variable `env`, or both.

    One that is not there is left out, its variable empty, unless it is `required`.
    """

    id: str
    target: str = ""
    env: str = ""
    required: bool = False
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SshMount:
    """A socket at `target` that reaches the SSH agent which the person who builds calls `id`."""

    id: str
    target: str
    required: bool = False
    mode: int = 0o600
    uid: int = 0
    gid: int = 0


Mount: TypeAlias = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount
