"""Perturbations: what another machine would have otherwise, one respect each.

*Surroundings* say where and how a build runs; every field that has its default is as
it is here.  A *perturbation* is a name for one respect, with a few surroundings that
differ in it: a round takes one of them.  Surroundings add up (`together`), so any set
of perturbations makes one world.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

from buildtool.diag import BuildError, suggestion

Order = Literal["", "reversed", "shuffled"]

#: A folder in memory, where Linux has one.
MEMORY = "/dev/shm"
_ROOM = 2 << 30

#: personality(2): `uname` says 2.6, and programs lie at fixed addresses.
_UNAME26 = 0x0020000
_NO_RANDOM = 0x0040000


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How a build's surroundings differ from those here.

    In `env` a value None takes a variable away.  `cpus` is how many it may use, `jobs` its
    `--jobs` (0: as here).  `store` and `folder` are the ends of the paths of its store and of
    its copy of the sources, `memory` puts the store into memory, `order` is that of directory
    entries.  `limits` are soft limits by the names of the `resource` module.  `user` is an
    account's name.
    """

    env: Mapping[str, str | None] = field(default_factory=dict)
    cpus: int = 0
    jobs: int = 0
    umask: int = -1
    hostname: str = ""
    personality: int = 0
    nice: int = 0
    limits: tuple[tuple[str, int], ...] = ()
    store: str = ""
    memory: bool = False
    folder: str = ""
    order: Order = ""
    user: str = ""

    @property
    def copies(self) -> bool:
        """Whether the build needs a copy of the sources."""
        return bool(self.folder or self.order or self.user)


def together(worlds: Iterable[Surroundings]) -> Surroundings:
    """The world that differs in every respect that one of the worlds differs in."""
    changed: dict[str, Any] = {"env": {}}
    for world in worlds:
        changed["env"] |= world.env
        for f in fields(Surroundings):
            value = getattr(world, f.name)
            if f.default is not MISSING and value != f.default:
                changed[f.name] = changed.get(f.name, 0) | value if f.name == "personality" else value
    return Surroundings(**changed)


def _always() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One respect: `says` tells it, `missing` why it is not to be had on this machine (empty: it is)."""

    name: str
    says: str
    variants: tuple[Surroundings, ...]
    missing: Callable[[], str] = _always

    def world(self, round_number: int) -> Surroundings:
        """The world of a round, counted from 0."""
        return self.variants[round_number % len(self.variants)]


# ---------------------------------------------------------------- what this machine can do


def faketime() -> str:
    """The library that tells processes another time; empty where it is not installed."""
    path = f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketime.so.1"
    return path if os.path.exists(path) else ""


def clock(offset: str) -> Mapping[str, str | None]:
    """The variables of a process whose wall clock is off by `+9y`, `-30d`, ...

    Times of files stay the kernel's, as they would on a machine whose clock is off by as
    much since ever; only comparing them with the faked clock could tell.
    """
    return {
        "LD_PRELOAD": faketime(),
        "FAKETIME": offset,
        "NO_FAKE_STAT": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def roomy(folder: str = MEMORY) -> bool:
    """Whether a folder in memory has place for stores."""
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > _ROOM


def another_account() -> str:
    """An ordinary account that root can build as: who called sudo, else the first with subordinate ids."""
    import pwd

    candidates = [os.environ.get("SUDO_USER", ""), *_with_subordinate_ids()]
    for name in candidates:
        try:
            if name and pwd.getpwnam(name).pw_uid != 0:
                return name
        except KeyError:
            continue
    return ""


def _with_subordinate_ids() -> list[str]:
    try:
        with open("/etc/subuid", encoding="utf-8", errors="replace") as file:
            return [row.partition(":")[0] for row in file]
    except OSError:
        return []


def _no_faketime() -> str:
    return "" if faketime() else "libfaketime is not installed"


def _one_cpu() -> str:
    return "" if len(os.sched_getaffinity(0)) > 1 else "there is one CPU"


def _no_room() -> str:
    return "" if roomy() else f"{MEMORY} is not there, or has less than 2 GiB free"


def _not_root() -> str:
    return "" if os.geteuid() == 0 else "only root can do it"


def _no_account() -> str:
    if os.geteuid() != 0:
        return "only root can do it"
    if shutil.which("newuidmap") is None:
        return "newuidmap is not installed"
    name = another_account()
    if not name:
        return "no ordinary account has subordinate ids"
    return "" if _sees_our_code(name) else f"{name} cannot read this installation"


def _sees_our_code(account: str) -> bool:
    import pwd
    import subprocess

    entry = pwd.getpwnam(account)
    check = [sys.executable, "-P", "-c", "import buildtool.cli.main, msgspec"]
    try:
        done = subprocess.run(
            check, cwd="/", user=entry.pw_uid, group=entry.pw_gid, extra_groups=[], capture_output=True
        )
    except OSError:
        return False
    return done.returncode == 0


# ---------------------------------------------------------------- the perturbations

_TURKISH = {"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8", "LANGUAGE": "tr"}
_ASCII = {"LANG": None, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
_STRANGER = {
    "SHELL": "/bin/odd",
    "USER": "someone",
    "LOGNAME": "someone",
    "EDITOR": "ed",
    "PYTHONHASHSEED": "4242",
}
_BARE = {"SHELL": None, "USER": None, "LOGNAME": None, "TERM": None, "PYTHONHASHSEED": "7"}
_STACK, _FILES = 4 << 20, 400

PERTURBATIONS = (
    Perturbation(
        "clock",
        "another wall clock",
        (Surroundings(env=clock("+400d")), Surroundings(env=clock("-30y")), Surroundings(env=clock("+9y"))),
        _no_faketime,
    ),
    Perturbation(
        "zone",
        "another time zone",
        (
            Surroundings(env={"TZ": "Pacific/Kiritimati"}),
            Surroundings(env={"TZ": "XXX+11:30YYY,M3.2.0,M11.1.0"}),
        ),
    ),
    Perturbation("locale", "another locale", (Surroundings(env=_TURKISH), Surroundings(env=_ASCII))),
    Perturbation("environment", "other variables", (Surroundings(env=_STRANGER), Surroundings(env=_BARE))),
    Perturbation("cpus", "one CPU", (Surroundings(cpus=1),), _one_cpu),
    Perturbation("jobs", "other parallelism", (Surroundings(jobs=1), Surroundings(jobs=8))),
    Perturbation("store", "another store path", (Surroundings(store="änother store/at some/other place"),)),
    Perturbation("filesystem", "a store in memory", (Surroundings(memory=True),), _no_room),
    Perturbation(
        "path", "another checkout path", (Surroundings(folder="änother check-out/of the/same files"),)
    ),
    Perturbation(
        "order",
        "another order of directory entries",
        (Surroundings(order="reversed"), Surroundings(order="shuffled")),
    ),
    Perturbation("umask", "another umask", (Surroundings(umask=0o077), Surroundings(umask=0o000))),
    Perturbation("hostname", "another host name", (Surroundings(hostname="perturbed"),), _not_root),
    Perturbation("kernel", "a kernel that says 2.6", (Surroundings(personality=_UNAME26),)),
    Perturbation("addresses", "programs at fixed addresses", (Surroundings(personality=_NO_RANDOM),)),
    Perturbation(
        "limits",
        "other limits",
        (Surroundings(limits=(("RLIMIT_STACK", _STACK), ("RLIMIT_NOFILE", _FILES))),),
    ),
    Perturbation("niceness", "another niceness", (Surroundings(nice=5), Surroundings(nice=11))),
    Perturbation("user", "an ordinary user", (Surroundings(user="*"),), _no_account),
)


def choose(texts: Sequence[str]) -> tuple[Perturbation, ...]:
    """The perturbations that `--perturb` names: names with commas, `-NAME` for all but this one.

    All of them where nothing is said.  BuildError `bad-usage`.
    """
    names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    known = {p.name: p for p in PERTURBATIONS}
    for name in names:
        if name.removeprefix("-") not in known:
            hint = suggestion(name, known) or "buildtool verify --list shows them"
            raise BuildError("bad-usage", f"there is no perturbation {name!r}", hint=hint)
    wanted = [name for name in names if not name.startswith("-")] or list(known)
    return tuple(known[name] for name in known if name in wanted and f"-{name}" not in names)


def variable(text: str) -> Perturbation:
    """The perturbation that `--perturb-env NAME=VALUE` asks for: a variable of the user's has another value.

    BuildError `bad-usage`.
    """
    name, given, value = text.partition("=")
    if not given or not name:
        raise BuildError(
            "bad-usage", f"--perturb-env {text!r} is not NAME=VALUE", hint="VALUE may be empty, as in NAME="
        )
    return Perturbation(name, f"another value of {name}", (Surroundings(env={name: value}),))
