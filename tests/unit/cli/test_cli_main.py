"""The boundary: every error becomes a message on standard error and an exit status."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest

from buildtool.cli import crash, main
from buildtool.cli.lazy import Lazy
from buildtool.diag import BuildError, Span

Golden = Callable[[str, str], None]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("BUILDTOOL_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _command_that(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Let `buildtool build` do something else."""

    @click.command("build")
    def command() -> object:
        return action()

    module = type(sys)("fake_command")
    module.command = command  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_command", module)
    monkeypatch.setitem(main.group.lazy, "build", Lazy("fake_command", ""))  # type: ignore[attr-defined]


def _raise(error: BaseException) -> Callable[[], object]:
    def action() -> object:
        raise error

    return action


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--version"], 0),
        (["--help"], 0),
        ([], 2),
        (["bild"], 2),
        (["build"], 2),
        (["build", "--targt=x", "."], 2),
        (["build", "--jobs=none", "."], 2),
        (["build", "--cache-to=type=gha", "."], 2),
        (["build", "--secret=hunter2", "."], 2),
        (["build", "--push", "."], 2),
        (["build", "--platform=linux/vax", "."], 2),
        (["build", "-t", "Not A Name", "."], 2),
        (["build", "nowhere"], 2),
        (["build", "-q", "--progress=plain", "."], 2),
        (["build", "."], 2),
        (["validate", "docker://debian"], 2),
        (["validate", "oci:nowhere"], 2),
        (["inspect", "nothing"], 2),
        (["run", "nothing"], 2),
    ],
)
def test_messages(
    arguments: list[str], status: int, golden: Golden, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(arguments) == status
    seen = capsys.readouterr()
    name = " ".join(arguments).replace("/", "_") or "nothing"
    shown = (
        f"$ buildtool {' '.join(arguments)}\nstatus {status}\n--- stdout\n{seen.out}--- stderr\n{seen.err}"
    )
    golden(f"cli/messages/{name}.txt", shown)
    assert "Traceback" not in shown


def test_help_of_every_command(golden: Golden, capsys: pytest.CaptureFixture[str]) -> None:
    for name in main.COMMANDS:
        assert main.run([name, "--help"]) == 0
    golden("cli/help.txt", capsys.readouterr().out)


@pytest.mark.parametrize("value", ["false", "0", "off"])
def test_what_is_switched_off_is_taken(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["build", f"--provenance={value}", f"--sbom={value}", "nowhere"]) == 2
    assert "no-context" in capsys.readouterr().err


def test_a_build_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    span = Span("Dockerfile", 7, 1, 7, 5, "CPOY . /app")
    error = BuildError(
        "unknown-instruction", 'unknown "CPOY"', span=span, hint="did you mean COPY?", exit_status=1
    )
    _command_that(monkeypatch, _raise(error))
    assert main.run(["build"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        'Dockerfile:7:1: error[unknown-instruction]: unknown "CPOY"',
        "  7 | CPOY . /app",
        "    | ^^^^",
        "  hint: did you mean COPY?",
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (main.Terminated(signal.SIGTERM), 143),
        (click.ClickException("no"), 2),
    ],
)
def test_statuses(monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int) -> None:
    _command_that(monkeypatch, _raise(error))
    assert main.run(["build"]) == status


def test_the_status_of_a_command_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    _command_that(monkeypatch, lambda: 42)
    assert main.run(["build"]) == 42


def test_our_own_error_is_kept_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _command_that(monkeypatch, _raise(ZeroDivisionError("secret of ours")))
    assert main.run(["build"]) == main.INTERNAL
    told = capsys.readouterr().err
    assert "internal-error" in told
    assert "Traceback" not in told
    (report,) = (tmp_path / "state/buildtool/crashes").iterdir()
    assert str(report) in told
    assert "ZeroDivisionError: secret of ours" in report.read_text()


def test_reports_carry_no_values_and_do_not_pile_up(tmp_path: Path) -> None:
    commands = (
        ["build", "--build-arg", "TOKEN=hunter2", "--label=a=hunter2", "."],
        ["pull", "--creds", "me:hunter2", "app"],
        ["login", "-u", "me", "-phunter2", "registry.example"],
        ["login", "-p", "hunter2"],
    )
    for number in range(crash.KEPT + 5):
        crash.report(ValueError("x"), commands[number % len(commands)])
    reports = list((tmp_path / "state/buildtool/crashes").iterdir())
    assert len(reports) == crash.KEPT
    assert all("hunter2" not in r.read_text() for r in reports)
    assert any("command: buildtool pull --creds … app" in r.read_text() for r in reports)


def test_a_report_that_cannot_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    error = crash.report(ValueError("odd"), [])
    assert "ValueError: odd" in error.hint


def _start(*arguments: str, **options: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "buildtool", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload, no-any-return]


def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = _start("build", "--help", stdout=writer)
    os.close(writer)
    assert b"Traceback" not in process.communicate()[1]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals(number: signal.Signals, status: int, tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    process = _start("build", "-f", "-", "context", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "store" / "oci-layout").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == status
    assert b"Traceback" not in told


def test_a_failure_after_a_signal_is_the_end_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def swallowed(*arguments: object, **options: object) -> None:
        with suppress(main.Terminated):
            os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError("half done")

    monkeypatch.setattr(main.group, "main", swallowed)
    assert main.run([]) == 128 + signal.SIGTERM


def test_a_folder_of_targets_is_no_context(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "BUILD.star").touch()
    assert main.run(["build", "app"]) == 2
    assert capsys.readouterr().err == (
        "error[no-dockerfile]: cannot read app/Dockerfile: No such file or directory\n"
        "  hint: app has a BUILD.star, whose targets are named //FOLDER:NAME, or :NAME in their folder\n"
    )


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (["lint", "nosuch"], "cannot read nosuch: No such file or directory\n"),
        (["dockerfile", "ast", "nosuch"], "cannot read nosuch: No such file or directory\n"),
        (["lint", "--explain", "xyz"], "hint: the manual has all rules"),
        (["serve", "--listen", "x"], "hint: for example 127.0.0.1:5000"),
        (["load", "-i", "/etc/passwd"], "hint: it is what docker, podman or skopeo save"),
    ],
)
def test_hints_are_about_the_command(
    arguments: list[str], seen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(arguments) == 2
    assert seen in capsys.readouterr().err


def _shell(command: str, tmp_path: Path) -> "subprocess.CompletedProcess[bytes]":
    env = {**os.environ, "BUILDTOOL": f"{sys.executable} -m buildtool", "PYTHONPATH": str(ROOT)}
    return subprocess.run(["sh", "-c", command], env=env, cwd=tmp_path, capture_output=True, timeout=60)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["--help", "lint --explain LatestTag", "query //...", "fmt -"])
def test_a_full_standard_output_is_an_error(
    arguments: str, unbuffered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "BUILD.star").write_text('load("@rules//image.star", "image")\n\nimage(name = "a")\n')
    (tmp_path / "buildtool.toml").write_text("")
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    done = _shell(f"$BUILDTOOL {arguments} <BUILD.star >/dev/full", tmp_path)
    assert done.stderr.decode() == (
        "error[output-failed]: standard output cannot be written: No space left on device\n"
    )
    assert done.returncode == 1


def test_a_full_standard_error_leaves_the_status(tmp_path: Path) -> None:
    assert _shell("$BUILDTOOL build nosuch 2>/dev/full", tmp_path).returncode == 2
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    assert _shell("$BUILDTOOL build . 2>/dev/full", tmp_path).returncode == 1


@pytest.mark.parametrize(
    "arguments", [["lint", "--explain", "LatestTag"], ["build", "nosuch"], ["build", "."]]
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_nobody_reads_any_more(arguments: list[str], unbuffered: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    ours, theirs = os.pipe()
    os.close(ours)
    command = [sys.executable, "-m", "buildtool", *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    with os.fdopen(theirs, "wb") as pipe:
        done = subprocess.run(command, env=env, cwd=tmp_path, stdout=pipe, stderr=pipe, timeout=60)
    # 120 is Python's, for what it could not write at exit.
    assert done.returncode in (1, 2, 128 + signal.SIGPIPE)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_mistake(closed: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    done = _shell(f"$BUILDTOOL build --progress=plain . {closed}", tmp_path)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert _shell(f"$BUILDTOOL build nosuch {closed}", tmp_path).returncode == 2
