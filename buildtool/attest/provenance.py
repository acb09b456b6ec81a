"""Provenance: where an image comes from, as a SLSA v1 statement (slsa.dev/spec/v1.0/provenance).

It tells what was asked for (enough to ask for it again), every input by its digest, and
each step with whether it is hermetic.  It names no host, no user and no time of the
wall clock: the same build has the same provenance, byte for byte.  `BUILD_TYPE` is
described in docs/design/verify.md.
"""

from collections.abc import Callable, Mapping
from typing import Any

from buildtool import __version__
from buildtool.address import public, shown
from buildtool.attest.purl import image_url, package_at, purl
from buildtool.attest.statement import PROVENANCE, Statement, Subject
from buildtool.digest import Digest, hex_of
from buildtool.graph.keys import FORMAT
from buildtool.graph.model import (
    FetchSource,
    GitSource,
    Image,
    ImageSource,
    Index,
    LocalSource,
    Run,
    Step,
    walk,
)
from buildtool.lock.debian import DebianPackage
from buildtool.lock.model import Lock
from buildtool.lock.pypi import Wheel

BUILD_TYPE = "urn:buildtool:build:v1"
BUILDER = "urn:buildtool:builder:v1"

#: The name of a digest of local files: BLAKE3 of their listing (docs/design/verify.md).
LISTING = "buildtoolListing"

#: The content of a local source by its listing's digest, empty where it is not known.
Content = Callable[[LocalSource], str]


def provenance(
    digest: Digest,
    root: Image | Index,
    parameters: Mapping[str, Any],
    lock: Lock,
    networks: Mapping[str, str],
    content: Content,
) -> Statement:
    """The statement about the manifest or index that `root` became.

    `parameters` are what was asked for; `networks` says by title which network a process
    reached: `none`, the `recorded` internet of the lock, or the `host`'s.
    """
    steps = walk([root])
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": dict(parameters),
            "internalParameters": {"format": FORMAT, "steps": _steps(steps, networks)},
            "resolvedDependencies": _dependencies(steps, lock, networks, content),
        },
        "runDetails": {"builder": {"id": BUILDER, "version": {"buildtool": __version__}}},
    }
    return Statement((Subject({"sha256": hex_of(digest)}),), PROVENANCE, predicate)


def _steps(steps: list[Step], networks: Mapping[str, str]) -> list[dict[str, Any]]:
    """The steps that make layers, inputs first."""
    found = []
    for step in steps:
        if step.origin is not None and type(step).__name__ in ("FileOp", "Run"):
            title, network = step.origin.title, networks.get(step.origin.title, "none")
            told: dict[str, Any] = {"kind": type(step).__name__, "title": _text(title)}
            told |= {"hermetic": network != "host", "network": network}
            if isinstance(step, Run) and step.security != "sandbox":
                told["security"] = step.security
            found.append(told)
    return found


def _dependencies(
    steps: list[Step], lock: Lock, networks: Mapping[str, str], content: Content
) -> list[dict[str, Any]]:
    """Every input as a ResourceDescriptor (in-toto attestation spec v1), in a fixed order."""
    packages = _packages(lock)
    found: list[dict[str, Any]] = []
    for step in steps:
        if isinstance(step, ImageSource):
            found.append(_image(step))
        elif isinstance(step, FetchSource):
            found.append(_file(step, packages))
        elif isinstance(step, GitSource):
            kind = "gitCommit" if len(step.commit) == 40 else "sha256"
            found.append({"uri": f"git+{shown(step.url)}", "digest": {kind: step.commit}})
        elif isinstance(step, LocalSource):
            found.append(_local(step, content(step)))
        elif isinstance(step, Run) and step.origin and networks.get(step.origin.title) == "recorded":
            found += _recorded(step, lock)
    unique = {repr(one): one for one in found}
    return sorted(unique.values(), key=lambda one: (one.get("uri", ""), one.get("name", ""), repr(one)))


def _image(step: ImageSource) -> dict[str, Any]:
    found: dict[str, Any] = {"name": "base image", "digest": {"sha256": hex_of(step.manifest)}}
    # A path of this machine is no name that anybody else could use.
    if step.reference and not step.reference.startswith("oci-layout://"):
        found["uri"] = image_url(shown(step.reference))
    return found


def _file(step: FetchSource, packages: Mapping[Digest, DebianPackage | Wheel]) -> dict[str, Any]:
    digest = {"sha256": hex_of(step.digest)}
    places = [public(url) if "://" in url else url for url in step.urls]
    if step.digest in packages:
        return {
            "uri": _url_of(packages[step.digest]),
            "digest": digest,
            "downloadLocation": places[0] if places else "",
        }
    if places and (package := package_at(places[0])):
        return {"uri": package, "digest": digest, "downloadLocation": places[0]}
    return {"uri": places[0], "digest": digest} if places else {"name": step.name, "digest": digest}


def _recorded(step: Run, lock: Lock) -> list[dict[str, Any]]:
    """What the recorded internet answered to a step: every body, by what was asked for."""
    pins = lock.runs.get(step.place)
    found = []
    for exchange in pins.exchanges if pins is not None else ():
        if exchange.body is not None and exchange.size:
            place = shown(exchange.place)
            one: dict[str, Any] = {"uri": place, "digest": {"sha256": hex_of(exchange.body)}}
            if package := package_at(place):
                one |= {"uri": package, "downloadLocation": place}
            found.append(one)
    return found


def _packages(lock: Lock) -> dict[Digest, DebianPackage | Wheel]:
    """What the lock pins, by the digests of the archives."""
    found: dict[Digest, DebianPackage | Wheel] = {}
    for debian in lock.debian.values():
        found |= {package.digest: package for package in debian.resolved}
    for python in lock.pypi.values():
        found |= {wheel.digest: wheel for wheel in python.resolved}
    return found


def _url_of(package: DebianPackage | Wheel) -> str:
    if isinstance(package, Wheel):
        return purl("pypi", package.project, package.version)
    return purl("deb", package.name, package.version, namespace="debian", arch=package.architecture)


def _local(step: LocalSource, listing: str) -> dict[str, Any]:
    name = "files " + ", ".join(_text(i) or "." for i in step.include)
    found: dict[str, Any] = {"name": name}
    if listing:
        found["digest"] = {LISTING: listing}
    if step.ignore:
        found["annotations"] = {"ignore": [_text(row) for row in step.ignore]}
    return found


def _text(text: str) -> str:
    """Text that JSON can hold, credentials of addresses taken out."""
    return shown(text.encode("utf-8", "backslashreplace").decode())


def differences(old: Statement, new: Statement) -> list[str]:
    """What a rebuild had otherwise than the provenance says: a line an input, or parameter."""
    before, after = (s.predicate.get("buildDefinition", {}) for s in (old, new))
    asked, now = (d.get("externalParameters", {}) for d in (before, after))
    rows = [
        f"parameter {name}: {asked.get(name)!r} -> {now.get(name)!r}"
        for name in sorted(asked.keys() | now.keys())
        if asked.get(name) != now.get(name)
    ]
    had, has = (
        {_called(one): one.get("digest") for one in d.get("resolvedDependencies", [])}
        for d in (before, after)
    )
    for name in sorted(had.keys() | has.keys()):
        if name not in has:
            rows.append(f"{name}: no longer an input")
        elif name not in had:
            rows.append(f"{name}: not an input then")
        elif had[name] != has[name]:
            rows.append(f"{name}: {_short(had[name])} -> {_short(has[name])}")
    return rows


def _called(dependency: Mapping[str, Any]) -> str:
    return str(dependency.get("uri") or dependency.get("name", ""))


def _short(digest: Any) -> str:
    return ", ".join(str(value)[:12] for value in digest.values()) if isinstance(digest, dict) else "unknown"
