"""Guards against large regressions of cost; `python -m benchmarks` has the real figures.

Times are processor time of all processes, which a busy machine hardly changes, and
the limits three times the budgets of docs/design/performance.md, scaled to the size.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import contexts
from benchmarks.builders import Ours
from benchmarks.measure import Cost

pytestmark = pytest.mark.skipif(
    not (shutil.which("crun") or shutil.which("runc")), reason="RUN steps need an OCI runtime"
)

_GENEROUS = 3


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    context = tmp_path / "context"
    context.mkdir()
    return str(context), str(tmp_path / "state")


def _make(make: Callable[..., None], *arguments: object) -> None:
    try:
        make(*arguments)
    except contexts.Missing as error:
        pytest.skip(str(error))


def test_a_build_in_which_nothing_changed(folders: tuple[str, str]) -> None:
    context, state = folders
    _make(contexts.small, context)
    Ours().build(context, state)
    best = min((Ours().build(context, state) for _ in range(2)), key=lambda cost: cost.cpu)
    assert best.cpu < _GENEROUS * 0.25


def test_a_chain_of_run_steps(folders: tuple[str, str]) -> None:
    context, state = folders
    steps = 25
    _make(contexts.chain, context, steps)
    cost: Cost = Ours().build(context, state)
    assert cost.cpu < _GENEROUS * 4 * steps / 100


def test_the_memory_of_a_large_layer(folders: tuple[str, str]) -> None:
    context, state = folders
    _make(contexts.sparse, context, 400_000_000)
    cost: Cost = Ours().build(context, state)
    # Who held the layer as a whole, or its file, would need more than its 400 MB.
    assert cost.peak < 300
