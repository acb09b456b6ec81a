"""Pins that move, and what is told of that."""

from dataclasses import replace

import pytest

from buildtool.diag import BuildError
from buildtool.digest import sha256
from buildtool.lock.compare import compare
from buildtool.lock.debian import DebianPackage
from buildtool.lock.exchanges import Exchange, run_pins
from buildtool.lock.model import DebianPins, FilePin, Lock
from buildtool.lock.packages import Package, is_newer, package_of
from buildtool.lock.update import dropped


def _got(place: str, body: bytes = b"") -> Exchange:
    return Exchange("GET", place, 200, len(body), sha256(body))


def _deb(name: str, version: str) -> DebianPackage:
    return DebianPackage(name, version, "amd64", "debian", f"pool/{name}.deb", 1, sha256(version.encode()))


CURL = "debian:pool/main/c/curl/curl_7.88.1-10%2bdeb12u{}_amd64.deb"
LOCK = Lock(
    clock=1_783_765_031,
    images={"ubuntu:20.04 linux/amd64": sha256(b"ubuntu"), "debian:12 linux/amd64": sha256(b"debian")},
    files={"https://example.org/tool.tar.gz": FilePin(sha256(b"tool"), 4)},
    git={"https://example.org/app.git#main": "4f2c" * 10},
    debian={
        "//:root amd64": DebianPins(
            ("bookworm",), ("main",), "amd64", ("apt",), "minbase", None, (), (_deb("apt", "2.6.1"),)
        )
    },
    runs={
        "app 1 linux/amd64": run_pins(
            "a" * 64, 1_783_765_031, (_got("debian:dists/bookworm/InRelease", b"1"), _got(CURL.format(5)))
        ),
        "app 2 linux/amd64": run_pins("b" * 64, 1_783_765_031, (_got("https://example.org/x", b"x"),)),
    },
)


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("ubuntu:20.04", {"ubuntu:20.04 linux/amd64"}),
        ("linux/amd64", {*LOCK.images, *LOCK.runs}),
        ("https://example.org/*", {*LOCK.files, *LOCK.git}),
        ("https://example.org/app.git", set(LOCK.git)),
        ("main", set(LOCK.git)),
        ("apt", set(LOCK.debian)),
        ("//:root", set(LOCK.debian)),
        ("app", set(LOCK.runs)),
        ("app 1", {"app 1 linux/amd64"}),
        ("curl", {"app 1 linux/amd64"}),
    ],
)
def test_a_pattern_drops_the_pins_that_it_names(pattern: str, gone: set[str]) -> None:
    def names(lock: Lock) -> set[str]:
        return {*lock.images, *lock.files, *lock.git, *lock.debian, *lock.runs}

    left, anew = dropped(LOCK, (pattern,))
    assert names(LOCK) - names(left) == gone
    assert anew == gone & LOCK.runs.keys()
    assert left.clock == (None if anew else LOCK.clock)


def test_no_pattern_drops_nothing_and_a_star_all() -> None:
    assert dropped(LOCK, ()) == (LOCK, frozenset())
    assert dropped(LOCK, ("*",)) == (Lock(), frozenset(LOCK.runs))
    assert dropped(Lock(), ("*",)) == (Lock(), frozenset())


def test_a_pattern_that_names_nothing_is_an_error() -> None:
    with pytest.raises(BuildError) as raised:
        dropped(LOCK, ("app 1", "ubuntu:22.04"))
    assert raised.value.code == "no-such-pin"
    assert "ubuntu:22.04" in raised.value.message


@pytest.mark.parametrize(
    ("place", "package"),
    [
        (CURL.format(5), Package("debian", "curl", "7.88.1-10+deb12u5")),
        ("http://archive.ubuntu.com/ubuntu/p/python3_3.8_amd64.deb", Package("debian", "python3", "3.8")),
        ("pypi:Flask_Login-3.0.0-py3-none-any.whl", Package("python", "flask-login", "3.0.0")),
        (
            "https://files.pythonhosted.org/packages/a/b/flask-3.0.0-1-py3-none-any.whl",
            Package("python", "flask", "3.0.0"),
        ),
        ("https://files.pythonhosted.org/packages/a/flask-3.0.0.tar.gz", Package("python", "flask", "3.0.0")),
        ("pypi-packages:a/b/flask-3.0.0.tar.gz", Package("python", "flask", "3.0.0")),
        ("pypi-packages:a/b/jinja2-3.1.5-py3-none-any.whl", Package("python", "jinja2", "3.1.5")),
        ("npm:left-pad/-/left-pad-1.3.0.tgz", Package("npm", "left-pad", "1.3.0")),
        ("npm:@babel/core/-/core-7.0.0-beta.1.tgz", Package("npm", "@babel/core", "7.0.0-beta.1")),
        ("https://npm.example/r/@a/b/-/b-1.0.tgz", Package("npm", "@a/b", "1.0")),
        ("https://example.org/tool-1.2.tar.gz", None),
        ("debian:dists/bookworm/InRelease", None),
    ],
)
def test_packages_by_their_places(place: str, package: Package | None) -> None:
    assert package_of(place) == package


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9", "1.10"),
        ("1.0~rc1", "1.0"),
        ("1.0", "1.0.1"),
        ("1.0a", "1.0b"),
        ("7.88-10", "8.0-1"),
        ("1.0", "1.0+b1"),
    ],
)
def test_the_order_of_versions(older: str, newer: str) -> None:
    assert is_newer(newer, older)
    assert not is_newer(older, newer)
    assert not is_newer(newer, newer)


def told(old: Lock, new: Lock) -> list[str]:
    return [
        f"{section.title}: {c.kind} {c.subject}: {' -> '.join(filter(None, (c.before, c.after)))}"
        for section in compare(old, new)
        for c in section.changes
    ]


def test_what_changed_is_told_in_words() -> None:
    app = LOCK.runs["app 1 linux/amd64"]
    newer = run_pins(
        "c" * 64, app.clock, (_got("debian:dists/bookworm/InRelease", b"2"), _got(CURL.format(8)))
    )
    new = replace(
        LOCK,
        images={"ubuntu:20.04 linux/amd64": sha256(b"newer")},
        files={**LOCK.files, "https://example.org/new": FilePin(sha256(b"new"), 3)},
        debian={
            "//:root amd64": replace(
                LOCK.debian["//:root amd64"], resolved=(_deb("apt", "2.6.2"), _deb("curl", "8.0"))
            )
        },
        runs={**LOCK.runs, "app 1 linux/amd64": newer},
    )
    ubuntu = [sha256(text)[7:19] for text in (b"ubuntu", b"newer", b"debian", b"new", b"1", b"2")]
    assert told(LOCK, new) == [
        f"images: gone debian:12 linux/amd64: {ubuntu[2]}",
        f"images: changed ubuntu:20.04 linux/amd64: {ubuntu[0]} -> {ubuntu[1]}",
        f"files: new https://example.org/new: {ubuntu[3]}",
        "debian //:root amd64: up apt: 2.6.1 -> 2.6.2",
        "debian //:root amd64: new curl: 8.0",
        "step app 1 linux/amd64: up curl: 7.88.1-10+deb12u5 -> 7.88.1-10+deb12u8",
        f"step app 1 linux/amd64: changed debian:dists/bookworm/InRelease: {ubuntu[4]} -> {ubuntu[5]}",
    ]


def test_a_step_that_was_answered_the_same() -> None:
    name = "app 2 linux/amd64"
    same = replace(LOCK.runs[name], step="d" * 64)
    assert told(LOCK, replace(LOCK, runs={**LOCK.runs, name: same})) == [
        f"step {name}: changed command or inputs: {'b' * 12} -> {'d' * 12}"
    ]
    later = replace(LOCK.runs[name], clock=LOCK.runs[name].clock + 60)
    assert told(LOCK, replace(LOCK, runs={**LOCK.runs, name: later})) == [
        f"step {name}: changed recorded: 2026-07-11T10:17:11Z -> 2026-07-11T10:18:11Z"
    ]


def test_locks_that_are_alike() -> None:
    assert compare(LOCK, LOCK) == ()
