"""Package URLs (purl-spec): one spelling for packages of every kind."""

import re

from buildtool.lock.pypi import normal_name
from buildtool.reference import DOCKER, split_host

_DEB = re.compile(r"debian(?:-security)?:(?:.*/)?([^/_]+)_([^/_]+)_([^/_]+)\.deb")
_WHEEL = re.compile(r"pypi:(?:.*/)?([^/-]+)-([^/-]+)(?:-[^/-]+){3,4}\.whl")
_NPM = re.compile(r"npm:((?:@[^/]+/)?([^/@]+))/-/\2-(.+)\.tgz")


def purl(kind: str, name: str, version: str, *, namespace: str = "", **qualifiers: str) -> str:
    """`pkg:deb/debian/apt@2.6.1?arch=amd64`; parts are percent-encoded, qualifiers sorted."""
    # Not imported above: every build has a provenance, few name a package.
    from urllib.parse import quote

    parts = [quote(part, safe="") for part in (*namespace.split("/"), name) if part]
    text = f"pkg:{kind}/{'/'.join(parts)}"
    if version:
        text += f"@{quote(version, safe=':')}"
    found = [f"{key}={quote(value, safe=':/')}" for key, value in sorted(qualifiers.items()) if value]
    return text + ("?" + "&".join(found) if found else "")


def image_url(reference: str) -> str:
    """`pkg:docker/library/debian@12` of `docker.io/library/debian:12`, other registries as a qualifier."""
    name, _, digest = reference.partition("@")
    host, path = split_host(name)
    namespace, _, last = path.rpartition("/")
    last, _, tag = last.partition(":")
    registry = host if host != DOCKER else ""
    return purl("docker", last, tag or digest, namespace=namespace, repository_url=registry)


def package_at(place: str) -> str:
    """The package URL of what lies at a place of an archive (`debian:pool/...`), empty for no package."""
    if found := _DEB.fullmatch(place):
        from urllib.parse import unquote

        name, version, architecture = (unquote(part) for part in found.groups())
        return purl("deb", name, version, namespace="debian", arch=architecture)
    if found := _WHEEL.fullmatch(place):
        return purl("pypi", normal_name(found[1]), found[2])
    if (npm := npm_name(place)) is None:
        return ""
    scope, _, name = npm[0].rpartition("/")
    return purl("npm", name, npm[1], namespace=scope)


def npm_name(place: str) -> tuple[str, str] | None:
    """Name and version of the archive at a place such as `npm:@types/node/-/node-20.1.0.tgz`."""
    found = _NPM.fullmatch(place)
    return (found[1], found[3]) if found else None
