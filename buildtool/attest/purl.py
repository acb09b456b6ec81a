"""Package URLs (purl-spec): one spelling for packages of every kind."""

import re

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


def npm_name(place: str) -> tuple[str, str] | None:
    """Name and version of the archive at a place such as `npm:@types/node/-/node-20.1.0.tgz`."""
    found = _NPM.fullmatch(place)
    return (found[1], found[3]) if found else None
