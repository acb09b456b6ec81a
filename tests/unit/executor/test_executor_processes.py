"""Which networks a process gets, one after the other, and what is kept of that."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.executor.api import Advance, BuildOptions
from buildtool.executor.cache import Cache
from buildtool.executor.foreman import Foreman
from buildtool.executor.kept import Kept
from buildtool.executor.plan import Node, plan
from buildtool.executor.processes import Processes
from buildtool.executor.progress import Progress
from buildtool.executor.supply import Supply
from buildtool.executor.work import Outcome, RunWork, Spec
from buildtool.graph.model import FetchSource, GitSource, ImageSource, Network, Platform, Run
from buildtool.lock.exchanges import Exchange, RunPins
from buildtool.network.settings import Settings
from buildtool.store import Store

LAYER = Outcome(diff_id="sha256:" + "ab" * 32, size=1)
SETTINGS = Settings(clock=0, strict=True, known=(), authority="/authority")
STEP = Run(
    base=None, argv=("/bin/true",), env=(), cwd="/", user="", clock=5, platform=Platform("linux", "amd64")
)


class Hand(Foreman):
    """A foreman whose processes want the network or not."""

    def __init__(self, *, wants: bool) -> None:
        super().__init__("", None, Progress())
        self.wants = wants
        self.sent: list[RunWork] = []

    def send(self, node: Node, spec: Spec) -> Outcome:
        assert isinstance(spec, RunWork)
        self.sent.append(spec)
        return Outcome(reached_out=True) if spec.network == "watched" and self.wants else LAYER


class Lock:
    """What is recorded, by the action key of a step."""

    def __init__(self) -> None:
        self.runs: dict[str, RunPins] = {}

    def recording(self, step: str) -> RunPins | None:
        return self.runs.get(step)

    def known(self, place: str) -> tuple[Exchange, ...]:
        return ()

    def may_record(self, place: str) -> None:
        pass

    def record(self, place: str, pins: RunPins) -> None:
        self.runs[pins.step] = pins

    def settings(self) -> Settings:
        return SETTINGS


class Nowhere:
    """Is asked for nothing."""

    def fetch_file(self, step: FetchSource, advance: Advance) -> None:
        raise AssertionError(step)

    def fetch_git(self, step: GitSource) -> Digest:
        raise AssertionError(step)

    def fetch_layer(self, step: ImageSource, digest: Digest, advance: Advance) -> None:
        raise AssertionError(step)

    def fetch_bodies(self, digests: Iterable[Digest]) -> None:
        raise AssertionError(digests)


class Bench:
    """Carries steps out on one store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lock = Lock()

    def networks(
        self, step: Run, *, wants: bool, offline: bool = False, present: int = 9
    ) -> tuple[list[str], str]:
        """The networks that the step's process got, and the one that counts."""
        options = BuildOptions(jobs=1, present=present, offline=offline)
        cache, hand = Cache(self.store), Hand(wants=wants)
        kept = Kept(cache, self.lock, options)
        supply = Supply(self.store, Nowhere(), Progress())
        processes = Processes(hand, kept, cache, supply, self.lock, Progress(), options)
        (node,) = plan([step])
        _, network = processes.carry_out(node, step, kept.keys(step, {}), {}, None)
        return [work.network for work in hand.sent], network


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Store.open(str(tmp_path / "store")) as store:
        yield Bench(store)


def test_a_process_that_stays_at_home_is_watched_only(bench: Bench) -> None:
    assert bench.networks(STEP, wants=False) == (["watched"], "none")
    assert bench.lock.runs == {}


def test_that_a_process_wants_the_network_is_found_out_once(bench: Bench) -> None:
    assert bench.networks(STEP, wants=True) == (["watched", "recorded"], "recorded")
    (recording,) = bench.lock.runs.values()
    assert recording.clock == 9
    bench.lock.runs.clear()
    assert bench.networks(STEP, wants=True) == (["recorded"], "recorded")


def test_what_the_lock_has_is_replayed_at_its_clock(bench: Bench) -> None:
    bench.networks(STEP, wants=True)
    before = dict(bench.lock.runs)
    assert bench.networks(STEP, wants=True, present=99) == (["recorded"], "recorded")
    assert bench.lock.runs == before


@pytest.mark.parametrize(("network", "counts"), [("none", "none"), ("host", "host")])
def test_other_networks_are_not_watched(bench: Bench, network: Network, counts: str) -> None:
    assert bench.networks(replace(STEP, network=network), wants=True) == ([network], counts)
    assert bench.lock.runs == {}


def test_without_a_network_there_is_no_host(bench: Bench) -> None:
    with pytest.raises(BuildError) as caught:
        bench.networks(replace(STEP, network="host"), wants=True, offline=True)
    assert caught.value.code == "offline"
