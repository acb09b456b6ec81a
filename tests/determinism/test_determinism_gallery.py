"""The gallery: steps that are not reproducible, each for one cause that has to be named, and steps that are.

Every folder of `gallery/differs` and of `gallery/same` is a case.  Each is built twice, in two worlds
that a step learns from a secret: what the sandbox shuts out comes in that way.  `expected.txt`
has the paths that differ, each with its causes.
"""

import fnmatch
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from buildtool.cli.options import request_of
from buildtool.cli.progress.choose import choose
from buildtool.cli.session import Session
from buildtool.cli.subjects import subject
from buildtool.digest import Digest
from buildtool.store import Store
from buildtool.verify.compare import compare
from buildtool.verify.model import Comparison

pytestmark = pytest.mark.network

GALLERY = Path(__file__).parent / "gallery"
EPOCH = "1680000000"

Compared = Callable[[Path], Comparison]


def _cases(kind: str) -> list[Path]:
    return sorted(path.parent for path in (GALLERY / kind).glob("*/Dockerfile"))


@pytest.fixture
def compared(shared: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> Compared:
    """Builds a case in both worlds and compares; all cases of all workers use one store."""
    monkeypatch.setenv("BUILDTOOL_STORE", str(shared / "gallery-store"))

    def both(case: Path) -> Comparison:
        digests = [_built(case, world, base) for world in ("first", "second")]
        with Store.open() as store:
            return compare(*(subject(digest, store, "") for digest in digests))

    return both


def _built(case: Path, world: str, base: Path) -> Digest:
    """The digest of a case, built in this process in a world."""
    request = request_of(
        what=(str(case),),
        file="",
        target="",
        build_arg=(),
        build_context=(f"base=oci-layout://{base}",),
        platform=(),
        label=(),
        annotation=(),
        source_date_epoch=EPOCH,
        network="default",
        locked=False,
        no_lock=True,
        secret=(f"id=world,src={GALLERY / f'{world}.env'}",),
        allow=("security.insecure",),
        no_cache=True,
    )
    with choose("quiet") as view, Session(request, view) as session:
        return session.build().images[0].manifest


def _expected(case: Path) -> Iterator[tuple[str, list[str]]]:
    for line in (case / "expected.txt").read_text().splitlines():
        path, _, causes = line.partition(": ")
        yield path, sorted(causes.split())


@pytest.mark.parametrize("case", _cases("differs"), ids=lambda case: case.name)
def test_what_is_not_reproducible_is_found_and_its_cause_named(case: Path, compared: Compared) -> None:
    found = compared(case)
    seen = {place.where: [f"{f.cause} ({f.evidence})" for f in place.causes()] for place in found.places()}
    told = [(place.where, sorted(f.cause for f in place.causes())) for place in found.places()]
    wanted = sorted(_expected(case))
    assert len(told) == len(wanted), seen
    for (path, causes), (pattern, named) in zip(sorted(told), wanted, strict=True):
        assert fnmatch.fnmatch(path, pattern), seen
        assert causes == named, seen


@pytest.mark.parametrize("case", _cases("same"), ids=lambda case: case.name)
def test_what_is_reproducible_is_silent(case: Path, compared: Compared) -> None:
    found = compared(case)
    assert found.same, [(d.where, d.causes()) for d in found.places()]


def test_the_gallery_has_enough_of_both() -> None:
    assert len(_cases("differs")) >= 25
    assert len(_cases("same")) >= 25
