"""This machine, as a statement of a rebuild tells of it: its kind, never its name."""

import os
import platform
from typing import Any

from buildtool import __version__
from buildtool.sandbox import kernel


def described() -> dict[str, Any]:
    """The kind of machine and the tool, for a statement's predicate."""
    system = os.uname()
    return {
        "machine": {
            "architecture": kernel.architecture(),
            "cpus": len(os.sched_getaffinity(0)),
            "distribution": _distribution(),
            "kernel": f"{system.sysname} {system.release}",
            "user": "root" if os.geteuid() == 0 else "ordinary",
        },
        "tool": {"name": "buildtool", "version": __version__, "python": platform.python_version()},
    }


def _distribution() -> str:
    try:
        found = platform.freedesktop_os_release()
    except OSError:
        return ""
    return f"{found.get('ID', '')} {found.get('VERSION_ID', '')}".strip()
