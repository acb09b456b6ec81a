"""Writes a lock: sorted, one pin a line, so that a change of one pin is a change of one line."""

import os
import re
from collections.abc import Iterable
from itertools import takewhile

from buildtool.diag import BuildError
from buildtool.lock import instant
from buildtool.lock.debian import DebianPackage
from buildtool.lock.exchanges import RunPins
from buildtool.lock.model import DebianPins, FilePin, Lock, ReleasePin
from buildtool.lock.npm import NodePin
from buildtool.lock.pypi import PythonPins, Wheel

_HEADER = "# Written by buildtool. Keep it under version control; do not edit it by hand.\n"
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dumps(lock: Lock) -> str:
    """The text of a lock: equal locks give equal texts, whatever order they were filled in."""
    rows = [_HEADER, f"format = {lock.format}\n"]
    if lock.clock is not None:
        rows.append(f"clock = {instant.spell(lock.clock)}\n")
    if lock.bundle:
        rows.append(f"bundle = {_quoted(lock.bundle)}\n")
    if lock.images:
        rows.append("\n[images]\n")
        rows += [f"{_quoted(name)} = {_quoted(digest)}\n" for name, digest in sorted(lock.images.items())]
    if lock.files:
        rows.append("\n[files]\n")
        rows += [f"{_quoted(url)} = {_quoted(_file(pin))}\n" for url, pin in sorted(lock.files.items())]
    if lock.git:
        rows.append("\n[git]\n")
        rows += [f"{_quoted(ref)} = {_quoted(commit)}\n" for ref, commit in sorted(lock.git.items())]
    for name, pins in sorted(lock.debian.items()):
        rows.append(f"\n[debian.{_key(name)}]\n")
        rows += _debian(pins)
    for name, wheels in sorted(lock.pypi.items()):
        rows.append(f"\n[pypi.{_key(name)}]\n")
        rows += _python(wheels)
    if lock.npm:
        rows.append("\n[npm]\n")
        rows += [f"{_quoted(place)} = {_quoted(_archive(pin))}\n" for place, pin in sorted(lock.npm.items())]
    for place, recording in sorted(lock.runs.items(), key=_in_order):
        rows.append(f"\n[run.{_key(place)}]\n")
        rows += _run(recording)
    return "".join(rows)


def write(path: str, lock: Lock) -> None:
    """Put the lock at `path` at once and durably; a file that says the same already is left alone.

    Comments at the top of the file stay, others are not kept.  A link at `path` is
    followed.  BuildError `lock-unwritable`.
    """
    path = os.path.realpath(path)
    temporary = f"{path}.{os.getpid()}.new"
    try:
        before = _bytes_of(path)
        data = _preamble(before) + dumps(lock).encode()
        if data == before:
            return
        try:
            with open(temporary, "wb") as new:
                new.write(data)
                new.flush()
                os.fsync(new.fileno())
            os.replace(temporary, path)
        except BaseException:
            _remove(temporary)
            raise
        _sync_folder(os.path.dirname(path))
    except OSError as e:
        raise BuildError("lock-unwritable", f"cannot write {path}: {e.strerror}", exit_status=1) from e


def _debian(pins: DebianPins) -> Iterable[str]:
    yield f"suites = {_inline(pins.suites)}\n"
    yield f"components = {_inline(pins.components)}\n"
    yield f"architecture = {_quoted(pins.architecture)}\n"
    yield f"variant = {_quoted(pins.variant)}\n"
    if pins.keyring is not None:
        yield f"keyring = {_quoted(pins.keyring)}\n"
    yield from _lines("packages", sorted(pins.packages))
    yield from _lines("releases", [_release(r) for r in pins.releases])
    yield from _lines("resolved", [_package(p) for p in pins.resolved])


def _python(pins: PythonPins) -> Iterable[str]:
    yield f"python = {_quoted(pins.python)}\n"
    yield f"platform = {_quoted(pins.platform)}\n"
    yield from _lines("requirements", sorted(pins.requirements))
    if pins.constraints:
        yield from _lines("constraints", sorted(pins.constraints))
    yield from _lines("resolved", [_wheel(w) for w in sorted(pins.resolved, key=lambda w: w.project)])


def _run(pins: RunPins) -> Iterable[str]:
    from buildtool.lock.spelling import spell

    yield f"step = {_quoted(pins.step)}\n"
    yield f"clock = {instant.spell(pins.clock)}\n"
    yield from _lines("exchanges", [spell(exchange) for exchange in pins.exchanges])


def _in_order(item: tuple[str, RunPins]) -> tuple[tuple[int, str], ...]:
    """Steps of a stage by their numbers: `app 2 linux/amd64` before `app 10 linux/amd64`."""
    words = item[0].split(" ")
    return tuple((len(word) if word.isdecimal() else 0, word) for word in words)


def _wheel(wheel: Wheel) -> str:
    return f"{wheel.project} {wheel.version} {wheel.size} {wheel.digest} pypi:{wheel.filename}"


def _archive(pin: NodePin) -> str:
    return f"{pin.digest} {pin.size} {pin.archive.integrity}"


def _file(pin: FilePin) -> str:
    return f"{pin.digest} {pin.size} {instant.spell(pin.modified)}"


def _release(pin: ReleasePin) -> str:
    return f"{pin.archive} {pin.suite} {instant.spell(pin.date)} {pin.digest}"


def _package(package: DebianPackage) -> str:
    essential = " essential" if package.essential else ""
    return (
        f"{package.name} {package.version} {package.architecture} {package.size} {package.digest} "
        f"{package.archive}:{package.path}{essential}"
    )


def _lines(name: str, items: list[str]) -> Iterable[str]:
    if not items:
        yield f"{name} = []\n"
        return
    yield f"{name} = [\n"
    for item in items:
        yield f"    {_quoted(item)},\n"
    yield "]\n"


def _inline(items: Iterable[str]) -> str:
    return "[" + ", ".join(_quoted(item) for item in items) + "]"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    """A basic string of TOML 1.0: quotes, backslashes and control characters are escaped."""
    return '"' + "".join(_escaped(c) for c in text) + '"'


def _escaped(c: str) -> str:
    if c in '"\\':
        return "\\" + c
    if ord(c) < 0x20 or ord(c) == 0x7F:
        return f"\\u{ord(c):04x}"
    return c


def _preamble(before: bytes) -> bytes:
    """What a person wrote at the top of a lock: the comments and empty lines before anything else."""
    rows = before.splitlines(keepends=True)
    own = takewhile(lambda row: row.strip() == b"" or row.startswith(b"#"), rows)
    kept = b"".join(row for row in own if row.strip() != _HEADER.strip().encode())
    return kept.strip(b"\n") + b"\n\n" if kept.strip() else b""


def _bytes_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _sync_folder(path: str) -> None:
    fd = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
