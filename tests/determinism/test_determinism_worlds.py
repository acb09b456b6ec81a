"""One image, one digest, in whatever world it is built (docs/design/determinism.md)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.determinism_diff import image_difference
from tests.support.determinism_worlds import WORLDS, Result, World, build

WITHOUT_PROCESSES = tuple(w for w in WORLDS if "BUILDTOOL_RUNTIME" not in w.env)

Plain = Callable[[str, Path | None], Result]


def _check(
    world: World,
    dockerfile: str,
    base: Path | None,
    plain: Plain,
    disk: Path,
    memory: Path | None,
    request: pytest.FixtureRequest,
) -> None:
    reason = world.missing()
    if reason is not None:
        pytest.skip(reason)
    user = request.getfixturevalue("ordinary_user") if world.ordinary_user else None
    wanted = plain(dockerfile, base)
    seen = build(world, dockerfile, disk=disk, memory=memory, base=base, user=user)
    if seen.digest != wanted.digest:
        told = image_difference(wanted.store, wanted.digest, seen.store, seen.digest)
        pytest.fail(f"{world.name} changes the image\n" + "\n".join(told), pytrace=False)


@pytest.mark.parametrize("world", WITHOUT_PROCESSES, ids=lambda w: w.name)
def test_files_are_the_same_in_every_world(
    world: World, plain: Plain, disk: Path, memory: Path | None, request: pytest.FixtureRequest
) -> None:
    _check(world, "files.Dockerfile", None, plain, disk, memory, request)


@pytest.mark.network
@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.name)
def test_steps_are_the_same_in_every_world(
    world: World, base: Path, plain: Plain, disk: Path, memory: Path | None, request: pytest.FixtureRequest
) -> None:
    _check(world, "steps.Dockerfile", base, plain, disk, memory, request)
