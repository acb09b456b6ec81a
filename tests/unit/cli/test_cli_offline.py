"""Offline, nothing is asked of a network, and every refusal names what was needed."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from buildtool.cli.outside import Outside
from buildtool.diag import BuildError
from buildtool.digest import sha256
from buildtool.executor.progress import Progress
from buildtool.graph.model import BaseLayer, FetchSource, GitSource, ImageSource
from buildtool.lock.debian import DebianRequest
from buildtool.lock.npm import NodeArchive
from buildtool.lock.pypi import PythonRequest
from buildtool.registry.reference import parse_reference
from buildtool.store import Store

FETCH = FetchSource(sha256(b"1"), "tool.tar", 0o644, size=1, urls=("http://127.0.0.1:1/tool.tar",))
GIT = GitSource("https://user:hunter2@example.org/x.git", "0123456789abcdef" * 2 + "01234567")
LAYER = BaseLayer(sha256(b"2"), sha256(b"3"), 1, "application/vnd.oci.image.layer.v1.tar+gzip")
IMAGE = ImageSource(sha256(b"4"), (LAYER,), "docker://example.org/base", "example.org/base:1")
BASE = parse_reference("example.org/base:1")
DEBIAN = DebianRequest("//:root", ("bookworm",), ("main",), "amd64", ("apt",))
PYTHON = PythonRequest("//:app", ("flask",), "3.11", "manylinux_2_36_x86_64")
NODE = NodeArchive("npm:ms/-/ms-2.1.3.tgz", "sha512-" + "A" * 86 + "==")

#: What is asked for, and what the refusal names.
ASKED: dict[str, tuple[Callable[[Outside], object], str]] = {
    "file": (lambda o: o.fetch_file(FETCH, _silent), "tool.tar"),
    "layer": (lambda o: o.fetch_layer(IMAGE, LAYER.digest, _silent), "example.org/base:1"),
    "git": (lambda o: o.fetch_git(GIT), "commit 0123456789abcdef0123456789abcdef01234567"),
    "url": (lambda o: o.file("https://example.org/a?token=hunter2", None), "https://example.org/a"),
    "ref": (lambda o: o.commit("https://example.org/x.git", "main"), "main of https://example.org/x.git"),
    "debian": (lambda o: o.debian(DEBIAN), "Debian packages for //:root"),
    "python": (lambda o: o.python(PYTHON), "Python packages for //:app"),
    "npm": (lambda o: o.node([NODE]), "1 packages of npm"),
    "tag": (lambda o: o.image("example.org/base:1", "linux/amd64"), "example.org/base:1"),
    "image": (
        lambda o: o.base_image(parse_reference("example.org/base:1"), sha256(b"5")),
        "example.org/base",
    ),
}


def _silent(done: int, total: int | None) -> None:
    """Nobody listens."""


def _no_registries() -> NoReturn:
    raise AssertionError("no registry is to be asked")


@pytest.mark.parametrize("name", ASKED)
def test_what_is_needed_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def plugged(*_: object) -> NoReturn:
        raise AssertionError("no connection is to be made")

    monkeypatch.setattr("socket.socket.connect", plugged)
    ask, needed = ASKED[name]
    with Store.open(str(tmp_path / "store")) as store:
        outside = Outside(store, str(tmp_path), lambda: (), Progress(), _no_registries, offline=True)
        with pytest.raises(BuildError) as raised:
            ask(outside)
    assert raised.value.code == "offline"
    assert needed in raised.value.message
    assert "hunter2" not in raised.value.message
    assert "--bundle" in raised.value.hint
