"""What the host's own pip and npm know: the indexes of packages that they ask.

A wrong guess costs a request and no more: whatever an index serves is pinned by its
digest when it is first seen.  Only addresses of the web are taken.
"""

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

_LARGEST = 1 << 20


def pip_indexes(environ: Mapping[str, str]) -> tuple[str, ...]:
    """`index-url` and `extra-index-url` of pip's environment and configuration; empty where it has none."""
    found: dict[str, str] = {}
    for path in _pip_files(environ):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(_text(path))
        except configparser.Error:
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    for key in ("index-url", "extra-index-url"):
        value = environ.get("PIP_" + key.upper().replace("-", "_"))
        if value:
            found[key] = value
    index = [url for url in found.get("index-url", "").split() if _is_web(url)]
    extra = [url for url in found.get("extra-index-url", "").split() if _is_web(url)]
    if not index and extra:
        index = ["https://pypi.org/simple"]
    return tuple(dict.fromkeys((*index, *extra)))


def _pip_files(environ: Mapping[str, str]) -> Iterator[str]:
    """pip's configuration files, the one that counts most last (pip documentation, "Configuration")."""
    if environ.get("PIP_CONFIG_FILE") == os.devnull:
        return
    yield "/etc/xdg/pip/pip.conf"
    yield "/etc/pip.conf"
    home = environ.get("HOME", "")
    if home:
        yield os.path.join(home, ".pip", "pip.conf")
        yield os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "pip", "pip.conf")
    yield os.path.join(sys.prefix, "pip.conf")
    if environ.get("PIP_CONFIG_FILE"):
        yield environ["PIP_CONFIG_FILE"]


def npm_registry(environ: Mapping[str, str]) -> tuple[str, ...]:
    """`registry` of npm's environment and configuration; empty where it has none."""
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if _is_web(environ.get(name, "")):
            return (environ[name],)
    home = environ.get("HOME", "")
    for path in (os.path.join(home, ".npmrc") if home else "", "/usr/local/etc/npmrc", "/etc/npmrc"):
        for row in _text(path).splitlines() if path else ():
            key, _, value = row.partition("=")
            if key.strip() == "registry" and _is_web(value.strip()):
                return (value.strip(),)
    return ()


def _is_web(url: str) -> bool:
    return urlsplit(url).scheme in ("http", "https")


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_LARGEST)
    except OSError:
        return ""
