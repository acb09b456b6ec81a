"""An error of our own: kept in a file for a report, told in two lines."""

import os
import platform
import sys
import tempfile
import time
import traceback
from pathlib import Path

from buildtool import __version__
from buildtool.diag import BuildError

#: Reports beyond these are removed, the oldest first.
KEPT = 20


def report(error: Exception, arguments: list[str]) -> BuildError:
    """Write the traceback to the state directory and return what to tell the user.

    Values of options are left out of the report: build arguments may be secrets.
    """
    lines = traceback.format_exception(error)
    head = (
        f"buildtool {__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.release()} {platform.machine()}\n"
        f"command: buildtool {' '.join(_without_values(arguments))}\n\n"
    )
    where = _write(head + "".join(lines))
    kind = type(error).__name__
    return BuildError(
        "internal-error",
        f"buildtool itself went wrong ({kind}); this is a bug, not a mistake of yours",
        hint=f"please report it with the file {where}" if where else "please report it: " + _short(lines),
    )


def state_folder() -> Path:
    """Where such files live: $XDG_STATE_HOME/buildtool, by default below ~/.local/state."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):
        home = os.environ.get("HOME", "")
        base = os.path.join(home, ".local", "state") if home.startswith("/") else tempfile.gettempdir()
    return Path(base) / "buildtool"


def _write(text: str) -> str:
    try:
        folder = state_folder() / "crashes"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        handle, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".txt", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        for old in sorted(folder.glob("*.txt"))[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError:
        return ""
    return path


def _without_values(arguments: list[str]) -> list[str]:
    """The words of a command, without what an option is given: `--name=…`, `-n…`, and the word behind one."""
    shown: list[str] = []
    behind = False
    for word in arguments:
        name, equals, _ = word.partition("=")
        if word.startswith("--"):
            shown.append(f"{name}=…" if equals else word)
        elif word.startswith("-"):
            shown.append(word[:2] + ("…" if len(word) > 2 else ""))
        else:
            shown.append("…" if behind or equals else word)
        behind = word.startswith("-") and not equals
    return shown


def _short(lines: list[str]) -> str:
    return lines[-1].strip() + f" (at {_innermost()})"


def _innermost() -> str:
    trace = sys.exc_info()[2]
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else "?"
