"""RUN --mount and --security from the command line to the image, as root and as an ordinary user."""

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CANARY = "canary-5f2d9c71e0"
BASE = """\
FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
"""

Start = Callable[..., "subprocess.Popen[str]"]


class Project:
    """A folder with a Dockerfile, a store of its own, and builds there."""

    def __init__(self, folder: Path, start: Start) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.context = folder / "context"
        self.out = folder / "out.tar"
        self.count = 0
        self._start = start

    def start(self, text: str, *options: str, **env: str) -> "subprocess.Popen[str]":
        """Begin a build of the base and `text`."""
        # A file of its own: a build that is slow to begin must not read that of the next.
        self.count += 1
        dockerfile = self.folder / str(self.count) / "Dockerfile"
        dockerfile.parent.mkdir()
        dockerfile.write_text(BASE + text)
        out = ["-o", f"type=oci,dest={self.out}"] if not options or "-o" not in options else []
        command = ["build", "--progress=plain", "-f", str(dockerfile), *out, *options, str(self.context)]
        return self._start(command, {"BUILDTOOL_STORE": str(self.store), **env}, self.folder)

    def build(self, text: str, *options: str, fails: int = 0, **env: str) -> str:
        """What a build says, which ends with the status `fails`."""
        process = self.start(text, *options, **env)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == fails, said
        return said

    def files(self) -> dict[str, bytes]:
        """Every file of the layers of the last image, those of later layers over earlier ones."""
        with tarfile.open(self.out) as archive:
            blobs = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]
        index = json.loads(blobs["index.json"])
        manifest = json.loads(blobs["blobs/sha256/" + index["manifests"][0]["digest"][7:]])
        found: dict[str, bytes] = {}
        for layer in manifest["layers"]:
            data = blobs["blobs/sha256/" + layer["digest"][7:]]
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as tar:
                found |= {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]
        return found


@pytest.fixture(params=[pytest.param("root", marks=pytest.mark.root), "user"])
def project(request: pytest.FixtureRequest) -> Iterator[Project]:
    """A project of root, and one of an ordinary user."""
    busybox = shutil.which("busybox")
    if busybox is None or shutil.which("crun") is None:
        pytest.skip("no busybox, or no crun")
    folder = Path(tempfile.mkdtemp(prefix="buildtool-mounts-"))
    (folder / "context").mkdir()
    shutil.copy(busybox, folder / "context" / "busybox")
    pipe: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    if request.param == "root":
        if os.geteuid() != 0:
            pytest.skip("needs root")

        def start(command: list[str], env: dict[str, str], cwd: Path) -> "subprocess.Popen[str]":
            env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **env}
            return subprocess.Popen([sys.executable, "-m", "buildtool", *command], cwd=cwd, env=env, **pipe)  # type: ignore[call-overload, no-any-return]
    else:
        user = request.getfixturevalue("ordinary_user")
        subprocess.run(["chown", "-R", f"{user.uid}:{user.gid}", folder], check=True)

        def start(command: list[str], env: dict[str, str], cwd: Path) -> "subprocess.Popen[str]":
            who = {"user": user.uid, "group": user.gid, "extra_groups": []} if os.geteuid() == 0 else {}
            env = {**user.environment, **env}
            return subprocess.Popen(
                [user.python, "-m", "buildtool", *command], cwd=cwd, env=env, **pipe, **who
            )  # type: ignore[call-overload, no-any-return]

    yield Project(folder, start)
    # Files of subordinate ids are root's to remove.
    shutil.rmtree(folder, ignore_errors=True)


# ---------------------------------------------------------------- secrets


SECRETS = f"""\
RUN --mount=type=secret,id=file --mount=type=secret,id=var,env=TOKEN,required \\
    test "$(cat /run/secrets/file)" = {CANARY[::-1]} -o "$(cat /run/secrets/file)" = "$TOKEN" && \\
    stat -c '%a %u:%g' /run/secrets/file > /out && mount | grep -c secrets/file >> /out
"""


def test_a_secret_is_seen_by_its_step_and_kept_nowhere(project: Project) -> None:
    secret = project.context / "secret"
    secret.write_text(CANARY)
    options = ["--secret", f"id=file,src={secret}", "--secret", "id=var,env=CANARY"]
    (project.context / ".dockerignore").write_text("secret\n")
    said = project.build(
        SECRETS, *options, "--metadata-file", str(project.folder / "metadata"), CANARY=CANARY
    )
    secret.unlink()
    assert project.files()["out"] == b"400 0:0\n1\n"
    assert not any(name.startswith("run") for name in project.files())
    assert CANARY not in said
    left = _holding(project.folder, CANARY.encode())
    assert left == []
    assert not any(CANARY.encode() in data for data in project.files().values())


def test_the_value_of_a_secret_is_no_part_of_the_key(project: Project) -> None:
    text = 'RUN --mount=type=secret,id=a,env=A echo "${#A}" > /out\n'
    project.build(text, "--secret", "id=a,env=VALUE", VALUE="four")
    assert "CACHED" in project.build(text, "--secret", "id=a,env=VALUE", VALUE="longer")
    assert project.files()["out"] == b"4\n"
    project.build(text, "--no-cache", "--secret", "id=a,env=VALUE", VALUE="longer")
    assert project.files()["out"] == b"6\n"


def test_what_is_not_given(project: Project) -> None:
    said = project.build("RUN --mount=type=secret,id=a,required true\n", fails=2)
    assert "Dockerfile:4:" in said
    assert "--secret id=a,src=FILE" in said
    said = project.build("RUN --mount=type=ssh,required true\n", fails=2)
    assert "--ssh default" in said
    said = project.build("RUN true\n", "--secret", "id=a,src=nowhere", fails=2)
    assert "cannot read nowhere" in said
    project.build('RUN --mount=type=secret,id=a,env=A test "${A-unset}" = ""\n')


def _holding(folder: Path, canary: bytes) -> list[str]:
    """The files below a folder that hold the canary, as they are or unpacked."""
    found = []
    for top, _, names in os.walk(folder):
        for name in names:
            path = Path(top, name)
            if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK):
                continue
            data = path.read_bytes()
            if canary in data or (data[:2] == b"\x1f\x8b" and canary in gzip.decompress(data)):
                found.append(str(path))
    return found


# ---------------------------------------------------------------- caches


def test_a_cache_outlives_the_build_and_reaches_no_layer(project: Project) -> None:
    text = (
        "RUN --mount=type=cache,target=/c,id=../../../escape,uid=7,mode=1750 "
        "ls /c > /out; touch /c/kept; stat -c '%a %u' /c >> /out\n"
    )
    project.build(text)
    assert project.files()["out"] == b"750 7\n"
    assert "c" not in project.files()
    project.build(text, "--no-cache")
    assert project.files()["out"] == b"kept\n750 7\n"
    (cache,) = (project.store / "caches").iterdir()
    assert len(cache.name) == 64 + len("-0")
    assert not (project.folder / "escape").exists()


def test_a_locked_cache_has_one_user_at_a_time(project: Project) -> None:
    step = (
        "RUN --mount=type=cache,target=/c,id=n,sharing=locked "
        "n=$(cat /c/n || echo 0); sleep 0.4; echo $((n+1)) > /c/n; cp /c/n /out # "
    )
    first, second = project.start(step + "1\n"), None
    try:
        second = project.start(step + "2\n")
        said = [p.communicate(timeout=60)[0] for p in (first, second)]
        assert [first.returncode, second.returncode] == [0, 0], said
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
    project.build("RUN --mount=type=cache,target=/c,id=n cat /c/n > /out\n")
    assert project.files()["out"] == b"2\n"


@pytest.mark.parametrize("sharing", ["shared", "private"])
def test_other_caches_are_used_side_by_side(project: Project, sharing: str) -> None:
    # Each waits for the other's file in the context's place; a private cache never shows it.
    step = (
        f"RUN --mount=type=cache,target=/c,id=s,sharing={sharing} "
        "touch /c/{me}; n=0; until test -e /c/{other} -o $n = 20; do sleep 0.1; n=$((n+1)); done; "
        "ls /c > /{me}\n"
    )
    text = "".join(
        f"FROM base AS {n}\n" + step.format(me=n, other=o) for n, o in (("one", "two"), ("two", "one"))
    )
    project.build(text + "FROM scratch\nCOPY --from=one /one /\nCOPY --from=two /two /\n", "--jobs=2")
    seen = {project.files()["one"], project.files()["two"]}
    assert seen == ({b"one\ntwo\n"} if sharing == "shared" else {b"one\n", b"two\n"})


def test_steps_that_want_two_locked_caches_do_not_wait_for_each_other(project: Project) -> None:
    mounts = [f"--mount=type=cache,target=/{c},id={c},sharing=locked" for c in "ab"]
    text = ""
    for n in range(4):
        text += f"FROM base AS s{n}\nRUN {' '.join(mounts[:: 1 if n % 2 else -1])} sleep 0.1; touch /f{n}\n"
    copies = "".join(f"COPY --from=s{n} /f{n} /\n" for n in range(4))
    project.build(text + "FROM scratch\n" + copies, "--jobs=4")


def test_a_cache_begins_with_files_of_a_stage(project: Project) -> None:
    text = (
        "FROM base AS seed\nRUN mkdir -p /s/d && echo seed > /s/f && ln /s/f /s/d/g && chown 5:6 /s/f && "
        "mkfifo /s/p && ln -s f /s/l\n"
        "FROM base\nRUN --mount=type=cache,id=a,from=seed,source=/s,target=/c "
        "stat -c '%n %h %u:%g %F' /c/f /c/d/g /c/p /c/l > /out && echo more > /c/d/new\n"
        "RUN --mount=type=cache,id=a,from=seed,source=/s/d,target=/c cat /c/new >> /out\n"
    )
    project.build(text)
    assert project.files()["out"].decode().splitlines() == [
        "/c/f 2 5:6 regular file",
        "/c/d/g 2 5:6 regular file",
        "/c/p 1 0:0 fifo",
        "/c/l 1 0:0 symbolic link",
        "more",
    ]


# ---------------------------------------------------------------- bind mounts


def test_what_is_written_to_a_bind_mount_is_lost(project: Project) -> None:
    text = (
        "FROM base AS one\nRUN mkdir /d && echo 1 > /d/f\n"
        "FROM base\nRUN --mount=from=one,source=/d,target=/m,rw --mount=target=/ctx,rw "
        "echo 2 > /m/f && cat /m/f > /out && rm /ctx/busybox && touch /ctx/new\n"
        "RUN --mount=from=one,source=/d/f,target=/m cat /m >> /out\n"
        "RUN --mount=target=/ctx ls /ctx >> /out\n"
    )
    project.build(text)
    assert project.files()["out"] == b"2\n1\nbusybox\n"
    assert (project.context / "busybox").exists()


def test_a_source_is_found_inside_its_root(project: Project) -> None:
    (project.folder / "outside").write_text(CANARY)
    os.symlink("../outside", project.context / "up")
    os.symlink("/etc", project.context / "config")
    for mount in ("source=up", "source=config/passwd", "source=../outside", "source=config"):
        said = project.build(f"RUN --mount={mount},target=/m cat /m\n", fails=1)
        assert "to mount at /m" in said
        assert "Dockerfile:4:" in said
    text = "FROM base AS one\nRUN ln -s ../../../../etc /l\nFROM base\n"
    assert "to mount at /m" in project.build(text + "RUN --mount=from=one,source=l,target=/m true\n", fails=1)


def test_only_files_that_are_mounted_are_part_of_the_key(project: Project) -> None:
    (project.context / "a*b").write_text("a")
    (project.context / "axb").write_text("x")
    text = "RUN --mount=source=a*b,target=/m cat /m > /out\n"
    project.build(text)
    assert project.files()["out"] == b"a"
    (project.context / "axb").write_text("changed")
    (project.context / "other").write_text("new")
    assert project.build(text).count("CACHED") >= 3
    (project.context / "a*b").write_text("changed")
    project.build(text)
    assert project.files()["out"] == b"changed"


def test_a_stage_without_files_is_an_empty_folder(project: Project) -> None:
    project.build(
        "FROM scratch AS none\nFROM base\nRUN --mount=from=none,target=/m,rw touch /m/x && ls /m > /out\n"
    )
    assert project.files()["out"] == b"x\n"


# ---------------------------------------------------------------- agents, privilege


def test_the_socket_of_an_agent(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    import socket

    where = project.folder / "agent"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(where))
        listener.listen()
        os.chmod(where, 0o666)
        text = (
            "RUN --mount=type=ssh,uid=7,mode=620 echo $SSH_AUTH_SOCK > /out && "
            "stat -c '%F %a %u' $SSH_AUTH_SOCK >> /out\n"
        )
        project.build(text, "--ssh", f"default={where}")
    assert project.files()["out"] == b"/run/buildkit/ssh_agent.0\nsocket 620 7\n"
    assert "run" not in project.files()


def test_all_privileges_only_where_allowed(project: Project) -> None:
    text = "RUN --security=insecure grep CapEff /proc/self/status > /out\n"
    said = project.build(text, fails=2)
    assert "Dockerfile:4:" in said
    assert "--allow security.insecure" in said
    project.build(text, "--allow", "security.insecure")
    capabilities = int(project.files()["out"].split()[1], 16)
    assert capabilities & 1 << 21, "CAP_SYS_ADMIN"
    assert "security.insecure" in project.build(text, fails=2), "not even from the cache"
    project.build("RUN grep CapEff /proc/self/status > /out\n")
    assert not int(project.files()["out"].split()[1], 16) & 1 << 21


def test_the_metadata_tells_nothing_of_mounts(project: Project) -> None:
    path = project.folder / "metadata"
    project.build("RUN --mount=type=cache,target=/c touch /x\n", "--metadata-file", str(path))
    assert json.loads(path.read_text())["hermetic"] is True


def test_a_path_is_opened_without_following_a_link_that_came_meanwhile(tmp_path: Path) -> None:
    from buildtool.executor.steps.mounts import opened

    (tmp_path / "root" / "a").mkdir(parents=True)
    (tmp_path / "root" / "a" / "f").touch()
    os.symlink("/etc", tmp_path / "root" / "l")
    root = str(tmp_path / "root")
    os.close(opened(root, b"a/f"))
    for path in (b"l", b"l/passwd"):
        with pytest.raises(NotADirectoryError):
            opened(root, path)
