"""The parent's side of evaluation: starts the child, asks it for packages, outlives its death."""

import json
import os
import signal
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from buildtool.diag import BuildError, BuildErrors, Note, Span
from buildtool.frontends.starlark.bounds import MAX_BYTES
from buildtool.frontends.starlark.callsite import located
from buildtool.frontends.starlark.child import MARK_SIZE, NO_MEMORY, Request
from buildtool.frontends.starlark.configuration import Configuration
from buildtool.frontends.starlark.declared import Package, decode

if TYPE_CHECKING:
    import subprocess

#: Seconds to wait for one package: a machine may be busy, so far beyond the child's own limits.
PATIENCE = 60.0
MAX_ANSWER = 256 << 20

_START = (
    "import sys; n = int(sys.argv[1]); sys.path[:] = sys.argv[5:5 + n]; "
    "from buildtool.frontends.starlark.child import main; main(sys.argv[2], sys.argv[3], int(sys.argv[4]))"
)


_CAUSES = {
    -signal.SIGPROF: ("starlark-too-long", "takes too long"),
    -signal.SIGKILL: ("starlark-too-long", "takes too long"),
    -signal.SIGABRT: ("starlark-too-big", "takes too much memory"),
    NO_MEMORY: ("starlark-too-big", "takes too much memory"),
    -signal.SIGSEGV: ("starlark-too-deep", "nests too deeply"),
}


class _DiedError(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


class Child:
    """The evaluating process of one workspace, started when it is first needed."""

    def __init__(self, root: str, rules: str) -> None:
        self._root = root
        self._rules = rules
        self._process: subprocess.Popen[bytes] | None = None
        self._mark = -1

    def package(self, name: str, configuration: Configuration) -> Package:
        """Evaluate a package; BuildError of the evaluation, or about the child's end."""
        try:
            return self._asked(Request(name, configuration))
        except _DiedError as e:
            raise self._explained(Request(name, configuration, marks=True), e.status) from None

    def _asked(self, request: Request) -> Package:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            write_message(process.stdin.fileno(), msgspec.json.encode(request))
            answer = _read_message(process.stdout.fileno())
        except (EOFError, BrokenPipeError, TimeoutError) as e:
            if isinstance(e, TimeoutError):
                process.kill()
            raise _DiedError(process.wait()) from None
        if answer[:1] == b"E":
            raise decode_error(answer[1:])
        return decode(answer[1:])

    def close(self) -> None:
        """End the child, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            os.close(self._mark)
            self._process = None

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            import subprocess

            self._mark = os.memfd_create("buildtool-mark")
            paths = [p or os.getcwd() for p in sys.path]
            # -B: a bytecode file written under the limit on file sizes would be half a file.
            argv = [sys.executable, "-I", "-S", "-B", "-c", _START]
            argv += [str(len(paths)), self._root, self._rules, str(self._mark), *paths]
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # A panic that names its frames takes seconds to say so, to nobody.
                env={**os.environ, "RUST_BACKTRACE": "0"},
                pass_fds=(self._mark,),
                bufsize=0,
            )
        return self._process

    def _explained(self, request: Request, status: int) -> BuildError:
        """What to say of a child that ended with a status; the next package gets a new one.

        A second child carries out `request`, the package again with marks, to know the line.
        """
        self.close()
        span = None
        try:
            self._asked(request)
        except _DiedError:
            span = self._last_place()
        except BuildError as e:
            span = e.span
        self.close()
        code, what = _CAUSES.get(status, ("starlark-died", f"ended its process (status {status})"))
        return BuildError(code, f"the evaluation of package //{request.package} {what}", span=span)

    def _last_place(self) -> Span | None:
        """The line that was noted last, as `child` writes it."""
        text = os.pread(self._mark, MARK_SIZE, 0).split(b"\0")[0].decode("utf-8", "replace")
        line, _, file = text.partition(" ")
        if not file or not line.isdigit():
            return None
        return located(file, int(line), self._row(file, int(line)), "")

    def _row(self, file: str, line: int) -> str:
        shipped = file.startswith("@rules//")
        path = os.path.join(self._rules, file[8:]) if shipped else os.path.join(self._root, file)
        try:
            with open(path, "rb") as data:
                rows = data.read(MAX_BYTES).decode("utf-8", "replace").split("\n", line)
        except OSError:
            return ""
        return rows[line - 1] if line <= len(rows) else ""


def write_message(fd: int, body: bytes) -> None:
    """Write a message whole."""
    rest = memoryview(len(body).to_bytes(4, "big") + body)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _read_message(fd: int) -> bytes:
    import time

    deadline = time.monotonic() + PATIENCE
    size = int.from_bytes(_read(fd, 4, deadline), "big")
    if size > MAX_ANSWER:
        raise EOFError
    return _read(fd, size, deadline)


def _read(fd: int, size: int, deadline: float) -> bytes:
    import select
    import time

    poll = select.poll()
    poll.register(fd, select.POLLIN)
    data = bytearray()
    while len(data) < size:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError
        part = os.read(fd, min(size - len(data), 1 << 20))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def encode_error(error: BuildError) -> bytes:
    """An error as JSON, with its places; several as a list."""
    errors = error.errors if isinstance(error, BuildErrors) else (error,)
    return json.dumps([_plain(e) for e in errors]).encode()


def _plain(error: BuildError) -> dict[str, object]:
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "span": asdict(error.span) if error.span else None,
        "notes": [[n.message, asdict(n.span) if n.span else None] for n in error.notes],
    }


def decode_error(data: bytes) -> BuildError:
    """The error that `encode_error` wrote."""
    errors = [_error(plain) for plain in json.loads(data)]
    return BuildErrors(errors) if len(errors) > 1 else errors[0]


def _error(plain: dict[str, Any]) -> BuildError:
    return BuildError(
        plain["code"],
        plain["message"],
        hint=plain["hint"],
        span=Span(**plain["span"]) if plain["span"] else None,
        notes=[Note(message, Span(**span) if span else None) for message, span in plain["notes"]],
    )
