"""buildtool and the programs of others at the same registries: what one pushes another pulls."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from buildtool.digest import parse_digest
from buildtool.store import Store
from tests.support.docker_registry import PASSWORD, USER, Tokens, docker_registry, token_server
from tests.support.images import layer, put_image
from tests.support.scripted_registry import Answer, serving
from tests.support.served_store import served

HELLO = layer(hello=b"hello\n")
MORE = layer(noise=os.urandom(200_000))


class Machine:
    """A user's machine: a store, a home, and the programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "BUILDTOOL_STORE": str(folder / "store"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "LANG": "C.UTF-8",
        }

    def run(self, *argv: str, data: str = "", status: int | None = 0) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            argv, cwd=self.folder, env=self.environ, input=data, capture_output=True, text=True, timeout=120
        )
        if status is not None:
            assert done.returncode == status, done.stdout + done.stderr
        return done

    def buildtool(self, *argv: str, data: str = "", status: int | None = 0) -> str:
        done = self.run(sys.executable, "-m", "buildtool", *argv, data=data, status=status)
        return done.stdout if status == 0 else done.stderr

    def skopeo(self, *argv: str) -> str:
        policy = self.folder / "policy.json"
        policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
        return self.run("skopeo", "--policy", str(policy), *argv).stdout

    def store(self) -> Store:
        return Store.open(self.environ["BUILDTOOL_STORE"])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.fixture
def other(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "other")


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[str]:
    with docker_registry(tmp_path / "registry") as address:
        yield address


def put_app(machine: Machine) -> str:
    """An image called `app` in a machine's store; its digest."""
    with machine.store() as store:
        top = put_image(store, [HELLO, MORE])
        store.results.set_ref("app:latest", top.digest)
    return top.digest


def raw_digest(text: str) -> str:
    from hashlib import sha256

    return "sha256:" + sha256(text.encode()).hexdigest()


# ---------------------------------------------------------------- skopeo, buildah, umoci


def test_what_we_push_skopeo_copies(machine: Machine, plain: str) -> None:
    digest = put_app(machine)
    assert machine.buildtool("push", "app", f"{plain}/team/app:1") == f"{plain}/team/app:1@{digest}\n"
    seen = machine.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{plain}/team/app:1")
    assert raw_digest(seen) == digest
    source = f"docker://{plain}/team/app:1"
    machine.skopeo("copy", "-q", "--preserve-digests", "--src-tls-verify=false", source, "oci:out:x")
    assert json.loads((machine.folder / "out/index.json").read_text())["manifests"][0]["digest"] == digest


def test_what_skopeo_pushes_we_pull(machine: Machine, other: Machine, plain: str) -> None:
    machine.run("umoci", "init", "--layout", "made")
    machine.run("umoci", "new", "--image", "made:x")
    (machine.folder / "file").write_text("by umoci")
    machine.run("umoci", "insert", "--image", "made:x", "file", "/file")
    for form in ("oci", "v2s2"):
        target = f"docker://{plain}/made/{form}:1"
        machine.skopeo("copy", "-q", "--format", form, "--dest-tls-verify=false", "oci:made:x", target)
        wanted = machine.skopeo("inspect", "--tls-verify=false", "--format", "{{.Digest}}", target).strip()
        assert other.buildtool("pull", "-q", f"{plain}/made/{form}:1").strip() == wanted
        raw = machine.skopeo("inspect", "--raw", "--tls-verify=false", target)
        with other.store() as store:
            assert store.blobs.read(wanted, 1 << 20).decode() == raw  # type: ignore[arg-type]
    # And back: nothing of Docker's form is changed on its way.
    other.buildtool("copy", f"docker://{plain}/made/v2s2:1", f"docker://{plain}/again:1")
    again = machine.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{plain}/again:1")
    assert raw_digest(again) == wanted
    other.buildtool("copy", f"docker://{plain}/made/oci:1", "oci:back:x")
    other.run("umoci", "unpack", "--rootless", "--image", "back:x", "bundle")
    assert (other.folder / "bundle/rootfs/file").read_text() == "by umoci"


@pytest.mark.root
def test_what_we_push_buildah_pulls_and_mounts(machine: Machine, plain: str) -> None:
    digest = put_app(machine)
    machine.buildtool("push", "app", f"{plain}/app:1")
    with machine.store() as store, served(store) as ours:
        for number, address in enumerate((plain, ours)):
            name = f"{address}/app:{1 if address == plain else 'latest'}"
            places = [f"--root={machine.folder}/root{number}", f"--runroot={machine.folder}/rr{number}"]
            buildah = ["buildah", *places, "--storage-driver=vfs"]
            policy = machine.folder / ".config/containers/policy.json"
            policy.parent.mkdir(parents=True, exist_ok=True)
            policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
            machine.run(*buildah, "pull", "-q", "--tls-verify=false", f"docker://{name}")
            container = machine.run(*buildah, "from", "--pull-never", name).stdout.strip()
            mounted = machine.run(*buildah, "mount", container).stdout.strip()
            assert (Path(mounted) / "data/hello").read_text() == "hello\n"
            machine.run(*buildah, "umount", container)
            seen = machine.run(*buildah, "images", "--digests", "--format", "{{.Digest}}").stdout.strip()
            assert seen == digest


@pytest.mark.root
def test_what_we_push_podman_pulls_and_runs(machine: Machine, plain: str) -> None:
    context = machine.folder / "ctx"
    context.mkdir()
    shutil.copy(shutil.which("busybox") or "", context / "busybox")
    (context / "Dockerfile").write_text(
        "FROM scratch\nCOPY busybox /bin/sh\nCOPY Dockerfile /etc/motd\nENV WHO=you\nWORKDIR /etc\n"
        'ENTRYPOINT ["/bin/sh", "-c"]\nCMD ["read line <motd; echo $WHO $line $PWD; exit 7"]\n'
    )
    name = f"{plain}/team/app:1"
    digest = machine.buildtool("build", "-q", "--push", "-t", name, "ctx").strip()
    allow_all = machine.folder / ".config/containers/policy.json"
    allow_all.parent.mkdir(parents=True, exist_ok=True)
    allow_all.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    with machine.store() as store, served(store) as ours:
        store.results.set_ref("team/app:1", parse_digest(digest))
        for address in (plain, ours):
            with tempfile.TemporaryDirectory(prefix="podman") as folder:
                podman, image = Podman(machine, folder), f"{address}/team/app"
                podman.run("pull", "-q", "--tls-verify=false", f"{image}:1")
                assert podman.run("images", "--format={{.Digest}}").stdout.strip() == digest
                ran = podman.run("run", *UNPRIVILEGED, f"{image}@{digest}", status=7)
                assert ran.stdout == "you FROM scratch /etc\n", ran.stderr


#: For `podman run` on a machine of CI: no control groups, and limits that need no privilege.
UNPRIVILEGED = (
    *("--rm", "--pull=never", "--network=none", "--cgroups=disabled"),
    *("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"),
)


class Podman:
    """podman with a storage of its own; the folder of what runs must have a short name."""

    def __init__(self, machine: Machine, folder: str) -> None:
        self._machine = machine
        self._folder = folder

    def run(self, *argv: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
        # crun refuses a machine that has control groups of version 2 beside those of version 1: in
        # mounts of its own it does not see them.
        alone = '[ ! -d /sys/fs/cgroup/unified ] || umount /sys/fs/cgroup/unified; exec "$@"'
        places = [f"--{name}={self._folder}/{name}" for name in ("root", "runroot", "tmpdir")]
        settings = ("--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none")
        command = ("podman", *places, *settings, "--runtime=crun", *argv)
        return self._machine.run("unshare", "--mount", "sh", "-c", alone, "sh", *command, status=status)


def test_skopeo_and_the_served_store(machine: Machine, other: Machine) -> None:
    digest = put_app(machine)
    with machine.store() as store, served(store, logins={USER: PASSWORD}) as address:
        login = f"--src-creds={USER}:{PASSWORD}"
        other.skopeo(
            "copy", "-q", "--src-tls-verify=false", login, f"docker://{address}/app:latest", "dir:out"
        )
        assert raw_digest((other.folder / "out/manifest.json").read_text()) == digest
        login = f"--dest-creds={USER}:{PASSWORD}"
        other.skopeo(
            "copy", "-q", "--dest-tls-verify=false", login, "dir:out", f"docker://{address}/ghcr.io/me/app:2"
        )
        other.buildtool("pull", f"{address}/ghcr.io/me/app:2", f"--creds={USER}:{PASSWORD}")
    assert "ghcr.io/me/app:2" in machine.buildtool("images")


# ---------------------------------------------------------------- commands


def test_build_from_and_to_a_registry(machine: Machine, other: Machine, plain: str) -> None:
    base = put_app(machine)
    machine.buildtool("push", "app", f"{plain}/base:1")
    for each in (machine, other):
        (each.folder / "ctx").mkdir()
        (each.folder / "ctx/Dockerfile").write_text(f"FROM {plain}/base:1\nCOPY f /f\n")
        (each.folder / "ctx/f").write_text("f")
    pushed = machine.buildtool("build", "-q", "--push", "-t", f"{plain}/out:1", "-t", f"{plain}/out:2", "ctx")
    digest = pushed.strip()
    lock = (machine.folder / "ctx/buildtool.lock").read_text()
    assert f'"{plain}/base:1 linux/amd64" = "{base}"' in lock
    for tag in "12":
        seen = machine.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{plain}/out:{tag}")
        assert raw_digest(seen) == digest

    # The tag moves; the lock does not, until it is asked to.
    with machine.store() as store:
        store.results.set_ref("app:latest", put_image(store, [MORE]).digest)
    machine.buildtool("push", "app", f"{plain}/base:1")
    (other.folder / "ctx/buildtool.lock").write_text(lock)
    assert other.buildtool("build", "-q", "--locked", "ctx").strip() == digest
    refused = other.buildtool("build", "-q", "--locked", "--pull", "ctx", status=2)
    assert "another image today" in refused
    assert other.buildtool("build", "-q", "--pull", "ctx").strip() != digest


def test_a_push_target(machine: Machine, plain: str) -> None:
    (machine.folder / "buildtool.toml").write_text("")
    (machine.folder / "f").write_text("f")
    (machine.folder / "BUILD.star").write_text(
        'load("@rules//image.star", "image")\nload("@rules//layer.star", "layer")\n'
        'load("@rules//push.star", "push")\nlayer(name = "l", srcs = ["f"], dest = "/")\n'
        'image(name = "i", layers = [":l"])\n'
        f'push(name = "p", image = ":i", repository = "{plain}/star", tags = ["1", "latest"])\n'
    )
    said = machine.buildtool("push", "//...").split()
    assert [name.partition("@")[0] for name in said] == [f"{plain}/star:1", f"{plain}/star:latest"]
    seen = machine.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{plain}/star:latest")
    assert raw_digest(seen) == said[0].partition("@")[2] == machine.buildtool("build", "-q", ":p").strip()


def test_copies_over_all_transports_keep_the_digest(machine: Machine, plain: str) -> None:
    digest = put_app(machine)
    chain = [
        "app", f"docker://{plain}/a:1", "oci:layout:x", "oci-archive:x.tar:y", "dir:d",
        f"docker://{plain}/b/c:2", "copied",
    ]  # fmt: skip
    for source, destination in pairwise(chain):
        assert machine.buildtool("copy", source, destination).strip() == digest
    assert machine.buildtool("inspect", "--raw", f"docker://{plain}/b/c:2") == machine.buildtool(
        "inspect", "--raw", "copied"
    )
    machine.buildtool("copy", "copied", "docker-archive:d.tar:some/name:1")
    machine.skopeo("inspect", "docker-archive:d.tar:some/name:1")
    with tarfile.open(machine.folder / "d.tar") as archive:
        (row,) = json.loads((archive.extractfile("manifest.json") or sys.stdin).read())
    assert row["RepoTags"] == ["some/name:1"]


def test_tags_are_listed_and_deleted(machine: Machine, other: Machine, plain: str) -> None:
    """At docker-registry, which deletes images alone, and at ours, which deletes tags; as skopeo sees it."""
    digest = put_app(machine)
    with other.store() as store, served(store) as ours:
        for address in (plain, ours):
            name = f"{address}/team/app"
            for tag in ("1", "2", "latest"):
                machine.buildtool("push", "app", f"{name}:{tag}")
            assert sorted(machine.buildtool("tags", name).split()) == ["1", "2", "latest"]
            theirs = json.loads(machine.skopeo("list-tags", "--tls-verify=false", f"docker://{name}"))
            assert json.loads(machine.buildtool("tags", "--format=json", f"docker://{name}")) == theirs
            _check_deletion(machine, name, digest, tags_alone=address == ours)
        assert "not-in-registry" in machine.buildtool("tags", f"{plain}/no/such", status=1)
    said = machine.buildtool("tags", f"{plain}/team/app:1", status=2)
    assert f"its repository is {plain}/team/app" in said


def _check_deletion(machine: Machine, name: str, digest: str, *, tags_alone: bool) -> None:
    if tags_alone:
        assert machine.buildtool("rmi", f"docker://{name}:1") == f"deleted {name}:1\n"
        assert sorted(machine.buildtool("tags", name).split()) == ["2", "latest"]
    else:
        refused = machine.buildtool("rmi", f"docker://{name}:1", status=1)
        assert "error[tag-shared]" in refused
        assert f"buildtool rmi docker://{name}@{digest} deletes" in refused
        assert sorted(machine.buildtool("tags", name).split()) == ["1", "2", "latest"]
    machine.buildtool("rmi", f"docker://{name}@{digest}", "app")
    for tag in ("1", "2", "latest"):
        assert "not-in-registry" in machine.buildtool("inspect", f"docker://{name}:{tag}", status=1)
    assert "no image app" in machine.buildtool("rmi", "app", status=2)
    assert put_app(machine) == digest
    machine.buildtool("push", "app", f"{name}:only")
    machine.buildtool("rmi", f"docker://{name}:only")
    assert "not-in-registry" in machine.buildtool("rmi", f"docker://{name}:only", status=1)
    machine.buildtool("rmi", "-f", f"docker://{name}:only")


# ---------------------------------------------------------------- logins


def test_basic_logins(machine: Machine, tmp_path: Path) -> None:
    put_app(machine)
    with docker_registry(tmp_path / "registry", auth="basic") as address:
        name = f"{address}/app:1"
        assert "registry-denied" in machine.buildtool("push", "app", name, status=1)
        wrong = machine.buildtool("login", address, "-u", USER, "--password-stdin", data="no", status=1)
        assert "registry-denied" in wrong
        said = machine.buildtool("login", address, "-u", USER, "--password-stdin", data=PASSWORD)
        assert PASSWORD not in said
        file = machine.folder / ".docker/config.json"
        assert file.stat().st_mode & 0o077 == 0
        machine.buildtool("push", "app", name)
        machine.run("skopeo", "inspect", f"--authfile={file}", "--tls-verify=false", f"docker://{name}")
        machine.buildtool("logout", address)
        assert "registry-denied" in machine.buildtool("pull", name, status=1)
        machine.buildtool("pull", f"--creds={USER}:{PASSWORD}", name)
        machine.run("skopeo", "login", f"--authfile={machine.folder}/a.json", "--tls-verify=false", address,
                    "-u", USER, "--password-stdin", data=PASSWORD)  # fmt: skip
        machine.buildtool("pull", f"--authfile={machine.folder}/a.json", name)


def test_token_logins(machine: Machine, tmp_path: Path) -> None:
    put_app(machine)
    folder = tmp_path / "registry"
    with token_server(folder) as tokens, docker_registry(folder, auth="token", tokens=tokens) as address:
        _check_tokens(machine, tokens, address)


def _check_tokens(machine: Machine, tokens: Tokens, address: str) -> None:
    assert "registry-denied" in machine.buildtool("push", "app", f"{address}/team/app:1", status=1)
    machine.buildtool("login", address, "-u", USER, "--password-stdin", data=PASSWORD)
    machine.buildtool("push", "app", f"{address}/team/app:1")
    assert tokens.asked[-1]["scope"] == ["repository:team/app:pull,push"]
    tokens.asked.clear()
    machine.buildtool("push", "app", f"{address}/other/app:1")
    assert ["repository:other/app:pull,push", "repository:team/app:pull"] in [
        a["scope"] for a in tokens.asked
    ]
    machine.buildtool("logout", address)
    tokens.logins.clear()
    machine.buildtool("pull", f"{address}/other/app:1")
    assert set(tokens.logins) == {""}


def test_canaries_stay_where_they_belong(machine: Machine, tmp_path: Path) -> None:
    """A login reaches neither a host that the registry redirects to, nor a file, nor any output."""
    put_app(machine)
    said: list[str] = []

    def run(*argv: str, status: int | None = 0) -> None:
        done = machine.run(sys.executable, "-m", "buildtool", *argv, status=status)
        said.append(done.stdout + done.stderr)

    with serving() as registry, serving("127.0.0.2") as foreign:
        registry.script = lambda seen: (
            Answer(401, {"WWW-Authenticate": "Basic realm=r"})
            if "authorization" not in seen.headers
            else Answer(307, {"Location": f"http://{foreign.address}{seen.path}"})
            if seen.method == "GET" and "/blobs/" in seen.path
            else None
        )
        creds = f"--creds={USER}:{PASSWORD}"
        run("push", creds, "app", f"{registry.address}/app:1")
        foreign.blobs = registry.blobs
        with machine.store() as store:
            for digest in list(store.blobs.digests()):
                store.blobs.remove(digest)
        run("pull", creds, "--progress=rawjson", f"{registry.address}/app:1")
        assert foreign.seen
        (machine.folder / "ctx").mkdir()
        (machine.folder / "ctx/Dockerfile").write_text(f"FROM {registry.address}/app:1\n")
        run("build", creds, "--push", "-t", f"{registry.address}/out:1", "--metadata-file=m.json", "ctx")
        foreign.script = lambda seen: Answer(401, {"WWW-Authenticate": "Basic realm=r"})
        with machine.store() as store:
            for digest in list(store.blobs.digests()):
                store.blobs.remove(digest)
        run("pull", creds, f"{registry.address}/app:1", status=1)
        realm = {"WWW-Authenticate": f'Bearer realm="http://{foreign.address}/token"'}
        registry.script = lambda seen: Answer(401, realm)
        run("pull", creds, f"{registry.address}/app:1", status=1)
    assert "foreign-realm" in said[-1]
    assert all("authorization" not in seen.headers for seen in foreign.seen)
    import base64

    packed = base64.b64encode(f"{USER}:{PASSWORD}".encode())
    kept = [p.read_bytes() for p in machine.folder.rglob("*") if p.is_file()]
    for secret in (PASSWORD.encode(), packed):
        assert not any(secret in data for data in kept)
        assert not any(secret.decode() in text for text in said)
