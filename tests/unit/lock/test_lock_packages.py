"""Wheels and npm archives in the lock: the text, what is refused, and when pins are used."""

from collections.abc import Callable, Sequence

import pytest

from buildtool.diag import BuildError
from buildtool.digest import sha256
from buildtool.lock.model import Lock
from buildtool.lock.npm import NodeArchive, NodePin
from buildtool.lock.pypi import PythonPins, PythonRequest, Wheel, python_pins
from buildtool.lock.read import loads
from buildtool.lock.resolve import Pins
from buildtool.lock.write import dumps

WHEEL = Wheel("my-app", "1.0", "My_App-1.0-py3-none-any.whl", 12, sha256(b"w"))
REQUEST = PythonRequest(
    "//app:deps", ("my-app>=1", "a --hash=sha256:00"), "3.11", "manylinux_2_28_x86_64", ("b<2",)
)
ARCHIVE = NodeArchive("npm:@scope/ms/-/ms-2.1.3.tgz", "sha512-" + "A" * 86 + "==")
LOCK = Lock(
    pypi={REQUEST.id: python_pins(REQUEST, (WHEEL,))},
    npm={ARCHIVE.place: NodePin(ARCHIVE, 5, sha256(b"n"))},
)


class Resolver:
    """Answers, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def python(self, request: PythonRequest) -> PythonPins:
        self.asked.append(request)
        return python_pins(request, (WHEEL,))

    def node(self, archives: Sequence[NodeArchive]) -> list[NodePin]:
        self.asked.append(tuple(archives))
        return [NodePin(a, 1, sha256(a.place.encode())) for a in archives]


def test_the_text(golden: Callable[[str, str], None]) -> None:
    golden("lock/packages.lock", dumps(LOCK))


def test_what_is_written_is_read() -> None:
    assert loads(dumps(LOCK).encode(), "x") == LOCK


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("my-app 1.0 12", "other 1.0 12", "is not a wheel of other"),
        (" pypi:", " https:", "a wheel is: project version size digest pypi:file"),
        ('python = "3.11"\n', "", "has no 'python'"),
        ("sha512-", "md5-", "is not an integrity"),
        ("npm:@scope/ms", "npm:../ms", "is not a place in a registry"),
        ("platform =", "plattform =", "platform"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(old: str, new: str, said: str) -> None:
    with pytest.raises(BuildError) as caught:
        loads(dumps(LOCK).replace(old, new).encode(), "x")
    assert caught.value.code == "lock-invalid"
    assert said in caught.value.message + caught.value.hint
    assert caught.value.span is not None


@pytest.mark.parametrize(("python", "platform"), [("2.7", "manylinux_2_28_x86_64"), ("3.11", "win32")])
def test_requests_that_are_none(python: str, platform: str) -> None:
    with pytest.raises(BuildError, match="is not a") as caught:
        PythonRequest("//a:b", ("x",), python, platform)
    assert caught.value.code == "bad-python-request"


def test_wheels_are_chosen_once() -> None:
    resolver = Resolver()
    pins = Pins(Lock(), resolver)  # type: ignore[arg-type]
    assert pins.python(REQUEST) == pins.python(REQUEST) == (WHEEL,)
    again = Pins(loads(dumps(pins.lock).encode(), "x"), resolver, locked=True)  # type: ignore[arg-type]
    assert again.python(REQUEST) == (WHEEL,)
    assert len(resolver.asked) == 1
    other = PythonRequest(REQUEST.name, ("my-app",), REQUEST.python, REQUEST.platform)
    with pytest.raises(BuildError, match="other Python packages"):
        again.python(other)


def test_only_archives_that_are_not_known_are_brought() -> None:
    resolver = Resolver()
    pins = Pins(LOCK, resolver)  # type: ignore[arg-type]
    other = NodeArchive("npm:a/-/a-1.tgz", ARCHIVE.integrity)
    first, second = pins.node([other, ARCHIVE])
    assert (first.archive, second) == (other, LOCK.npm[ARCHIVE.place])
    assert resolver.asked == [(other,)]
    with pytest.raises(BuildError, match="is not in the lock"):
        Pins(LOCK, resolver, locked=True).node([other])  # type: ignore[arg-type]
