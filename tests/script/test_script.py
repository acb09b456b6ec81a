"""Tests of the command line that are scripts in a fresh directory (see README.md)."""

import os
import re
import shlex
import shutil
import string
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCRIPTS = sorted(HERE.glob("*.txt"))

_FILE = re.compile(r"-- (\S+) --")
_PREFIX = re.compile(r"\[(!?)([a-z]+)(?::([^\]]+))?\]\s*")


class Script:
    """One script being run: its directory, its environment, and the last command's output."""

    def __init__(self, path: Path, work: Path) -> None:
        self.work = work
        self.folder = work
        self.stdout = self.stderr = ""
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(work.parent / "home"),
            "BUILDTOOL_STORE": str(work.parent / "store"),
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
            "WORK": str(work),
            "COLUMNS": "100",
        }
        text = path.read_text()
        rows = text.splitlines(keepends=True)
        first = next((n for n, row in enumerate(rows) if _FILE.fullmatch(row.strip())), len(rows))
        self.lines = [row.strip() for row in rows[:first]]
        self._files(rows[first:])

    def _files(self, rows: list[str]) -> None:
        target: Path | None = None
        for row in rows:
            name = _FILE.fullmatch(row.strip())
            if name:
                target = self.work / name[1]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text("")
            elif target is not None:
                with target.open("a") as file:
                    file.write(row)

    def run(self) -> None:
        """Run the script to its end; an AssertionError names the line."""
        for number, line in enumerate(self.lines, 1):
            if not line or line.startswith("#"):
                continue
            try:
                self._line(line)
            except AssertionError as error:
                detail = f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
                pytest.fail(f"line {number}: {line}\n{error}\n{detail}", pytrace=False)

    def _line(self, line: str) -> None:
        while prefix := _PREFIX.match(line):
            if _holds(prefix[2], prefix[3] or "") == bool(prefix[1]):
                return
            line = line[prefix.end() :]
        expected: int | None = 0
        negated = re.match(r"!(\d*)\s+", line)
        if negated:
            expected = int(negated[1]) if negated[1] else None
            line = line[negated.end() :]
        values = self.environment
        name, *words = [string.Template(w).safe_substitute(values) for w in shlex.split(line, posix=True)]
        if name in ("buildtool", "exec"):
            self._execute(
                [sys.executable, "-m", "buildtool", *words] if name == "buildtool" else words, expected
            )
        else:
            command: Callable[[list[str], bool], None] = getattr(self, f"do_{name}")
            command(words, expected is None)

    def _execute(self, command: list[str], expected: int | None) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=300,
        )
        self.stdout, self.stderr = done.stdout, done.stderr
        assert "Traceback (most recent call last)" not in done.stderr, "a traceback reached the user"
        if expected is None:
            assert done.returncode != 0, "it did not fail"
        else:
            assert done.returncode == expected, f"status {done.returncode}, not {expected}"

    # ------------------------------------------------------------ commands

    def do_stdout(self, words: list[str], negated: bool) -> None:
        assert bool(re.search(words[0], self.stdout, re.MULTILINE)) != negated

    def do_stderr(self, words: list[str], negated: bool) -> None:
        assert bool(re.search(words[0], self.stderr, re.MULTILINE)) != negated

    def do_cmp(self, words: list[str], negated: bool) -> None:
        first, second = (self._bytes(w) for w in words)
        assert (first == second) != negated, f"{words[0]}: {first[:2000]!r}\n{words[1]}: {second[:2000]!r}"

    def do_exists(self, words: list[str], negated: bool) -> None:
        for word in words:
            assert os.path.lexists(self.folder / word) != negated, word

    def do_cp(self, words: list[str], negated: bool) -> None:
        if words[0] in ("stdout", "stderr"):
            (self.folder / words[1]).write_bytes(self._bytes(words[0]))
        else:
            shutil.copy2(self.folder / words[0], self.folder / words[1])

    def do_rm(self, words: list[str], negated: bool) -> None:
        for word in words:
            path = self.folder / word
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def do_mkdir(self, words: list[str], negated: bool) -> None:
        for word in words:
            (self.folder / word).mkdir(parents=True, exist_ok=True)

    def do_cd(self, words: list[str], negated: bool) -> None:
        self.folder = (self.folder / words[0]).resolve()

    def do_env(self, words: list[str], negated: bool) -> None:
        self.environment.update(w.split("=", 1) for w in words)

    def do_skip(self, words: list[str], negated: bool) -> None:
        pytest.skip(" ".join(words))

    def _bytes(self, word: str) -> bytes:
        if word in ("stdout", "stderr"):
            text = self.stdout if word == "stdout" else self.stderr
            return text.encode("utf-8", "surrogateescape")
        return (self.folder / word).read_bytes()


def _holds(condition: str, argument: str) -> bool:
    if condition == "root":
        return os.geteuid() == 0
    if condition == "exec":
        return shutil.which(argument) is not None
    if condition == "sandbox":
        runtime = any(shutil.which(r) for r in ("crun", "runc"))
        return runtime and (os.geteuid() == 0 or shutil.which("newuidmap") is not None)
    raise AssertionError(f"there is no condition {condition}")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_script(path: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    Script(path, work).run()
