"""The pure parts: names, ranges, places, packets, and what answers what."""

import ipaddress
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.digest import sha256
from buildtool.lock.exchanges import Exchange
from buildtool.network.answers import Answers, chosen_by, keeps
from buildtool.network.asking import Asking, Routes, normal
from buildtool.network.names import Names
from buildtool.network.packets import destination
from buildtool.network.ranges import Unsatisfiable, part, still_holds

# ------------------------------------------------------------ names


def query(name: str, kind: int = 1, flags: int = 0x0100) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label)
    return struct.pack("!6H", 77, flags, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def test_a_name_has_one_address() -> None:
    names = Names()
    reply = names.answer(query("Example.ORG"))
    number, flags, questions, answers = struct.unpack_from("!4H", reply)
    assert (number, flags, questions, answers) == (77, 0x8180, 1, 1)
    assert reply[12:29] == query("Example.ORG")[12:29]
    address = socket.inet_ntoa(reply[-4:])
    assert ipaddress.ip_address(address) in ipaddress.ip_network("198.18.0.0/15")
    assert names.name(address) == "example.org"
    assert names.address("example.org") == Names().address("EXAMPLE.org.") == address
    assert names.name("203.0.113.1") == "203.0.113.1"
    assert names.name("2001:db8::1") == "2001:db8::1"


@pytest.mark.parametrize(
    ("kind", "name", "code"), [(28, "example.org", 0), (33, "_http._tcp.example.org", 0)]
)
def test_names_have_nothing_else(kind: int, name: str, code: int) -> None:
    reply = Names().answer(query(name, kind))
    assert struct.unpack_from("!4H", reply) == (77, 0x8180 | code, 1, 0)


def test_addresses_have_no_names() -> None:
    assert struct.unpack_from("!4H", Names().answer(query("1.0.18.198.in-addr.arpa", 12))) == (
        77,
        0x8183,
        1,
        0,
    )


def test_other_operations_are_not_there() -> None:
    reply = Names().answer(query("example.org", flags=0x2800))
    assert struct.unpack_from("!2H", reply)[1] & 0xF == 4
    assert Names().answer(query("example.org", flags=0x8000)) == b""


def test_two_names_never_share_an_address() -> None:
    names = Names()
    found = [names.address(f"host{n}.example") for n in range(3000)]
    assert len(set(found)) == 3000
    assert [names.name(address) for address in found] == [f"host{n}.example" for n in range(3000)]
    assert "198.18.0.1" not in found


@given(st.binary(max_size=300))
def test_any_bytes_are_answered_or_ignored(message: bytes) -> None:
    reply = Names().answer(message)
    assert reply == b"" or reply[:2] == message[:2]


# ------------------------------------------------------------ ranges


@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60))
def test_a_range_is_what_slicing_says(size: int, first: int, last: int) -> None:
    body = bytes(range(size))
    try:
        found = part(f"bytes={first}-{last}", size)
    except Unsatisfiable:
        assert first >= size
        return
    if last < first:
        assert found is None
    else:
        assert found is not None
        assert body[found[0] : found[1]] == body[first : last + 1]


def test_a_suffix() -> None:
    assert part("bytes=-5", 10) == (5, 10)
    assert part("bytes=-50", 10) == (0, 10)
    for text, size in (("bytes=-0", 10), ("bytes=-5", 0)):
        with pytest.raises(Unsatisfiable):
            part(text, size)
    assert part("bytes=-", 10) is None
    assert part("bytes=٣-", 10) is None


def test_dates_of_a_part() -> None:
    date = "Sat, 11 Jul 2020 00:00:00 GMT"
    assert still_holds("", "")
    assert still_holds(date, date)
    assert not still_holds(date, "")
    assert not still_holds('W/"x"', date)


# ------------------------------------------------------------ places


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://Example.ORG:80", "http://example.org/"),
        ("https://example.org:443/a%7eb%2Fc%2b", "https://example.org/a~b%2Fc+"),
        ("https://example.org:8443/a?x=%7e&y", "https://example.org:8443/a?x=%7e&y"),
        ("https://u:p@example.org/a?token=1&b=2#f", "https://example.org/a?b=2"),
    ],
)
def test_what_an_address_is_known_by(url: str, place: str) -> None:
    assert Routes(()).place(url) == place


@given(st.text(alphabet="abz~%2fF+é/ ", max_size=30))
def test_the_place_of_a_place_is_itself(path: str) -> None:
    once = normal("http://example.org/" + path)
    assert normal(once) == once


# ------------------------------------------------------------ packets


@pytest.mark.parametrize("protocol", [6, 17])
def test_where_a_packet_goes(protocol: int) -> None:
    ports = struct.pack("!HH", 40000, 5432)
    four = bytes([0x46, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0]) + bytes(4) + bytes([10, 0, 0, 9]) + bytes(4)
    assert destination(four + ports) == (protocol, 40000, "10.0.0.9", 5432)
    six = bytes([0x60, 0, 0, 0, 0, 0, protocol, 64]) + bytes(16) + bytes(15) + b"\x09"
    assert destination(six + ports) == (protocol, 40000, "::9", 5432)
    assert destination(six) is None
    assert destination(bytes([0x45]) + bytes(40)) is None


@given(st.binary(max_size=100))
def test_any_packet(packet: bytes) -> None:
    found = destination(packet)
    assert found is None or found.protocol in (6, 17)


# ------------------------------------------------------------ answers


def asking(**headers: str) -> Asking:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Asking("GET", "http://x/", "http://x/", None, pairs)


def exchange(status: int = 200, varies: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> Exchange:
    return Exchange("GET", "http://x/", status, len(body), sha256(body), None, varies)


def test_an_answer_counts_for_the_headers_that_chose_it() -> None:
    html, other = exchange(varies=(("accept", "text/html"),)), exchange(varies=(("accept", "*/*"),))
    answers = Answers([html, other], strict=True)
    assert answers.find(asking(accept="*/*")) is other
    assert answers.find(asking(accept="text/html", user_agent="x")) is html
    assert answers.find(asking()) is None
    assert answers.given == (other, html)


def test_a_new_answer_takes_the_place_of_an_old_one() -> None:
    answers = Answers([], strict=False)
    answers.add(exchange(401))
    assert answers.find(asking()) == exchange(401)
    assert answers.find(asking(authorization="x")) is None
    answers.add(exchange(200))
    assert answers.find(asking()) == answers.find(asking(authorization="x")) == exchange(200)
    assert answers.given == (exchange(200),)


def test_which_headers_chose() -> None:
    asked = asking(accept="a", git_protocol="version=2", cookie="secret")
    assert chosen_by(asked, "Cookie, ACCEPT") == (("accept", "a"), ("git-protocol", "version=2"))
    assert chosen_by(asked, "") == (("git-protocol", "version=2"),)


def test_which_answers_are_kept() -> None:
    assert all(keeps(status) for status in (200, 204, 301, 401, 403, 404, 410))
    assert not any(keeps(status) for status in (408, 425, 429, 500, 502, 599))
