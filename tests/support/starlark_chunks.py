"""The conformance files of starlark-go, as Debian ships them (BSD-3-Clause), cut into chunks.

They are fetched for the test and not part of this repository.
"""

import hashlib
import re
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from buildtool.archives.mirrors import discover

_DEB = "debian:pool/main/g/golang-starlark/golang-starlark-dev_0.0~git20210122.f935de8-2_all.deb"
_DIGEST = "4d91c80b6d1dac0421d7c68159efac97a9386ef57ee135c57a349aca92f2ead5"
_FOLDER = "usr/share/gocode/src/go.starlark.net/starlark/testdata"
_LOAD = re.compile(r'^load\("assert\.star"[^)]*\)', re.MULTILINE)

#: What the chunks load.  Starlark cannot catch an error, so what should fail inside one is not tried.
ASSERTIONS = """
def _eq(x, y):
    if x != y:
        fail("%r != %r" % (x, y))

def _ne(x, y):
    if x == y:
        fail("%r == %r" % (x, y))

def _true(x, message = "assertion failed"):
    if not x:
        fail(message)

def _lt(x, y):
    if not (x < y):
        fail("%s is not less than %s" % (x, y))

def _contains(x, y):
    if y not in x:
        fail("%s does not contain %s" % (x, y))

def _fails(function, pattern):
    pass

def freeze(x):
    pass

def matches(pattern, text):
    return True

asserts = struct(eq = _eq, ne = _ne, true = _true, lt = _lt, contains = _contains, fails = _fails)
"""


@dataclass(frozen=True)
class Chunk:
    """A part of a file between lines of `---`; `fails` where a comment in it expects an error."""

    name: str
    text: str
    fails: bool

    def paragraphs(self) -> list[str]:
        """The text cut before each statement of the top level that follows a blank line."""
        return re.split(r"\n(?=\n+[^\s)\]}])", self.text)


def chunks(folder: Path) -> list[Chunk]:
    """Fetch and unpack the files into a folder; all chunks, named `file:line`."""
    place = discover(None).places(_DEB)[0].url
    with urllib.request.urlopen(place, timeout=60) as answer:
        data = answer.read()
    assert hashlib.sha256(data).hexdigest() == _DIGEST
    deb = folder / "starlark.deb"
    deb.write_bytes(data)
    subprocess.run(["dpkg-deb", "-x", str(deb), str(folder / "deb")], check=True)
    found = []
    for path in sorted((folder / "deb" / _FOLDER).glob("*.star")):
        line = 1
        for part in re.split(r"^---.*$", path.read_text(), flags=re.MULTILINE):
            found.append(Chunk(f"{path.name}:{line}", _neutral(part), "###" in part))
            line += part.count("\n")
    return found


def loading(text: str) -> str:
    """The text with a load of what it uses, which is all that our loader lets it load."""
    names = [n for n in ("asserts", "freeze", "matches") if re.search(rf"\b{n}[.(]", text)]
    return f'load(":assert.star", {", ".join(map(repr, names))});{text}' if names else text


def _neutral(text: str) -> str:
    """The text without its load, and with another name for `assert`: starlark-rust reserves that word."""
    text = _LOAD.sub(lambda m: "\n" * m[0].count("\n"), text)
    return re.sub(r"\bassert\.", "asserts.", text)
