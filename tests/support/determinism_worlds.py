"""Worlds that a build may happen in: each differs from the plain one in a single respect.

Every world has a store, a context and a working directory of its own, so that
nothing of an earlier build helps.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from buildtool.verify import perturb
from buildtool.verify.building import entrance_of
from buildtool.verify.perturb import clock, roomy
from tests.support.determinism_context import make_context

__all__ = ["FAKETIME", "MEMORY", "PLAIN", "ROOT", "WORLDS", "Result", "World", "build", "clock", "roomy"]

ROOT = Path(__file__).resolve().parents[2]
MEMORY = Path(perturb.MEMORY)
FAKETIME = Path(perturb.faketime() or "/nowhere/libfaketime.so.1")

#: An instant in 2023, older than some of the base's files and younger than others.
EPOCH = 1_680_000_000

Condition = Callable[[], str | None]
Place = Literal["anywhere", "disk", "memory"]


def needs(*programs: str) -> Condition:
    """Why a world is not to be had on this machine: a program is not there."""

    def missing() -> str | None:
        return next((f"{name} is not installed" for name in programs if shutil.which(name) is None), None)

    return missing


def no_need() -> str | None:
    """Every machine has it."""
    return None


def _needs_memory() -> str | None:
    return None if roomy() else f"{MEMORY} is not there, or too small"


def _needs_attributes_in_memory() -> str | None:
    """An ordinary user's overlay keeps its marks in user attributes, which tmpfs has since Linux 6.6."""
    if not roomy():
        return _needs_memory()
    with tempfile.NamedTemporaryFile(dir=MEMORY) as f:
        try:
            os.setxattr(f.name, "user.probe", b"y")
        except OSError:
            return "tmpfs has no user attributes"
    return needs("newuidmap")()


@dataclass(frozen=True)
class World:
    """What is different: `wrap` goes before the command, a value None takes a variable away.

    What may be anywhere is in memory if there is room, where builds are three times as fast.
    """

    name: str
    wrap: tuple[str, ...] = ()
    env: Mapping[str, str | None] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    seed: int = 0
    store: Place = "anywhere"
    context: Place = "anywhere"
    folder: str = "context"
    ordinary_user: bool = False
    #: The store is found by XDG_CACHE_HOME rather than named.
    default_store: bool = False
    missing: Condition = no_need


def _perturbed(perturbation: perturb.Perturbation) -> Iterator[World]:
    """The worlds of what `buildtool verify` changes about a process, entered as it enters them."""
    for number, changes in enumerate(perturbation.variants):
        entrance = msgspec.json.encode(entrance_of(changes)).decode()
        yield World(
            f"{perturbation.name}-{number}",
            wrap=(sys.executable, "-m", "buildtool.verify.enter", entrance),
            options=("--jobs", str(changes.jobs)) if changes.jobs else (),
            missing=lambda: perturbation.missing() or None,
        )


#: What is arranged around a process rather than by it has worlds of its own below.
_AROUND = ("store", "filesystem", "path", "order", "user")

PLAIN = World("plain", store="disk", context="disk")

WORLDS = (
    World("again"),
    *(world for p in perturb.PERTURBATIONS if p.name not in _AROUND for world in _perturbed(p)),
    World("checkout-path", folder="änother check-out/of the/same files"),
    World("checkout-path-of-bytes", folder="bytes-\udcff\udcfe/here"),
    World("home-unset", env={"HOME": None}, default_store=True),
    World("no-bytecode", env={"PYTHONDONTWRITEBYTECODE": "1"}),
    World("store-on-disk", store="disk"),
    World("store-in-memory", store="memory", missing=_needs_memory),
    World("ordinary-user", ordinary_user=True, store="disk", context="disk", missing=needs("newuidmap")),
    World(
        "ordinary-user-in-memory",
        ordinary_user=True,
        store="memory",
        context="memory",
        missing=_needs_attributes_in_memory,
    ),
    World("directory-order", seed=7, context="disk"),
    World("directory-order-of-memory", seed=8, context="memory", missing=_needs_memory),
    World("crun", env={"BUILDTOOL_RUNTIME": "crun"}, missing=needs("crun")),
    World("runc", env={"BUILDTOOL_RUNTIME": "runc"}, missing=needs("runc")),
)


class User(Protocol):
    """The ordinary user of tests/conftest.py."""

    uid: int
    gid: int
    home: Path
    environment: dict[str, str]


@dataclass(frozen=True)
class Result:
    """What a build came to: the store is a layout that has the manifest of this digest."""

    digest: str
    store: Path


def build(
    world: World, dockerfile: str, *, disk: Path, memory: Path | None, base: Path | None, user: User | None
) -> Result:
    """Build the fixture in a world, using the folders `disk` and, where there is room, `memory`.

    `base` is an image layout whose only image takes the name `base`.  AssertionError
    with all that was printed if the build fails.
    """
    store_place, context_place = (
        disk if place == "disk" or memory is None else memory for place in (world.store, world.context)
    )
    owner = (user.uid, user.gid) if user is not None else None
    context = make_context(context_place / world.folder, seed=world.seed, owner=owner)
    environment = _environment(world, user)
    if world.default_store:
        environment.pop("BUILDTOOL_STORE", None)
        environment["XDG_CACHE_HOME"] = str(store_place / "cache")
        store = store_place / "cache" / "buildtool" / "store"
    else:
        store = store_place / "store"
        environment["BUILDTOOL_STORE"] = str(store)
    # A virtual environment may be out of the ordinary user's sight; its copy of the code then is not.
    python = os.path.realpath(sys.executable) if user and "PYTHONPATH" in user.environment else sys.executable
    command = [*world.wrap, python, "-m", "buildtool", "build", "--no-lock", "--progress", "quiet"]
    command += ["--iidfile", str(context_place / "iid"), "-f", str(context / dockerfile), *world.options]
    if base is not None:
        command += ["--source-date-epoch", str(EPOCH)]
        command += ["--build-context", f"base=oci-layout://{base}"]
    other = user if user is not None and os.geteuid() == 0 else None
    done = subprocess.run(
        [*command, str(context)],
        env=environment,
        cwd=context_place,
        capture_output=True,
        timeout=300,
        user=None if other is None else other.uid,
        group=None if other is None else other.gid,
        extra_groups=None if other is None else [],
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode("utf-8", "backslashreplace")
    return Result((context_place / "iid").read_text().strip(), store)


def _environment(world: World, user: User | None) -> dict[str, str]:
    found = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    found["LANG"] = "C.UTF-8"
    if user is not None:
        found |= user.environment
    found.setdefault("PYTHONPATH", str(ROOT))
    for name, value in world.env.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = value
    return found
