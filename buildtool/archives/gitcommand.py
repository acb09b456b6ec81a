"""The `git` command, run so that nothing but its arguments decides what it does.

Neither the machine's nor the user's configuration is read, no hook, template,
file system monitor or credential helper runs, only network protocols are spoken,
and nothing is asked of a person.  Repositories are never checked out: what is in
them is read object by object, so a link in one has nothing to act on.
"""

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from buildtool.address import shown
from buildtool.diag import BuildError, Note

#: What a repository may be fetched by.
PROTOCOLS = ("https", "http", "ssh", "git")

#: Variables of the machine that say how to reach the network, and who the user is for SSH.
_KEPT = frozenset(
    [
        "PATH",
        "SSH_AUTH_SOCK",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ]
)
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.autocrlf": "false",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "init.defaultBranch": "main",
    "init.templateDir": "",
    "maintenance.auto": "false",
    "protocol.version": "2",
    "submodule.recurse": "false",
}
_ENDING = 10
_TAIL = 4


@dataclass(frozen=True, slots=True)
class Login:
    """User and password for one address, as an Authorization header; it goes nowhere else."""

    address: str
    header: str


class GitCommand:
    """Runs git in the repository `folder`, its work tree in `worktree`; `environ` is the machine's."""

    def __init__(
        self, folder: str, environ: Mapping[str, str], protocols: Iterable[str], login: Login | None = None
    ) -> None:
        self.folder = folder
        self.worktree = f"{folder}/files"
        self._environment = _environment(environ, folder, ":".join(protocols), login)

    def run(self, *arguments: str, data: bytes = b"") -> bytes:
        """The output of a git command; BuildError `git-failed` with what it says."""
        done = subprocess.run(
            self._words(arguments),
            input=data,
            capture_output=True,
            env=self._environment,
            cwd=self.worktree,
            check=False,
        )
        if done.returncode:
            raise _failed(arguments, done.stderr)
        return done.stdout

    @contextmanager
    def conversation(self, *arguments: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """A git command that answers as long as it is asked: where to write to, and where to read."""
        process = subprocess.Popen(
            self._words(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
            cwd=self.worktree,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdin, process.stdout
        finally:
            process.stdin.close()
            process.stdout.close()
            try:
                process.wait(_ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _words(self, arguments: tuple[str, ...]) -> list[str]:
        import shutil

        found = shutil.which("git", path=self._environment.get("PATH"))
        if found is None:
            raise BuildError(
                "no-git",
                "git is not installed, and something is to come from a git repository",
                hint="apt-get install git",
                exit_status=1,
            )
        return [found, *arguments]


def _environment(
    environ: Mapping[str, str], folder: str, protocols: str, login: Login | None
) -> dict[str, str]:
    settings = dict(_SETTINGS)
    if login is not None:
        settings[f"http.{login.address}.extraHeader"] = login.header
        # A redirect would take the header along, whoever it leads to.
        settings["http.followRedirects"] = "false"
    found = {name: value for name, value in environ.items() if name in _KEPT}
    found.setdefault("PATH", os.defpath)
    found |= {
        "GIT_ALLOW_PROTOCOL": protocols,
        "GIT_ASKPASS": "/bin/false",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_DIR": f"{folder}/.git",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_WORK_TREE": f"{folder}/files",
        "HOME": folder,
        "LC_ALL": "C",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    if "SSL_CERT_FILE" in found:
        found["GIT_SSL_CAINFO"] = found["SSL_CERT_FILE"]
    for number, (name, value) in enumerate(settings.items()):
        # Not on the command line, where every user of the machine could read a login.
        found[f"GIT_CONFIG_KEY_{number}"] = name
        found[f"GIT_CONFIG_VALUE_{number}"] = value
    return found


def _failed(arguments: tuple[str, ...], said: bytes) -> BuildError:
    rows = [shown(row.strip()) for row in said.decode("utf-8", "replace").splitlines() if row.strip()]
    return BuildError(
        "git-failed",
        f"git {arguments[0]} failed: {rows[-1] if rows else 'it says nothing'}",
        notes=[Note(row) for row in rows[-_TAIL:-1]],
        exit_status=1,
    )
