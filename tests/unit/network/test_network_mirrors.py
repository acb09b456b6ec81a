"""What was recorded behind one mirror replays behind another, and its lock tells neither."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from buildtool.archives.mirrors import Mirrors
from buildtool.archives.routes import routes
from buildtool.digest import sha256
from buildtool.lock.exchanges import Exchange
from buildtool.network.answers import Answers
from buildtool.store import Store
from tests.support.upstream import Outside, outside
from tests.unit.network.conftest import Step

TARBALL = b"left pad\n" * 1000
WHEEL = b"a wheel\n" * 1000
DIGEST = sha256(b"")


def mirrors(host: str) -> Mirrors:
    """The mirrors of a machine: all of one server."""
    return Mirrors(
        {name: (f"http://{host}/{name}",) for name in ("debian", "debian-security")},
        snapshot="",
        indexes={"pypi": (f"http://{host}/py/simple",), "npm": (f"http://{host}/npm",)},
    )


def serve(world: Outside, host: str, kind: str) -> None:
    """A mirror that writes its own address into its pages."""
    tarball = f"http://{host}/npm/left-pad/-/left-pad-1.3.0.tgz"
    wheel = f"http://{host}/py/packages/0a/1b/pad-1.0-py3-none-any.whl"
    world.pages[f"http://{host}/npm/left-pad"] = json.dumps({"dist": {"tarball": tarball}}).encode()
    world.pages[f"http://{host}/py/simple/pad/"] = f'<a href="{wheel}">pad</a>'.encode()
    world.pages[tarball], world.pages[wheel] = TARBALL, WHEEL
    for name in "debian/pool/a.deb", "debian/dists/bookworm/InRelease":
        world.pages[f"http://{host}/{name}"] = lambda call: call.reply(
            200, b"debian", Content_Type=kind, Last_Modified="Sat, 11 Jul 2026 10:17:11 GMT"
        )


def fetch(step: Step) -> None:
    """What a step asks for whose client follows the addresses in pages."""
    page = step.get("/left-pad", host="registry.npmjs.org")[2]
    host, path = json.loads(page)["dist"]["tarball"].removeprefix("http://").split("/", 1)
    assert step.get(f"/{path}", host=host)[::2] == (200, TARBALL)
    page = step.get("/simple/pad/", host="pypi.org")[2]
    host, path = page.split(b'"')[1].decode().removeprefix("http://").split("/", 1)
    assert step.get(f"/{path}", host=host)[::2] == (200, WHEEL)


@pytest.fixture
def other(tmp_path: Path, world: Outside) -> Iterator[Outside]:
    """The world of another machine, which has another mirror."""
    with outside(tmp_path) as found:
        serve(found, "second.example", "application/x-debian-package")
        yield found


@pytest.fixture
def first(world: Outside, recording: Step, store: Store) -> Step:
    """A step that was recorded behind the first mirror."""
    serve(world, "first.example", "application/vnd.debian.binary-package")
    step = Step(msgspec.structs.replace(recording.settings, routes=routes(mirrors("first.example"))), store)
    fetch(step)
    return step


def test_a_mirrors_own_addresses_replay_behind_another_mirror(
    first: Step, other: Outside, store: Store
) -> None:
    settings = msgspec.structs.replace(
        first.settings,
        strict=True,
        known=first.exchanges,
        routes=routes(mirrors("second.example")),
        proxies=other.proxies,
    )
    # The files are not in the store of the other machine; it asks its own mirror for them.
    store.blobs.remove(sha256(TARBALL))
    store.blobs.remove(sha256(WHEEL))
    step = Step(settings, store)
    fetch(step)
    assert step.exchanges == first.exchanges
    assert [url for _, url, _, _ in other.asked] == [
        "http://second.example/npm/left-pad/-/left-pad-1.3.0.tgz",
        "http://second.example/py/packages/0a/1b/pad-1.0-py3-none-any.whl",
    ]
    assert not any("first.example" in exchange.place for exchange in first.exchanges)


def test_a_changed_step_asks_the_address_itself(first: Step, other: Outside, store: Store) -> None:
    address = "http://first.example/npm/left-pad/-/left-pad-1.3.0.tgz"
    other.pages[address] = b"of another registry"
    settings = msgspec.structs.replace(
        first.settings, known=first.exchanges, routes=(), proxies=other.proxies
    )
    step = Step(settings, store)
    assert step.get("/npm/left-pad/-/left-pad-1.3.0.tgz", host="first.example")[2] == b"of another registry"
    assert [exchange.place for exchange in step.exchanges] == [address]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("http://m.example/npm/a/-/a.tgz", "npm:a/-/a.tgz"),
        ("http://m.example/a/-/a.tgz", "npm:a/-/a.tgz"),
        # The longest end counts: a scope is part of a name.
        ("http://m.example/npm/@s/a/-/a.tgz", "npm:@s/a/-/a.tgz"),
        ("http://m.example/npm/a/-/a.tgz?x=/b/c", "http://m.example/npm/a/-/a.tgz?x=/b/c"),
        ("http://m.example/npm/a/b?x=1", "npm:a/b?x=1"),
        # Only whole names count, and not a single one.
        ("http://m.example/npm/aa/-/a.tgz", "http://m.example/npm/aa/-/a.tgz"),
        ("http://m.example/npm/a", "http://m.example/npm/a"),
        ("http://m.example/simple/a/", "http://m.example/simple/a/"),
        ("http://m.example/", "http://m.example/"),
        # Two archives have it.
        ("http://m.example/debian/pool/a.deb", "http://m.example/debian/pool/a.deb"),
        # It was asked for as it is.
        ("http://example.org/a/-/a.tgz", "http://example.org/a/-/a.tgz"),
    ],
)
def test_the_end_of_an_address_tells_its_place(address: str, place: str) -> None:
    places = (
        *("npm:a", "npm:a/-/a.tgz", "npm:@s/a/-/a.tgz", "npm:a/b?x=1", "pypi:a/"),
        *("debian:pool/a.deb", "debian-security:pool/a.deb", "http://example.org/a/-/a.tgz"),
    )
    known = [Exchange("GET", found, 200, 0, DIGEST) for found in places]
    assert Answers(known, strict=True).recorded_as(address) == place
    assert Answers(known, strict=False).recorded_as(address) == address


def test_what_nobody_recorded_is_refused(first: Step, store: Store) -> None:
    step = Step(msgspec.structs.replace(first.settings, strict=True, known=first.exchanges, routes=()), store)
    assert step.get("/npm/left-pad/-/left-pad-2.0.0.tgz", host="first.example")[0] == 403
    ((refused, code),) = step.desk.refused
    assert (refused.what, code) == (
        "GET http://first.example/npm/left-pad/-/left-pad-2.0.0.tgz",
        "not-recorded",
    )


def test_the_lock_of_an_archive_is_the_same_whichever_mirror_served(
    world: Outside, recording: Step, store: Store
) -> None:
    found = []
    for host, kind in ("first.example", "text/plain"), ("second.example", "application/x-debian-package"):
        serve(world, host, kind)
        settings = msgspec.structs.replace(recording.settings, routes=routes(mirrors(host)))
        step = Step(settings, store)
        for path in "pool/a.deb", "dists/bookworm/InRelease":
            status, headers, body = step.get(f"/debian/{path}", host="deb.debian.org")
            replay = Step(msgspec.structs.replace(settings, strict=True, known=step.exchanges), store)
            assert replay.get(f"/debian/{path}", host="deb.debian.org") == (status, headers, body)
            # apt takes it for the time of its lists.
            assert headers["last-modified"] == "Sat, 11 Jul 2026 10:17:11 GMT"
            assert "content-type" not in headers
        found.append(step.exchanges)
    assert found[0] == found[1]
