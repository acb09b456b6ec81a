"""Reads a lock strictly: whatever a hand or a merge did to it is shown with its line."""

import os
import re
import stat
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import TypeVar

from buildtool.diag import BuildError
from buildtool.digest import parse_digest
from buildtool.lock import instant
from buildtool.lock.debian import ARCHIVES, DebianPackage
from buildtool.lock.exchanges import RunPins, run_pins
from buildtool.lock.model import FORMAT, DebianPins, FilePin, Lock, ReleasePin
from buildtool.lock.npm import NodeArchive, NodePin
from buildtool.lock.pypi import PythonPins, Wheel
from buildtool.lock.toml import Kind, Table, parse

_T = TypeVar("_T")
_LARGEST = 64 << 20
_STEP = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_KIND = Kind("the lock", "lock", "restore it from version control, or delete the file and build again")


def read(path: str) -> Lock:
    """The lock at `path`; an empty one when there is no such file.

    BuildError `lock-unreadable`, `lock-conflict` (a merge's markers stand in it),
    `lock-syntax`, `lock-format` (written by a newer tool) or `lock-invalid`, with
    the line.
    """
    try:
        # Not blocking: opening a pipe would wait for its writer.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BuildError("lock-unreadable", f"{path} is not a regular file")
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return Lock()
    except OSError as e:
        raise BuildError("lock-unreadable", f"cannot read {path}: {e.strerror}") from e
    if len(data) > _LARGEST:
        raise BuildError("lock-unreadable", f"{path} is larger than {_LARGEST} bytes")
    return loads(data, path)


def loads(data: bytes, path: str) -> Lock:
    """The lock that `data` spells; `path` is for messages."""
    return _lock(parse(data, path, _KIND))


def _lock(top: Table) -> Lock:
    written = top.tree.get("format")
    if not isinstance(written, int) or isinstance(written, bool) or written < 1:
        top.fail("the lock does not say its format", "format")
    if written > FORMAT:
        raise BuildError(
            "lock-format",
            f"the lock has format {written}, and this buildtool knows formats up to {FORMAT}",
            span=top.source.find((), "format"),
            hint="use the newer buildtool that wrote it",
        )
    top.only("format", "clock", "bundle", "images", "files", "git", "debian", "pypi", "npm", "run")
    images = top.table("images")
    files, git = top.table("files"), top.table("git")
    debian, pypi, npm = top.table("debian"), top.table("pypi"), top.table("npm")
    run = top.table("run")
    return Lock(
        format=written,
        clock=_clock(top),
        bundle=top.text("bundle") if "bundle" in top.tree else "",
        images={name: images.digest(name) for name in images.tree},
        files={url: _pin(files, url, _file) for url in files.tree},
        git={ref: _pin(git, ref, _commit) for ref in git.tree},
        debian={name: _debian(debian.table(name)) for name in debian.tree},
        pypi={name: _python(pypi.table(name)) for name in pypi.tree},
        npm={place: _pin(npm, place, partial(_archive, place)) for place in npm.tree},
        runs={place: _run(run.table(place)) for place in run.tree},
    )


def _clock(top: Table) -> int | None:
    from datetime import datetime

    clock = top.tree.get("clock")
    if clock is None:
        return None
    if not isinstance(clock, datetime) or clock.tzinfo is None or clock.microsecond:
        top.fail("'clock' is not an instant in UTC, such as 2026-07-11T10:16:37Z", "clock")
    return int(clock.timestamp())


def _pin(table: Table, key: str, parse: Callable[[str], _T]) -> _T:
    """A string of a table, taken apart by `parse` (which raises ValueError or BuildError)."""
    try:
        return parse(table.text(key))
    except ValueError as e:
        table.fail(str(e), key)
    except BuildError as e:
        if e.code not in ("bad-digest", "bad-package-lock"):
            raise
        table.fail(e.message, key)


def _file(text: str) -> FilePin:
    words = text.split(" ")
    if len(words) != 3:
        raise ValueError("a file is: digest size instant")
    return FilePin(parse_digest(words[0]), _size(words[1]), instant.parse(words[2]))


def _commit(text: str) -> str:
    if not _COMMIT.fullmatch(text):
        raise ValueError(f"{text!r} is not a commit: 40 or 64 hexadecimal digits")
    return text


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise ValueError(f"{text!r} is not a size in bytes")
    return int(text)


def _debian(table: Table) -> DebianPins:
    table.only(
        "suites", "components", "architecture", "packages", "variant", "keyring", "releases", "resolved"
    )
    return DebianPins(
        suites=table.texts("suites"),
        components=table.texts("components"),
        architecture=table.text("architecture"),
        packages=table.texts("packages"),
        variant=table.text("variant"),
        keyring=table.digest("keyring") if "keyring" in table.tree else None,
        releases=table.parsed("releases", _release),
        resolved=table.parsed("resolved", _package),
    )


def _python(table: Table) -> PythonPins:
    table.only("python", "platform", "requirements", "constraints", "resolved")
    return PythonPins(
        python=table.text("python"),
        platform=table.text("platform"),
        requirements=table.texts("requirements"),
        constraints=table.texts("constraints") if "constraints" in table.tree else (),
        resolved=table.parsed("resolved", _wheel),
    )


def _wheel(text: str) -> Wheel:
    words = text.split(" ")
    if len(words) != 5 or not words[4].startswith("pypi:"):
        raise ValueError("a wheel is: project version size digest pypi:file")
    project, version, size, digest, place = words
    return Wheel(project, version, place.removeprefix("pypi:"), _size(size), parse_digest(digest))


def _archive(place: str, text: str) -> NodePin:
    words = text.split(" ")
    if len(words) != 3:
        raise ValueError("an archive is: digest size integrity")
    return NodePin(NodeArchive(place, words[2]), _size(words[1]), parse_digest(words[0]))


def _run(table: Table) -> RunPins:
    # Not imported above: most locks are of builds whose steps stay at home.
    from buildtool.lock.spelling import parse, spell

    table.only("step", "clock", "exchanges")
    step = table.text("step")
    if not _STEP.fullmatch(step):
        table.fail(f"{step[:100]!r} is not the key of a step: 64 hexadecimal digits", "step")
    clock = _clock(table)
    if clock is None:
        table.wrong("clock", "an instant")
    pins = run_pins(step, clock, table.parsed("exchanges", parse))
    for one, other in pairwise(pins.exchanges):
        if one.asked == other.asked:
            table.fail("one request has two answers in this recording", "exchanges", spell(other))
    return pins


def _release(text: str) -> ReleasePin:
    words = text.split(" ")
    if len(words) != 4 or words[0] not in ARCHIVES:
        raise ValueError("a release is: archive suite date digest")
    return ReleasePin(words[0], words[1], instant.parse(words[2]), parse_digest(words[3]))


def _package(text: str) -> DebianPackage:
    words = text.split(" ")
    essential = words[6:] == ["essential"]
    if len(words) != 6 and not essential:
        raise ValueError("a package is: name version architecture size digest archive:path [essential]")
    name, version, architecture, size, digest, place = words[:6]
    archive, _, path = place.partition(":")
    return DebianPackage(
        name=name,
        version=version,
        architecture=architecture,
        archive=archive,
        path=path,
        size=_size(size),
        digest=parse_digest(digest),
        essential=essential,
    )
