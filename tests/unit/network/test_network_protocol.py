"""What clients get over one connection, while recording and at replay."""

import gzip
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from buildtool.digest import sha256
from buildtool.store import Store
from tests.support.upstream import Call, Outside, chunked, redirect, truncated
from tests.unit.network.conftest import Step, dechunked, parsed

Replaying = Callable[..., Step]

PAGE = b"hello, world\n" * 1000


def test_a_page_is_recorded_and_replayed(world: Outside, recording: Step, replaying: Replaying) -> None:
    def page(call: Call) -> None:
        call.reply(
            200, PAGE, Content_Type="text/plain", Last_Modified="Sat, 11 Jul 2020 00:00:00 GMT", X_Own="1"
        )

    world.pages["http://example.org/page"] = page
    first = recording.talk(b"GET /page HTTP/1.1\r\nHost: example.org\r\n\r\n")
    again = replaying()
    assert again.talk(b"GET /page HTTP/1.1\r\nHost: example.org\r\n\r\n") == first
    status, headers, body = parsed(first)
    assert (status, body) == (200, PAGE)
    assert headers == {
        "date": "Tue, 14 Nov 2023 22:13:20 GMT",
        "content-type": "text/plain",
        "last-modified": "Sat, 11 Jul 2020 00:00:00 GMT",
        "content-length": str(len(PAGE)),
        "accept-ranges": "bytes",
    }
    (exchange,) = recording.exchanges
    assert again.exchanges == (exchange,)
    assert (exchange.place, exchange.size, exchange.body) == (
        "http://example.org/page",
        len(PAGE),
        sha256(PAGE),
    )
    assert world.count("http://example.org/page") == 1


def test_pipelined_requests_on_one_connection(world: Outside, recording: Step) -> None:
    for n in range(30):
        world.pages[f"http://example.org/{n}"] = b"page %d;" % n
    asked = b"".join(b"GET /%d HTTP/1.1\r\nHost: example.org\r\n\r\n" % n for n in range(30))
    answers = recording.talk(asked)
    assert re.findall(rb"page \d+;", answers) == [b"page %d;" % n for n in range(30)]
    assert len(recording.exchanges) == 30


def test_an_answer_of_unknown_length(world: Outside, recording: Step, replaying: Replaying) -> None:
    world.pages["http://example.org/c"] = chunked(b"first,", b"second")
    for again in (False, True):
        step = replaying() if again else recording
        _, headers, body = step.get("/c")
        assert headers["transfer-encoding"] == "chunked"
        assert dechunked(body) == b"first,second"
    assert recording.exchanges[0].size == 12


def test_clients_of_http_1_0(world: Outside, recording: Step) -> None:
    world.pages["http://example.org/c"] = chunked(b"first,", b"second")
    world.pages["http://example.org/page"] = PAGE
    assert parsed(recording.talk(b"GET /c HTTP/1.0\r\n\r\n"))[2] == b"first,second"
    answer = recording.talk(b"GET /page HTTP/1.0\r\n\r\nGET /page HTTP/1.0\r\n\r\n")
    assert parsed(answer)[2] == PAGE


def test_an_absolute_address(world: Outside, recording: Step) -> None:
    world.pages["http://other.example/x"] = b"other"
    answer = recording.talk(b"GET http://Other.example:80/x HTTP/1.1\r\nHost: example.org\r\n\r\n")
    assert parsed(answer)[2] == b"other"
    assert recording.exchanges[0].place == "http://other.example/x"


@pytest.mark.parametrize(
    ("asked", "status", "told", "first", "last"),
    [
        ("bytes=0-4", 206, "bytes 0-4/13000", 0, 5),
        ("bytes=12990-", 206, "bytes 12990-12999/13000", 12990, 13000),
        ("bytes=-3", 206, "bytes 12997-12999/13000", 12997, 13000),
        ("bytes=5-99999", 206, "bytes 5-12999/13000", 5, 13000),
        ("bytes=0-4,6-7", 200, None, 0, 13000),
        ("lines=1-2", 200, None, 0, 13000),
        ("bytes=9-3", 200, None, 0, 13000),
        ("bytes=13000-", 416, "bytes */13000", 0, 0),
    ],
)
def test_parts(
    world: Outside,
    recording: Step,
    replaying: Replaying,
    asked: str,
    status: int,
    told: str | None,
    first: int,
    last: int,
) -> None:
    world.pages["http://example.org/page"] = PAGE
    got, headers, body = recording.get("/page", Range=asked)
    assert (got, headers.get("content-range"), body) == (status, told, PAGE[first:last])
    (exchange,) = recording.exchanges
    assert (exchange.status, exchange.size) == (200, 13000)
    got, headers, body = replaying().get("/page", Range=asked)
    assert (got, headers.get("content-range"), body) == (status, told, PAGE[first:last])
    assert "range" not in world.asked[0][2]


def test_a_part_of_another_version_is_the_whole(world: Outside, recording: Step) -> None:
    date = "Sat, 11 Jul 2020 00:00:00 GMT"
    world.pages["http://example.org/p"] = lambda call: call.reply(200, PAGE, Last_Modified=date)
    assert recording.get("/p", Range="bytes=5-", If_Range=date)[0] == 206
    assert recording.get("/p", Range="bytes=5-", If_Range="Sat, 11 Jul 2020 00:00:01 GMT")[0] == 200
    assert recording.get("/p", Range="bytes=5-", If_Range='"tag"')[0] == 200


def test_conditions_are_not_passed_on(world: Outside, recording: Step) -> None:
    world.pages["http://example.org/page"] = PAGE
    assert (
        recording.get("/page", If_None_Match='"x"', If_Modified_Since="Sat, 11 Jul 2020 00:00:00 GMT")[0]
        == 200
    )
    assert not any(name.startswith("if-") for name in world.asked[0][2])
    assert world.asked[0][2]["accept-encoding"] == "identity"


def test_head_and_redirects(world: Outside, recording: Step, replaying: Replaying) -> None:
    world.pages["http://example.org/page"] = PAGE
    world.pages["http://example.org/old"] = redirect("http://example.org/page")
    step = recording
    for _ in range(2):
        answer = step.talk(b"HEAD /page HTTP/1.1\r\nHost: example.org\r\n\r\n")
        status, headers, body = parsed(answer)
        assert (status, headers["content-length"], body) == (200, "13000", b"")
        status, headers, body = step.get("/old")
        assert (status, headers["location"]) == (302, "http://example.org/page")
        step = replaying()
    assert [(e.method, e.status, e.body is None) for e in recording.exchanges] == [
        ("GET", 302, False),
        ("HEAD", 200, True),
    ]


@pytest.mark.parametrize("framing", ["length", "chunked", "expect"])
def test_a_body_is_part_of_what_is_asked(
    world: Outside, recording: Step, replaying: Replaying, framing: str
) -> None:
    world.pages["http://example.org/rpc"] = lambda call: call.reply(200, b"<" + call.body + b">")

    def request(body: bytes) -> bytes:
        head = b"POST /rpc HTTP/1.1\r\nHost: example.org\r\nContent-Type: text/x\r\n"
        if framing == "chunked":
            return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        expect = b"Expect: 100-continue\r\n" if framing == "expect" else b""
        return head + expect + b"Content-Length: %d\r\n\r\n" % len(body) + body

    answers = [recording.talk(request(body)) for body in (b"one", b"two", b"one")]
    if framing == "expect":
        assert all(a.startswith(b"HTTP/1.1 100 ") or b"<one>" in a or b"<two>" in a for a in answers)
    assert [a[-5:] for a in answers] == [b"<one>", b"<two>", b"<one>"]
    assert {e.request for e in recording.exchanges} == {sha256(b"one"), sha256(b"two")}
    assert [body for *_, body in world.asked] == [b"one", b"two"]
    assert world.asked[0][2]["content-type"] == "text/x"
    step = replaying()
    assert step.talk(request(b"two"))[-5:] == b"<two>"
    refused = parsed(step.talk(request(b"three")))
    assert refused[0] == 403
    assert b"not in the recording" in refused[2]
    assert [r.what for r, _ in step.desk.refused] == ["POST http://example.org/rpc"]
    assert step.desk.failed()


def test_a_large_request_body_goes_through_a_file(world: Outside, recording: Step) -> None:
    body = gzip.compress(bytes(range(256)) * 40000, mtime=0, compresslevel=0)
    assert len(body) > 10_000_000
    world.pages["http://example.org/rpc"] = lambda call: call.reply(200, b"%d" % len(call.body))
    head = b"POST /rpc HTTP/1.1\r\nHost: example.org\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    assert parsed(recording.talk(head % len(body) + body))[2] == b"%d" % len(body)
    assert world.asked[0][2]["content-encoding"] == "gzip"
    assert world.asked[0][3] == body


def test_an_encoded_answer_stays_encoded(world: Outside, recording: Step, replaying: Replaying) -> None:
    packed = gzip.compress(b"text", mtime=0)
    world.pages["http://example.org/z"] = lambda call: call.reply(200, packed, Content_Encoding="gzip")
    for step in (recording, None):
        _, headers, body = (step or replaying()).get("/z")
        assert (headers["content-encoding"], body) == ("gzip", packed)


def test_what_chose_the_answer_is_told_apart(world: Outside, recording: Step, replaying: Replaying) -> None:
    def page(call: Call) -> None:
        call.reply(200, call.headers["Accept"].encode(), Vary="Accept, Accept-Encoding")

    world.pages["http://example.org/v"] = page
    for accept in ("text/html", "application/json", "text/html"):
        assert recording.get("/v", Accept=accept)[2] == accept.encode()
    assert [e.varies for e in recording.exchanges] == [
        (("accept", "application/json"),),
        (("accept", "text/html"),),
    ]
    assert replaying().get("/v", Accept="text/html")[2] == b"text/html"
    assert replaying().get("/v", Accept="text/plain")[0] == 403


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_weather_is_not_recorded(world: Outside, recording: Step, status: int) -> None:
    world.pages["http://example.org/page"] = lambda call: call.reply(status, b"later")
    assert recording.get("/page")[::2] == (status, b"later")
    assert recording.exchanges == ()
    assert [(r.what, r.fatal) for r, _ in recording.desk.refused] == [("GET http://example.org/page", True)]
    assert not recording.desk.failed()
    world.pages["http://example.org/page"] = PAGE
    assert recording.get("/page")[2] == PAGE
    assert list(recording.desk.refused) == []
    assert len(recording.exchanges) == 1


@pytest.mark.parametrize("kind", ["truncated", "chunked"])
def test_an_answer_that_breaks_off(world: Outside, recording: Step, store: Store, kind: str) -> None:
    half = PAGE[:5000]
    page = truncated(half, len(PAGE)) if kind == "truncated" else chunked(half, broken=True)
    world.pages["http://example.org/page"] = page
    answer = recording.talk(b"GET /page HTTP/1.1\r\nHost: example.org\r\n\r\n")
    _, headers, body = parsed(answer)
    if kind == "truncated":
        assert headers["content-length"] == str(len(PAGE))
        assert len(body) < len(PAGE)
    else:
        assert not body.endswith(b"0\r\n\r\n")
    assert recording.exchanges == ()
    assert list(store.blobs.digests()) == []
    ((refused, code),) = recording.desk.refused
    assert code == "unrecorded-answer"
    assert "broke off" in refused.why
    world.pages["http://example.org/page"] = PAGE
    assert recording.get("/page")[2] == PAGE


def test_a_server_that_is_not_there(recording: Step, store: Store) -> None:
    alone = Step(msgspec.structs.replace(recording.settings, proxies=()), store)
    for host, why in (("nowhere.invalid", b"no address is known"), ("localhost", b"this machine's own")):
        status, _, body = alone.get("/x", host=host)
        assert status == 502
        assert why in body


def test_websockets_and_proxies_are_refused(recording: Step) -> None:
    status, _, body = recording.get("/ws", Connection="Upgrade", Upgrade="websocket")
    assert status == 501
    assert b"WebSockets cannot be recorded" in body
    answer = recording.talk(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
    assert parsed(answer)[0] == 501
    refused = [(r.what, r.fatal) for r, _ in recording.desk.refused]
    assert refused == [("GET http://example.org/ws", False), ("CONNECT http://example.org/", False)]
    assert not recording.desk.failed()


def test_other_protocols_are_refused(recording: Step) -> None:
    recording.talk(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", scheme="https")
    recording.talk(b"\x00\x01\x02\x03 nonsense\r\n\r\n")
    whys = [(r.what, r.why) for r, _ in recording.desk.refused]
    assert whys[0] == ("example.org port 443", "no HTTP/1.1: it speaks HTTP/2 without asking")
    assert whys[1][0] == "example.org port 80"


def test_a_client_that_goes_away_spoils_nothing(
    world: Outside, recording: Step, replaying: Replaying
) -> None:
    body = bytes(3_000_000)
    world.pages["http://example.org/big"] = chunked(*[body[:100_000]] * 30, pause=0.005)
    with recording.connection() as client:
        client.sendall(b"GET /big HTTP/1.1\r\nHost: example.org\r\n\r\n")
        assert client.recv(1000)
    recording.desk.settle(stop=False)
    (exchange,) = recording.exchanges
    assert (exchange.size, exchange.body) == (len(body), sha256(body))


def test_many_clients_of_one_page_ask_once(world: Outside, recording: Step) -> None:
    world.pages["http://example.org/slow"] = chunked(*[b"x" * 1000] * 20, pause=0.02)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(recording.get, ["/slow"] * 20))
    assert {dechunked(body) for _, _, body in answers} == {b"x" * 20000}
    assert world.count("http://example.org/slow") == 1
