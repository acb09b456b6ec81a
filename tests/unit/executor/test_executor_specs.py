"""A step in the recorded internet as plain data, fit to be carried out elsewhere."""

import msgspec
import pytest

from buildtool.diag import BuildError
from buildtool.digest import sha256
from buildtool.executor.api import Lent
from buildtool.executor.specs import run_work
from buildtool.executor.work import Outcome, RunWork, Spec
from buildtool.graph.model import Platform, Run
from buildtool.lock.exchanges import Exchange
from buildtool.network.settings import Route, Settings

EXCHANGE = Exchange(
    "POST",
    "https://example.org/app.git/git-upload-pack",
    200,
    2048,
    sha256(b"pack"),
    sha256(b"want"),
    (("git-protocol", "version=2"),),
    (("content-type", "text/plain"),),
)
INTERNET = Settings(
    clock=7,
    strict=True,
    known=(EXCHANGE,),
    authority="/authority",
    routes=(Route("https://pypi.org/simple/", "pypi", ("https://mirror.example/simple/",)),),
)
STEP = Run(
    base=None,
    argv=("/bin/true",),
    env=(),
    cwd="/",
    user="",
    clock=5,
    proxies=(("http_proxy", "http://proxy.example:3128"),),
    platform=Platform("linux", "amd64"),
)


def test_a_spec_survives_the_way_to_another_machine() -> None:
    work = run_work(STEP, {}, 7, "recorded", None, Lent(), INTERNET)
    assert msgspec.json.decode(msgspec.json.encode(work), type=Spec) == work
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(work), type=Spec) == work


def test_an_outcome_brings_the_recording_back() -> None:
    outcome = Outcome(exchanges=(EXCHANGE,))
    assert msgspec.json.decode(msgspec.json.encode(outcome), type=Outcome) == outcome


def test_what_no_exchange_is_does_not_come_through() -> None:
    data = msgspec.json.encode(Outcome(exchanges=(EXCHANGE,))).replace(b'"POST"', b'"P ST"')
    with pytest.raises((msgspec.ValidationError, BuildError)):
        msgspec.json.decode(data, type=Outcome)


@pytest.mark.parametrize(("internet", "told"), [(None, True), (INTERNET, False)])
def test_proxies_are_for_the_network_of_the_machine(internet: Settings | None, told: bool) -> None:
    work: RunWork = run_work(STEP, {}, 7, "host" if told else "recorded", None, Lent(), internet)
    assert (STEP.proxies[0] in work.env) is told
