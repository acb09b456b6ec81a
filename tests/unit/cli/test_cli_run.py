"""`buildtool run` with real processes: streams, terminals, signals, files, ports, as root and not."""

import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest

from buildtool.cli.publishing import Published, listen, parse_port, parse_volume, read_env_file
from buildtool.diag import BuildError
from buildtool.sandbox.netns import Isolated

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = """\
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir /tmp /www && echo hello >/www/index.html
ENV GREETING=hello
CMD ["echo", "the image's own"]
"""


class Machine:
    """A user with a store in which the image `box` is."""

    def __init__(self, folder: Path, user: Any = None) -> None:
        self.folder = folder
        self.options: dict[str, Any] = {}
        self.environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder)}
        self.python = sys.executable
        if user is not None:
            self.environment |= user.environment
            self.python = user.python
            if os.geteuid() == 0:
                self.options = {"user": user.uid, "group": user.gid, "extra_groups": []}
        self.environment["BUILDTOOL_STORE"] = str(folder / "store")

    def command(self, *arguments: str) -> list[str]:
        return [self.python, "-m", "buildtool", *arguments]

    def __call__(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.command(*arguments), **self.more(capture_output=True, timeout=120, **more))

    def start(self, *arguments: str, **more: Any) -> "subprocess.Popen[bytes]":
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(self.command(*arguments), **self.more(**(streams | more)))

    def more(self, **more: Any) -> dict[str, Any]:
        env = self.environment | more.pop("env", {})
        return {"cwd": self.folder, "env": env, **self.options, **more}

    def build(self) -> "Machine":
        busybox = shutil.which("busybox")
        if busybox is None or shutil.which("crun") is None:
            pytest.skip("no busybox or crun")
        context = self.folder / "context"
        context.mkdir()
        shutil.copy(busybox, context / "busybox")
        (context / "Dockerfile").write_text(DOCKERFILE)
        done = self("build", "-q", "-t", "box", str(context))
        assert done.returncode == 0, done.stderr
        return self


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp("run")).build()


@pytest.fixture(scope="module")
def user(ordinary_user: Any) -> Machine:
    folder = ordinary_user.home / "run"
    folder.mkdir()
    os.chown(folder, ordinary_user.uid, ordinary_user.gid)
    machine = Machine(folder, ordinary_user)
    return machine.build()


@pytest.fixture(params=["root", "user"])
def machine(request: pytest.FixtureRequest) -> Machine:
    found: Machine = request.getfixturevalue(request.param)
    return found


# ---------------------------------------------------------------- streams and statuses


def test_streams_are_apart_and_the_status_is_the_commands(machine: Machine) -> None:
    done = machine("run", "box", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    assert machine("run", "box").stdout == b"the image's own\n"


def test_standard_input_is_passed_on_when_asked(machine: Machine) -> None:
    data = os.urandom(3 << 20)
    assert machine("run", "-i", "box", "cat", input=data).stdout == data
    assert machine("run", "box", "cat", input=data).stdout == b""


def test_a_reader_that_leaves_ends_the_output(root: Machine) -> None:
    process = root.start("run", "box", "yes")
    assert process.stdout is not None
    assert process.stdout.read(2) == b"y\n"
    process.stdout.close()
    assert process.wait(30) != 0


def test_a_full_disk_is_told(root: Machine) -> None:
    with open("/dev/full", "wb") as full:
        process = root.start("run", "box", "echo", "text", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"error[output-failed]" in err


@pytest.mark.parametrize(("command", "status"), [(("nowhere",), 127), (("/www/index.html",), 126)])
def test_commands_that_cannot_be_run(command: tuple[str, ...], status: int, root: Machine) -> None:
    done = root("run", "box", *command)
    assert done.returncode == status
    assert b"error[exec-failed]" in done.stderr


def test_settings(machine: Machine) -> None:
    (machine.folder / "vars").write_text("# none\nA=from file\nB=2\nFROM_HERE\n")
    more = ["--env-file", "vars", "-e", "B=3", "-w", "/www", "-u", "7:8", "--hostname", "name"]
    script = "echo $GREETING,$A,$B,$FROM_HERE; pwd; id -u; id -g; hostname; touch x || echo no"
    done = machine("run", *more, "box", "sh", "-c", script, env={"FROM_HERE": "here"})
    assert done.stdout.decode().splitlines() == ["hello,from file,3,here", "/www", "7", "8", "name", "no"]
    assert machine("run", "--entrypoint", "basename", "box", "/a/b").stdout == b"b\n"


def test_what_is_changed_is_lost(machine: Machine) -> None:
    assert machine("run", "--rm", "box", "sh", "-c", "echo x >/new; cat /new").stdout == b"x\n"
    assert machine("run", "box", "cat", "/new").returncode == 1
    done = machine("run", "--read-only", "box", "sh", "-c", "echo x >/new")
    assert b"Read-only file system" in done.stderr


def test_files_of_this_machine(machine: Machine) -> None:
    shared = machine.folder / f"shared{os.urandom(4).hex()}"
    shared.mkdir()
    if "user" in machine.options:
        os.chown(shared, machine.options["user"], machine.options["group"])
    (shared / "a").write_text("text\n")
    script = "cat /in/a /etc/one; echo new >/in/b; echo more >>/etc/one || echo refused"
    volumes = ["-v", f"./{shared.name}:/in", "-v", f"{shared}/a:/etc/one:ro"]
    done = machine("run", *volumes, "box", "sh", "-c", script)
    assert done.stdout == b"text\ntext\nrefused\n"
    assert (shared / "b").read_text() == "new\n"
    # Root inside is whoever runs it.
    assert (shared / "b").stat().st_uid == machine.options.get("user", os.geteuid())


def test_the_places_of_programs_in_memory_are_random(machine: Machine) -> None:
    assert machine("run", "box", "cat", "/proc/self/personality").stdout == b"00000000\n"


def test_the_clock_runs(root: Machine) -> None:
    before = int(time.time())
    seen = int(root("run", "box", "date", "+%s").stdout)
    assert before <= seen <= int(time.time())


# ---------------------------------------------------------------- signals


def started(machine: Machine, script: str) -> "subprocess.Popen[bytes]":
    process = machine.start("run", "box", "sh", "-c", f"{script}")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_end_a_process_that_does_not_care(number: signal.Signals, root: Machine) -> None:
    process = started(root, "echo ready; exec sleep 60")
    process.send_signal(number)
    assert process.wait(30) == 128 + number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_are_heard(number: signal.Signals, machine: Machine) -> None:
    process = started(
        machine, f"trap 'echo heard; exit 5' {number.name[3:]}; echo ready; while :; do sleep 0.05; done"
    )
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (5, b"heard\n")


def test_a_process_that_ends_itself_by_what_it_caught(root: Machine) -> None:
    # As Node.js does; what a process sends itself ends no first process.
    process = started(
        root, "trap 'echo once; trap - TERM; kill -TERM $$' TERM; echo ready; while :; do sleep 0.05; done"
    )
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == b"once\n"
    assert process.wait(30) == 143


def test_the_third_interrupt_kills(root: Machine) -> None:
    process = started(root, "trap 'echo no' INT; echo ready; while :; do sleep 0.05; done")
    assert process.stdout is not None
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"no\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 137


def test_a_process_that_is_killed(root: Machine) -> None:
    done = root("run", "box", "sh", "-c", "sh -c 'kill -SEGV $$'; echo $?")
    assert done.stdout.endswith(b"139\n")


def test_nothing_is_left_when_we_are_killed(root: Machine) -> None:
    mark = f"{60 + os.getpid() / 1e7:.7f}"
    process = started(root, f"echo ready; exec sleep {mark}")
    process.kill()
    process.wait()
    until = time.monotonic() + 20
    while _runs(mark) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(mark)


def _runs(word: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes().split(b"\0"):
                return True
        except OSError:
            continue
    return False


# ---------------------------------------------------------------- terminals


class Typist:
    """Someone at a terminal of 30 rows and 90 columns in which `buildtool run` runs."""

    def __init__(self, machine: Machine, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        self.slave = slave
        self.resize(30, 90)
        os.fchown(slave, machine.options.get("user", os.geteuid()), -1)
        self.before = termios.tcgetattr(slave)
        self.seen = ""
        self.process = subprocess.Popen(
            machine.command("run", *arguments),
            **machine.more(
                stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env={"TERM": "vt100"}
            ),
            preexec_fn=lambda: ioctl(0, termios.TIOCSCTTY, 0),
        )

    def resize(self, rows: int, columns: int) -> None:
        ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def expect(self, pattern: str, seconds: float = 60) -> str:
        until = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            if not select.select([self.master], [], [], max(0, until - time.monotonic()))[0]:
                raise AssertionError(f"no {pattern!r} in {self.seen!r}")
            self.seen += os.read(self.master, 4096).decode("utf-8", "replace")
        self.seen = self.seen[found.end() :]
        return found.group()

    def ended(self) -> int:
        status = self.process.wait(60)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is not as it was"
        os.close(self.slave)
        with suppress(OSError):
            while data := os.read(self.master, 4096):
                self.seen += data.decode("utf-8", "replace")
        os.close(self.master)
        return status


def test_a_shell_at_a_terminal(machine: Machine) -> None:
    typist = Typist(machine, "-it", "box", "sh")
    typist.expect(r"# ")
    typist.type("tty; stty size; echo $TERM\r")
    typist.expect(r"/dev/pts/0\r\n30 90\r\nvt100\r\n")
    typist.resize(40, 100)
    # The news of it is on its way while we type.
    typist.type("until stty size | grep '40 100'; do sleep 0.1; done\r")
    typist.expect(r"\n40 100\r\n")
    # An interrupt goes to what runs in the terminal, not to the shell or to us.
    typist.type("sleep 60\r")
    time.sleep(0.5)
    typist.type("\x03")
    typist.type("echo $?\r")
    typist.expect(r"130\r\n")
    typist.type("exit 3\r")
    assert typist.ended() == 3


def test_end_of_input_at_a_terminal(root: Machine) -> None:
    typist = Typist(root, "-it", "box", "cat")
    typist.type("a line\r")
    typist.expect("a line\r\na line\r\n")
    typist.type("\x04")
    assert typist.ended() == 0


def test_the_terminal_is_put_right_when_we_are_told_to_end(root: Machine) -> None:
    typist = Typist(root, "-it", "box", "sh", "-c", "echo ready; exec sleep 60")
    typist.expect("ready\r\n")
    assert termios.tcgetattr(typist.slave) != typist.before
    typist.process.send_signal(signal.SIGTERM)
    assert typist.ended() == 143


def test_the_terminal_is_put_right_when_nothing_starts(root: Machine) -> None:
    typist = Typist(root, "-it", "box", "nowhere")
    assert typist.ended() == 127
    assert "error[exec-failed]" in typist.seen


def test_a_terminal_for_output_alone(root: Machine) -> None:
    done = root("run", "-t", "box", "sh", "-c", "tty; echo err >&2", stdin=subprocess.DEVNULL)
    assert done.stdout == b"/dev/pts/0\r\nerr\r\n"
    done = root("run", "-it", "box", "sh", stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert b"error[not-a-terminal]" in done.stderr


# ---------------------------------------------------------------- ports


def test_a_published_port(machine: Machine) -> None:
    process = machine.start(
        "run", "-p", ":8000", "box", "sh", "-c", "echo ready; exec httpd -f -p 127.0.0.1:8000 -h /www"
    )
    assert process.stdout is not None
    assert process.stderr is not None
    row = process.stderr.readline().decode()
    found = re.fullmatch(r"127\.0\.0\.1:(\d+) leads to port 8000\n", row)
    assert found, row
    assert process.stdout.readline() == b"ready\n"
    until = time.monotonic() + 20
    while not (answer := _asked(int(found[1]))) and time.monotonic() < until:
        time.sleep(0.05)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"hello\n")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143


def _asked(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        # The client's end comes first, and the answer all the same.
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while data := connection.recv(65536):
                answer += data
        except ConnectionResetError:
            pass
        return answer


def test_with_ports_nothing_else_leads_out(root: Machine) -> None:
    with listen(Published("127.0.0.1", 0, 1)) as elsewhere:
        port = elsewhere.getsockname()[1]
        reach = ["nc", "127.0.0.1", str(port), "-e", "/bin/true"]
        script = f"{' '.join(reach)} && echo reached; ls /sys/class/net"
        assert root("run", "-p", "8000", "box", "sh", "-c", script).stdout == b"lo\n"
        assert root("run", "--network", "none", "box", "ls", "/sys/class/net").stdout == b"lo\n"
        done = root("run", "box", *reach)
        assert done.returncode == 0, done.stderr


@pytest.mark.root
def test_a_way_out_beside_published_ports(root: Machine) -> None:
    """In a world of one namespace, whose every address answers: what a process with ports reaches of it."""
    with Isolated(everywhere=True) as world:
        server = world.inside(lambda: socket.create_server(("0.0.0.0", 8080)))
        threading.Thread(target=_greet, args=(server,), daemon=True).start()
        asked = "echo | nc -w 5 {} 8080 || echo {} is out of reach"
        script = (
            f"{asked.format('192.0.2.7', 'all')}; {asked.format('10.0.2.2', 'loopback')}; "
            "cat /etc/resolv.conf; exec httpd -f -p 80 -h /www"
        )
        arguments = ("run", "--network=slirp4netns", "-p", "8000:80", "box", "sh", "-c", script)
        process = world.inside(lambda: root.start(*arguments))
        assert process.stdout is not None
        assert process.stdout.readline() == b"far away\n"
        assert process.stdout.readline() == b"loopback is out of reach\n"
        assert process.stdout.readline() == b"nameserver 10.0.2.3\n"
        until = time.monotonic() + 20
        while not (answer := world.inside(lambda: _asked(8000))) and time.monotonic() < until:
            time.sleep(0.05)
        assert answer.endswith(b"hello\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
        server.close()


def _greet(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"far away\n")


def test_without_slirp4netns_it_is_told_what_to_install(root: Machine, tmp_path: Path) -> None:
    for name in ("crun", "busybox"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    done = root("run", "--network=slirp4netns", "box", "true", env={"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert b"error[no-slirp4netns]" in done.stderr
    assert b"--network=host" in done.stderr


@pytest.mark.parametrize("network", ["host", "none"])
def test_ports_need_a_network_of_their_own(network: str, root: Machine) -> None:
    done = root("run", f"--network={network}", "-p", "80", "box", "true")
    assert done.returncode == 2
    assert f"-p and --network={network} contradict".encode() in done.stderr


def test_a_port_that_is_taken(root: Machine) -> None:
    with listen(Published("127.0.0.1", 0, 1)) as taken:
        done = root("run", "-p", f"{taken.getsockname()[1]}:80", "box", "true")
    assert done.returncode == 1
    assert b"error[port-taken]" in done.stderr


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("8080:80", Published("127.0.0.1", 8080, 80)),
        ("80", Published("127.0.0.1", 0, 80)),
        (":80/tcp", Published("127.0.0.1", 0, 80)),
        ("0.0.0.0:8080:80", Published("0.0.0.0", 8080, 80)),
        ("[::1]:8080:80", Published("::1", 8080, 80)),
        ("127.0.0.1::80", Published("127.0.0.1", 0, 80)),
    ],
)
def test_ports(text: str, published: Published) -> None:
    assert parse_port(text) == published


@pytest.mark.parametrize("text", ["", "a", "8080:", "8080:80/udp", "65536:1", "1:0", "1:2:3:4", "-1:2"])
def test_bad_ports(text: str) -> None:
    with pytest.raises(BuildError) as caught:
        parse_port(text)
    assert caught.value.code == "bad-port"


@pytest.mark.parametrize("text", ["", "/a", "/a:b", "name:/b", "/nowhere-at-all:/b", "/:/b:z", ":/b"])
def test_bad_volumes(text: str) -> None:
    with pytest.raises(BuildError) as caught:
        parse_volume(text)
    assert caught.value.code == "bad-volume"


def test_env_files(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_bytes(b"\xef\xbb\xbfA=1 \n\n  B='x'\n#C=3\nD\n")
    assert read_env_file(str(path)) == ("A=1 ", "B='x'", "D")
    for bad in (tmp_path / "none", tmp_path):
        with pytest.raises(BuildError) as caught:
            read_env_file(str(bad))
        assert caught.value.code == "no-env-file"


def test_prune_takes_the_files_of_subordinate_users(user: Machine) -> None:
    (user.folder / "context" / "Dockerfile").write_text(DOCKERFILE + "RUN touch /f && chown 5:5 /f\n")
    assert user("build", "-q", "-t", "other", "context").returncode == 0
    assert user("rmi", "other").returncode == 0
    done = user("prune", "--all")
    assert re.match(rb"removed .*\d+ snapshots", done.stdout), done
    assert user("run", "box", "true").returncode == 0
    store = user.folder / "store"
    assert list(store.glob("tmp/*/gone*")) == []
