"""What replays from where, and what is refused: missing, changed and damaged bodies, and credentials."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from buildtool.diag import BuildError
from buildtool.digest import sha256
from buildtool.lock.exchanges import Exchange
from buildtool.network.desk import Desk
from buildtool.network.outward import Outward
from buildtool.network.settings import Route
from buildtool.proxy import Proxies
from buildtool.store import Store
from tests.support.upstream import Call, Outside, chunked, redirect, truncated
from tests.unit.network.conftest import Step

Replaying = Callable[..., Step]

PAGE = b"hello, world\n" * 1000
ADDRESS = "http://example.org/page"


@pytest.fixture
def recorded(world: Outside, recording: Step) -> Exchange:
    world.pages[ADDRESS] = PAGE
    assert recording.get("/page")[0] == 200
    return recording.exchanges[0]


def codes(step: Step) -> list[str]:
    return [code for _, code in step.desk.refused]


def test_a_missing_body_is_asked_for_again(
    world: Outside, recorded: Exchange, store: Store, replaying: Replaying
) -> None:
    store.blobs.remove(sha256(PAGE))
    step = replaying()
    assert step.get("/page")[2] == PAGE
    assert step.exchanges == (recorded,)
    assert store.blobs.has(sha256(PAGE))


def test_a_damaged_body_is_asked_for_again(recorded: Exchange, store: Store, replaying: Replaying) -> None:
    path = Path(store.blobs.path(sha256(PAGE)))
    path.write_bytes(PAGE[:-1] + b"X")
    assert replaying().get("/page")[2] == PAGE
    assert path.read_bytes() == PAGE


@pytest.mark.parametrize("kind", ["other", "longer", "gone", "broken"])
def test_a_body_that_has_changed_is_refused(
    world: Outside, recorded: Exchange, store: Store, replaying: Replaying, kind: str
) -> None:
    store.blobs.remove(sha256(PAGE))
    other = PAGE[:-2] + b"!\n"
    pages = {"other": other, "longer": PAGE + b"x", "broken": truncated(PAGE[:-1], len(PAGE))}
    if kind == "gone":
        del world.pages[ADDRESS]
    else:
        world.pages[ADDRESS] = pages[kind]  # type: ignore[assignment]
    step = replaying()
    status, headers, body = step.get("/page")
    assert len(body) < int(headers["content-length"]) or status == 502
    assert codes(step) == ["unrecorded-answer" if kind == "broken" else "body-changed"]
    assert step.desk.failed() == (kind != "broken")
    assert list(store.blobs.digests()) == []


def test_offline_a_missing_body_is_refused(recorded: Exchange, store: Store, replaying: Replaying) -> None:
    step = replaying(offline=True)
    assert step.get("/page")[2] == PAGE
    store.blobs.remove(sha256(PAGE))
    status, _, body = step.get("/page")
    assert status == 403
    assert b"the build is offline" in body
    assert codes(step) == ["body-missing"]


def test_what_is_not_in_the_lock_is_not_asked_for_offline(
    world: Outside, recorded: Exchange, replaying: Replaying
) -> None:
    step = replaying(offline=True, strict=False)
    assert step.get("/other")[0] == 403
    assert codes(step) == ["not-recorded"]
    assert world.count("http://example.org/other") == 0


def test_a_changed_step_takes_what_is_known_and_adds_the_rest(
    world: Outside, recorded: Exchange, replaying: Replaying
) -> None:
    world.pages["http://example.org/new"] = b"new"
    world.pages[ADDRESS] = b"moved on"
    step = replaying(strict=False)
    assert step.get("/page")[2] == PAGE
    assert step.get("/new")[2] == b"new"
    assert [e.place for e in step.exchanges] == ["http://example.org/new", ADDRESS]
    assert world.count(ADDRESS) == 1


def test_the_first_of_two_recordings_counts(recorded: Exchange, replaying: Replaying, store: Store) -> None:
    second = Exchange("GET", ADDRESS, 200, 5, store.blobs.put(b"other"))
    assert replaying(known=(second, recorded)).get("/page")[2] == b"other"


def test_an_archive_is_asked_at_its_mirror(world: Outside, recording: Step, store: Store) -> None:
    route = Route(
        "http://public.example/debian/",
        "debian",
        ("http://first.example/", "http://me:secret@mirror.example/d/"),
    )
    world.pages["http://first.example/x.deb"] = lambda call: call.reply(503, b"")
    world.pages["http://mirror.example/d/x.deb"] = redirect("http://cdn.example/other?x-amz-signature=1")
    world.pages["http://cdn.example/other"] = PAGE
    step = Step(msgspec.structs.replace(recording.settings, routes=(route,)), store)
    status, headers, body = step.get("/debian/x.deb", host="public.example", Authorization="Basic b3duOg==")
    assert (status, body) == (200, PAGE)
    assert "location" not in headers
    assert [e.place for e in step.exchanges] == ["debian:x.deb"]
    shown = {url: headers.get("authorization") for _, url, headers, _ in world.asked}
    assert shown == {
        "http://first.example/x.deb": None,
        "http://mirror.example/d/x.deb": "Basic bWU6c2VjcmV0",
        "http://cdn.example/other?x-amz-signature=1": None,
    }


def test_an_archive_that_is_down_is_asked_for_a_recorded_body_elsewhere(
    world: Outside, recording: Step, store: Store
) -> None:
    route = Route("http://public.example/", "debian", ("http://m.example/",), ("http://snapshot.example/",))
    world.pages["http://m.example/x.deb"] = PAGE
    step = Step(msgspec.structs.replace(recording.settings, routes=(route,)), store)
    assert step.get("/x.deb", host="public.example")[0] == 200
    del world.pages["http://m.example/x.deb"]
    world.pages["http://snapshot.example/x.deb"] = PAGE
    store.blobs.remove(sha256(PAGE))
    again = Step(msgspec.structs.replace(step.settings, strict=True, known=step.exchanges), store)
    assert again.get("/x.deb", host="public.example")[2] == PAGE
    fresh = Step(step.settings, store)
    assert fresh.get("/x.deb", host="public.example")[0] == 404


# ------------------------------------------------------------ credentials


def _guarded(call: Call) -> None:
    if call.headers.get("Authorization") == "Basic Y2FuYXJ5OmNhbmFyeQ==":
        call.reply(200, PAGE, Set_Cookie="session=canary")
    else:
        call.reply(401, b"who are you?", WWW_Authenticate='Basic realm="x"')


def test_credentials_are_passed_on_and_nowhere_else(
    world: Outside, recording: Step, replaying: Replaying, store: Store, tmp_path: Path
) -> None:
    world.pages["http://example.org/private"] = _guarded
    world.pages["http://example.org/login"] = redirect(
        "http://user:canary@cdn.example/file?x-amz-signature=canary&part=1"
    )
    world.pages["http://cdn.example/file"] = b"content"
    status, headers, _ = recording.get("/private?token=canary")
    assert (status, headers["www-authenticate"]) == (401, 'Basic realm="x"')
    auth = "Basic Y2FuYXJ5OmNhbmFyeQ=="
    status, headers, body = recording.get("/private?token=canary", Authorization=auth, Cookie="a=canary")
    assert (status, body) == (200, PAGE)
    assert "set-cookie" not in headers
    assert world.asked[-1][1] == "http://example.org/private?token=canary"
    assert world.asked[-1][2]["cookie"] == "a=canary"
    _, headers, _ = recording.get("/login")
    assert headers["location"] == "http://cdn.example/file?part=1"
    assert recording.get("/file?part=1", host="cdn.example")[2] == b"content"
    assert world.asked[-1][1] == "http://cdn.example/file?x-amz-signature=canary&part=1"
    recording.get("/nothing?api_key=canary", Authorization=auth)

    said = repr((recording.exchanges, list(recording.desk.refused)))
    assert [e.place for e in recording.exchanges] == [
        "http://cdn.example/file?part=1",
        "http://example.org/login",
        "http://example.org/nothing",
        "http://example.org/private",
    ]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            said += path.read_bytes().decode("latin-1")
    assert "canary" not in said
    assert "Y2FuYXJ5" not in said
    # Whoever replays needs none of them.
    step = replaying(offline=True)
    assert step.get("/private")[2] == PAGE
    assert step.get("/file?part=1", host="cdn.example")[2] == b"content"


def test_cookies_are_kept_on_this_side(world: Outside, recording: Step, replaying: Replaying) -> None:
    world.pages["http://example.org/login"] = lambda call: call.reply(
        302, b"", Location="/page", Set_Cookie="session=canary; Path=/; HttpOnly"
    )
    world.pages[ADDRESS] = _for_members
    world.pages["http://elsewhere.example/page"] = PAGE
    assert recording.get("/page")[0] == 401
    first = recording.get("/login")
    assert "set-cookie" not in first[1]
    assert recording.get("/page", Cookie="own=1")[2] == PAGE
    assert world.asked[-1][2]["cookie"] == "own=1; session=canary"
    recording.get("/page", host="elsewhere.example")
    assert "cookie" not in world.asked[-1][2]
    assert "canary" not in repr(recording.exchanges)
    # A replay says the same to the step, which never had a cookie.
    step = replaying(offline=True)
    assert step.get("/login") == first
    assert step.get("/page")[2] == PAGE


def _for_members(call: Call) -> None:
    if "session=canary" in call.headers.get("Cookie", ""):
        call.reply(200, PAGE)
    else:
        call.reply(401, b"who are you?")


def test_a_step_that_is_stopped_waits_for_nothing(world: Outside, recording: Step, store: Store) -> None:
    world.pages["http://example.org/endless"] = chunked(*[b"x" * 1000] * 1000, pause=0.02)
    with recording.connection() as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: example.org\r\n\r\n")
        assert client.recv(1000)
        recording.desk.settle(stop=True)
    assert list(store.blobs.digests()) == []
    assert recording.exchanges == ()


def test_a_store_that_cannot_be_read_is_an_error(
    recorded: Exchange, replaying: Replaying, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(digest: str) -> None:
        raise BuildError("store-unreadable", "the disk is broken")

    monkeypatch.setattr(store.blobs, "open", refuse)
    step = replaying()
    assert step.get("/page")[0] == 403
    assert codes(step) == ["store-unreadable"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_leaves_nobody_waiting(
    world: Outside, recording: Step, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("a mistake")

    world.pages[ADDRESS] = PAGE
    monkeypatch.setattr(store.blobs, "writer", lambda expect: fail())
    assert recording.get("/page")[0] == 502
    assert codes(recording) == ["unrecorded-answer"]


def test_two_steps_record_at_once(world: Outside, recording: Step, store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    for n in range(20):
        world.pages[f"http://example.org/{n}"] = b"page %d" % n * 1000
    other = Step(recording.settings, store)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(step.get, f"/{n}") for n in range(20) for step in (recording, other)]
        assert all(call.result()[0] == 200 for call in calls)
    assert recording.exchanges == other.exchanges
    assert len(recording.exchanges) == 20


def test_a_full_disk_is_an_error(
    world: Outside, recording: Step, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    def refuse(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    world.pages[ADDRESS] = PAGE
    monkeypatch.setattr(os, "fsync", refuse)
    recording.get("/page")
    assert codes(recording) == ["disk-full"]
    monkeypatch.undo()
    assert list(store.blobs.digests()) == []


def test_no_more_answers_are_received_at_once_than_there_is_room_for(
    world: Outside, recording: Step, store: Store
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    here, most_here = [], []

    def page(call: Call) -> None:
        here.append(call)
        most_here.append(len(here))
        time.sleep(0.05)
        here.remove(call)
        call.reply(200, call.url.encode())

    for n in range(6):
        world.pages[f"http://example.org/{n}"] = page
    out = Outward(Proxies(dict(world.proxies), ""), silence=5)
    recording.desk = Desk(recording.settings, recording.answers, out, store.blobs, most=2)
    with ThreadPoolExecutor(12) as pool:
        # Each page is asked for twice: who waited finds what was recorded meanwhile.
        bodies = list(pool.map(lambda n: recording.get(f"/{n % 6}")[2], range(12)))
    assert bodies == [b"http://example.org/%d" % (n % 6) for n in range(12)]
    assert max(most_here) <= 2
    assert len(world.asked) == len(recording.exchanges) == 6
