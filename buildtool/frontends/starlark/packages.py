"""Lowering of what comes from archives of packages and is one layer: Debian's, Python's and npm's.

Nothing of a package is run: each is a file known by its digest, taken apart by a file
operation.
"""

import os
import posixpath
from typing import TYPE_CHECKING

from buildtool.diag import BuildError
from buildtool.frontends.starlark import declared as d
from buildtool.frontends.starlark.config import Asked
from buildtool.frontends.starlark.debian import debian_architecture, fetched_package, merged_usr
from buildtool.graph.model import (
    Action,
    CopyAction,
    FetchSource,
    LiteralFile,
    LiteralSource,
    MakeFolderAction,
    MakeLinkAction,
    Origin,
    Platform,
    UnpackDebsAction,
)
from buildtool.graph.unpacking import UnpackArchiveAction, UnpackWheelAction
from buildtool.lock.debian import DebianRequest
from buildtool.lock.npm import NodePin
from buildtool.lock.pypi import PythonRequest

if TYPE_CHECKING:
    from buildtool.frontends.starlark.lower import Lowering

_LARGEST = 16 << 20
#: What wheels call the machines of platforms.
_MACHINES = {
    "386": "i686",
    "amd64": "x86_64",
    "arm64": "aarch64",
    "arm/v7": "armv7l",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}


def package_actions(
    lowering: "Lowering",
    asked: Asked,
    target: d.DebianPackagesTarget | d.PythonPackagesTarget | d.NodePackagesTarget,
    platform: Platform,
) -> list[Action]:
    """The file operations that put the packages of a target into a root filesystem."""
    try:
        if isinstance(target, d.DebianPackagesTarget):
            return _debian(lowering, asked, target, platform)
        if isinstance(target, d.PythonPackagesTarget):
            return _python(lowering, asked, target, platform)
        return _node(lowering, asked, target, platform)
    except BuildError as e:
        raise e.at(asked.span) from None


def read_text(lowering: "Lowering", asked: Asked, path: str) -> bytes:
    """A file of the target's package that tells of packages; BuildError `unreadable`."""
    try:
        with open(os.path.join(lowering.workspace.folder(asked.label.package), path), "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as e:
        raise BuildError("unreadable", f"{path} cannot be read: {e.strerror}", span=asked.span) from None
    if len(data) > _LARGEST:
        raise BuildError("unreadable", f"{path} has more than {_LARGEST} bytes", span=asked.span)
    return data


# ---------------------------------------------------------------- Debian


def _debian(
    lowering: "Lowering", asked: Asked, target: d.DebianPackagesTarget, platform: Platform
) -> list[Action]:
    architecture = debian_architecture(platform)
    request = DebianRequest(
        name=str(asked.label),
        suites=target.suites,
        components=target.components,
        architecture=architecture,
        packages=target.packages,
        variant="custom",
        keyring=read_text(lowering, asked, target.keyring) if target.keyring is not None else None,
    )
    packages = lowering.services.debian_packages(request, asked.span)
    named = {p.partition("=")[0] for p in target.packages}
    unknown = set(target.exclude) - {p.name for p in packages}
    if unknown:
        raise BuildError(
            "nothing-to-exclude",
            f"{asked.label} leaves out {sorted(unknown)[0]!r}, which nothing needs",
            span=asked.span,
        )
    kept = [p for p in packages if p.name not in target.exclude and (target.dependencies or p.name in named)]
    return [
        *merged_usr(target.suites[0], architecture),
        *(UnpackDebsAction(fetched_package(p, asked), status=True) for p in kept),
    ]


# ---------------------------------------------------------------- Python


def _python(
    lowering: "Lowering", asked: Asked, target: d.PythonPackagesTarget, platform: Platform
) -> list[Action]:
    from buildtool.frontends.starlark.requirements import read_requirements

    requirements, constraints = read_requirements(
        target.requirements,
        lambda path: read_text(lowering, asked, path),
        asked.label.package,
        target.extras,
    )
    name = "/".join(p for p in (platform.architecture, platform.variant) if p)
    machine = _MACHINES.get(name) or _MACHINES.get(platform.architecture)
    if machine is None:
        raise BuildError("no-wheels", f"there are no wheels for {platform}", span=asked.span)
    request = PythonRequest(
        name=str(asked.label),
        requirements=requirements,
        python=target.python,
        platform=f"{target.platform}_{machine}",
        constraints=constraints,
    )
    wheels = lowering.services.python_packages(request, asked.span) if requirements else ()
    short = ".".join(target.python.split(".")[:2])
    actions = _environment(target, short, asked.origin(f"virtual environment {target.prefix}"))
    for wheel in wheels:
        source = FetchSource(
            digest=wheel.digest,
            name=wheel.filename,
            mode=0o644,
            size=wheel.size,
            urls=wheel.urls,
            origin=asked.origin(f"{wheel.project} {wheel.version}"),
        )
        actions.append(UnpackWheelAction(source, target.prefix, short))
    return actions


def _environment(target: d.PythonPackagesTarget, python: str, origin: Origin) -> list[Action]:
    """A virtual environment (PEP 405) without packages."""
    interpreter = target.interpreter or f"/usr/bin/python{python}"
    text = (
        f"home = {posixpath.dirname(interpreter)}\n"
        "include-system-site-packages = false\n"
        f"version = {python}\n"
        f"executable = {interpreter}\n"
    )
    source = LiteralSource((LiteralFile("pyvenv.cfg", text.encode()),), origin=origin)
    prefix = target.prefix.rstrip("/")
    return [
        CopyAction(source, ("pyvenv.cfg",), f"{prefix}/pyvenv.cfg", wildcards=False),
        MakeFolderAction(f"{prefix}/lib/python{python}/site-packages"),
        MakeLinkAction(f"{prefix}/bin/python", interpreter),
        MakeLinkAction(f"{prefix}/bin/python3", "python"),
        MakeLinkAction(f"{prefix}/bin/python{python}", "python"),
    ]


# ---------------------------------------------------------------- npm


def _node(
    lowering: "Lowering", asked: Asked, target: d.NodePackagesTarget, platform: Platform
) -> list[Action]:
    from buildtool.frontends.starlark.packagelock import read_package_lock

    data = read_text(lowering, asked, target.package_lock)
    packages = read_package_lock(
        data,
        posixpath.join(asked.label.package, target.package_lock),
        platform.architecture,
        dev=target.dev,
        optional=target.optional,
    )
    pins = lowering.services.node_packages([p.archive for p in packages], asked.span)
    dest = target.dest.rstrip("/")
    actions: list[Action] = [MakeFolderAction(f"{dest}/node_modules")]
    for package, pin in zip(packages, pins, strict=True):
        source = _archive(pin, package.title, asked)
        actions.append(
            UnpackArchiveAction(
                source,
                f"{dest}/{package.folder}",
                strip="*",
                plain=True,
                executable=tuple(path for _, path in package.programs),
            )
        )
    for package in packages:
        modules, _, name = package.folder.rpartition("node_modules/")
        for program, path in package.programs:
            link = f"{dest}/{modules}node_modules/.bin/{program}"
            actions.append(MakeLinkAction(link, f"../{name}/{path}"))
    return actions


def _archive(pin: NodePin, title: str, asked: Asked) -> FetchSource:
    return FetchSource(
        digest=pin.digest,
        name=pin.filename,
        mode=0o644,
        size=pin.size,
        urls=pin.urls,
        origin=asked.origin(title),
    )
