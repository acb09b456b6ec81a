"""Unmodified clients in a namespace whose internet is recorded."""

import os
import select
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from buildtool.diag import BuildError
from buildtool.network.authority import authority
from buildtool.network.internet import Internet
from buildtool.network.keystore import _joined, adding
from buildtool.network.settings import Settings
from buildtool.sandbox.netns import Isolated
from buildtool.store import Store
from tests.support.git_backend import git, pages, repository
from tests.support.upstream import Outside
from tests.unit.network.conftest import CLOCK

pytestmark = pytest.mark.root


class Machine:
    """A namespace with an internet, and programs in it."""

    def __init__(self, namespace: Isolated, internet: Internet, certificate: Path) -> None:
        self.namespace = namespace
        self.internet = internet
        self.certificate = certificate

    def run(self, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
        if shutil.which(argv[0]) is None:
            pytest.skip(f"no {argv[0]}")
        own = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env}
        return self.namespace.inside(
            lambda: subprocess.run(argv, capture_output=True, text=True, env=own, timeout=120)
        )

    def curl(self, *argv: str) -> str:
        done = self.run("curl", "-sS", "--cacert", str(self.certificate), *argv)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def settings(world: Outside, tmp_path: Path) -> Settings:
    return Settings(CLOCK, False, (), str(tmp_path / "authority"), proxies=world.proxies)


@pytest.fixture
def machine(store: Store, settings: Settings, tmp_path: Path) -> Iterator[Machine]:
    with Isolated(everywhere=True) as namespace, Internet(namespace, settings, store) as internet:
        certificate = tmp_path / "certificate.pem"
        certificate.write_bytes(authority(settings.authority).pem)
        yield Machine(namespace, internet, certificate)


def test_names_http_and_https(world: Outside, machine: Machine) -> None:
    world.pages["http://example.org/a"] = b"plain"
    world.pages["https://example.org/a"] = b"private"
    assert machine.curl("http://example.org/a") == "plain"
    assert machine.curl("https://example.org/a", "https://example.org/a") == "privateprivate"
    assert [e.place for e in machine.internet.exchanges] == ["http://example.org/a", "https://example.org/a"]
    assert machine.internet.refused == ()


def test_literal_addresses(world: Outside, machine: Machine) -> None:
    world.pages["http://203.0.113.7/a"] = b"four"
    world.pages["https://203.0.113.7/a"] = b"secured"
    world.pages["http://[2001:db8::7]/a"] = b"six"
    assert machine.curl("http://203.0.113.7/a", "https://203.0.113.7/a", "http://[2001:db8::7]/a") == (
        "foursecuredsix"
    )


def test_wget(world: Outside, machine: Machine) -> None:
    world.pages["https://example.org/a"] = b"private"
    done = machine.run("wget", "-qO-", f"--ca-certificate={machine.certificate}", "https://example.org/a")
    assert (done.returncode, done.stdout) == (0, "private")


def test_a_name_has_the_same_address_always(machine: Machine) -> None:
    seen = [machine.run("getent", "ahostsv4", name).stdout.split()[0] for name in ("a.example", "A.Example.")]
    assert len(set(seen)) == 1
    assert seen[0].startswith("198.1")
    assert machine.run("getent", "ahostsv6", "a.example").stdout == ""


def test_names_over_tcp(machine: Machine) -> None:
    done = machine.run("getent", "ahostsv4", "b.example", RES_OPTIONS="use-vc")
    assert done.stdout.startswith("198.1")


def test_other_ports_are_named(machine: Machine) -> None:
    assert machine.run("curl", "-sS", "http://db.example.org:5432/").returncode == 7
    assert machine.run("curl", "-sS", "http://[2001:db8::7]:5432/").returncode == 7
    assert machine.run("curl", "-sS", "http://127.0.0.1:5432/").returncode == 7
    refused = machine.internet.refused
    assert [(r.what, r.fatal) for r in refused] == [
        ("db.example.org port 5432", False),
        ("2001:db8::7 port 5432", False),
    ]
    machine.internet.check()
    assert machine.internet.explanation().splitlines()[:2] == [
        "it was refused",
        "    db.example.org port 5432: a recorded step reaches HTTP and HTTPS on their own ports alone",
    ]


def test_nobody_listens_on_the_machine_itself(machine: Machine) -> None:
    assert machine.run("curl", "-sS", "http://127.0.0.1/").returncode in (7, 56)
    assert machine.run("curl", "-sS", "http://[::1]/").returncode in (7, 56)
    assert machine.internet.refused == ()


def test_a_client_that_does_not_trust_us_is_named(machine: Machine) -> None:
    done = machine.run("curl", "-sS", "https://example.org/a")
    assert done.returncode == 60
    (refused,) = machine.internet.refused
    assert refused.what == "example.org port 443"
    assert "does not trust" in refused.why
    assert not refused.fatal


def test_a_strict_replay_stops_the_step(
    world: Outside, store: Store, settings: Settings, machine: Machine
) -> None:
    world.pages["https://example.org/a"] = b"private"
    machine.curl("https://example.org/a")
    strict = msgspec.structs.replace(settings, strict=True, known=machine.internet.exchanges, proxies=())
    with Isolated(everywhere=True) as namespace, Internet(namespace, strict, store) as internet:
        again = Machine(namespace, internet, machine.certificate)
        assert again.curl("https://example.org/a") == "private"
        assert not internet.failed()
        assert "not in the recording" in again.curl("https://example.org/b")
        assert internet.failed()
    with pytest.raises(BuildError) as caught:
        internet.check()
    assert caught.value.code == "not-recorded"
    assert "GET https://example.org/b was refused" in caught.value.message


@pytest.mark.parametrize("options", [(), ("--depth=1",), ("-c", "protocol.version=0")])
def test_git_clones_over_https(
    world: Outside,
    store: Store,
    settings: Settings,
    machine: Machine,
    tmp_path: Path,
    options: tuple[str, ...],
) -> None:
    commit = repository(tmp_path / "origin")
    url = "https://git.example/app.git"
    world.pages.update(pages(url, tmp_path / "origin"))

    def clone(place: Machine, name: str) -> None:
        env = {"GIT_SSL_CAINFO": str(machine.certificate), "GIT_CONFIG_NOSYSTEM": "1"}
        done = place.run("git", "clone", "-q", *options, url, str(tmp_path / name), **env)
        assert done.returncode == 0, done.stderr
        assert git(tmp_path / name, "rev-parse", "HEAD") == commit

    clone(machine, "first")
    assert {e.method for e in machine.internet.exchanges} == {"GET", "POST"}
    world.pages.clear()
    strict = msgspec.structs.replace(settings, strict=True, offline=True, known=machine.internet.exchanges)
    with Isolated(everywhere=True) as namespace, Internet(namespace, strict, store) as internet:
        clone(Machine(namespace, internet, machine.certificate), "second")
    assert internet.refused == ()
    assert internet.exchanges == strict.known


def test_node(world: Outside, machine: Machine) -> None:
    world.pages["https://example.org/a"] = b"private"
    script = (
        "require('https').get('https://example.org/a', r => r.on('data', d => process.stdout.write(d)))"
        ".on('error', e => { console.error(e); process.exit(1) })"
    )
    done = machine.run("node", "-e", script, NODE_EXTRA_CA_CERTS=str(machine.certificate))
    assert done.stdout == "private", done.stderr


def test_java(world: Outside, machine: Machine, tmp_path: Path) -> None:
    world.pages["https://example.org/a"] = b"private"
    source = tmp_path / "Get.java"
    source.write_text(
        "public class Get { public static void main(String[] a) throws Exception {"
        ' System.out.write(new java.net.URL("https://example.org/a").openStream().readAllBytes());'
        " System.out.flush(); } }"
    )
    keys = tmp_path / "keys.jks"
    empty = _joined(2, [])
    own = authority(machine.internet._settings.authority)
    keys.write_bytes(adding(empty, "one", own.der, 0))
    done = machine.run("java", f"-Djavax.net.ssl.trustStore={keys}", str(source))
    if "modules: jdk.compiler" in done.stderr or "ClassNotFound" in done.stderr:
        pytest.skip("no compiler for Java")
    assert done.stdout == "private", done.stderr


def test_many_downloads_at_once(world: Outside, machine: Machine) -> None:
    for n in range(60):
        world.pages[f"https://example.org/{n}"] = b"page %d;" % n * 5000
    done = machine.run(
        "curl", "-sS", "--cacert", str(machine.certificate), "-Z", "--parallel-max", "50", "-o",
        "/dev/null", "-w", "%{http_code} ", "https://example.org/[0-59]",
    )  # fmt: skip
    assert done.stdout.split() == ["200"] * 60
    assert len(machine.internet.exchanges) == 60


def test_a_client_too_many_waits_for_another_to_leave(
    world: Outside, store: Store, settings: Settings
) -> None:
    world.pages["http://192.0.2.1/a"] = b"plain"
    with (
        Isolated(everywhere=True) as namespace,
        Internet(namespace, settings, store, most=2),
        ExitStack() as clients,
    ):

        def client() -> socket.socket:
            connect = partial(socket.create_connection, ("192.0.2.1", 80), 60)
            found = clients.enter_context(namespace.inside(connect))
            found.sendall(b"GET /a HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n")
            return found

        first, second = client(), client()
        assert first.recv(1000).startswith(b"HTTP/1.1 200")
        assert second.recv(1000).startswith(b"HTTP/1.1 200")
        third, fourth = client(), client()
        assert select.select([third, fourth], [], [], 0.2)[0] == []
        # Names are still told.
        assert namespace.inside(partial(subprocess.run, ["getent", "ahostsv4", "a.example"])).returncode == 0
        first.close()
        assert third.recv(1000).startswith(b"HTTP/1.1 200")
        assert select.select([fourth], [], [], 0.2)[0] == []
        second.close()
        assert fourth.recv(1000).startswith(b"HTTP/1.1 200")


def test_nothing_is_left_running(store: Store, settings: Settings, count_threads: Callable[[], Any]) -> None:
    before = count_threads()
    for _ in range(3):
        with Isolated(everywhere=True) as namespace, Internet(namespace, settings, store):
            pass
    assert count_threads() == before


@pytest.fixture
def count_threads() -> Callable[[], tuple[int, int]]:
    return lambda: (len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")))
