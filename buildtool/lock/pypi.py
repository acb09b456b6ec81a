"""What a target asks of a Python package index, and the wheels that answer it.

Wheels are named by file name and digest, never by the host of an index: `urls` are
places such as `pypi:msgspec-0.19.0-cp311-....whl`, which a fetcher turns into
addresses with the index of its machine.
"""

import re
from dataclasses import dataclass

from buildtool.diag import BuildError
from buildtool.digest import Digest

_PYTHON = re.compile(r"3\.[0-9]{1,2}(\.[0-9]{1,2})?")
_PLATFORM = re.compile(r"(manylinux|musllinux)_[0-9]+_[0-9]+_[a-z0-9_]+")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!]*(-[A-Za-z0-9._+!]+){4,5}\.whl")
_VERSION = re.compile(r"[0-9A-Za-z.+!]+")


@dataclass(frozen=True, slots=True)
class PythonRequest:
    """The packages that a target wants: `name` is the target's label, unique with the platform.

    `requirements` and `constraints` are as in a requirements file (PEP 508, with
    `--hash=...` behind them).  `python` is `3.11` or `3.11.2`, `platform` the newest tag of
    the platform (`manylinux_2_28_x86_64`).  BuildError `bad-python-request`.
    """

    name: str
    requirements: tuple[str, ...]
    python: str
    platform: str
    constraints: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _PYTHON.fullmatch(self.python):
            raise BuildError(
                "bad-python-request", f"{self.python!r} is not a version of Python", hint="for example 3.11"
            )
        if not _PLATFORM.fullmatch(self.platform):
            raise BuildError(
                "bad-python-request",
                f"{self.platform!r} is not a platform of wheels",
                hint="for example manylinux_2_28 or musllinux_1_2",
            )

    @property
    def id(self) -> str:
        """The name of the request in a lock."""
        return f"{self.name} {self.platform}"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel of an index; `size` in bytes, 0 where the index does not say."""

    project: str
    version: str
    filename: str
    size: int
    digest: Digest

    def __post_init__(self) -> None:
        if not _FILE.fullmatch(self.filename) or not _VERSION.fullmatch(self.version):
            raise BuildError("bad-wheel", f"{self.filename!r} is not the name of a wheel")
        if normal_name(self.filename.partition("-")[0]) != self.project:
            raise BuildError("bad-wheel", f"{self.filename!r} is not a wheel of {self.project}")

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the wheel is, for `FetchSource.urls`."""
        return (f"pypi:{self.filename}",)


@dataclass(frozen=True, slots=True)
class PythonPins:
    """A request for Python packages, and the wheels that answered it, by project."""

    python: str
    platform: str
    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    resolved: tuple[Wheel, ...]

    def answers(self, request: PythonRequest) -> bool:
        """Whether the request is still the one that these wheels were chosen for."""
        return (self.python, self.platform, sorted(self.requirements), sorted(self.constraints)) == (
            request.python,
            request.platform,
            sorted(request.requirements),
            sorted(request.constraints),
        )


def python_pins(request: PythonRequest, resolved: tuple[Wheel, ...]) -> PythonPins:
    """The pins that record an answer to `request`."""
    return PythonPins(
        python=request.python,
        platform=request.platform,
        requirements=tuple(sorted(request.requirements)),
        constraints=tuple(sorted(request.constraints)),
        resolved=tuple(sorted(resolved, key=lambda w: w.project)),
    )


def normal_name(project: str) -> str:
    """The form that all spellings of a project's name share (PEP 503)."""
    return re.sub(r"[-_.]+", "-", project).lower()
