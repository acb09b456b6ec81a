"""Faults of the machine under the store, told as errors that say what to do."""

import errno

from buildtool.diag import BuildError

_FULL = (errno.ENOSPC, errno.EDQUOT)


def store_fault(exc: OSError, doing: str) -> BuildError:
    """The error for a system call that failed while `doing` something.

    Codes: `disk-full` (space, inodes or quota) and `store-fault` (anything else).
    """
    if exc.errno in _FULL:
        return BuildError(
            "disk-full",
            f"no space is left while {doing}",
            hint="make room, or point BUILDTOOL_STORE at another file system; what is finished is kept",
            exit_status=1,
        )
    return BuildError(
        "store-fault",
        f"{exc.strerror} while {doing}",
        hint="BUILDTOOL_STORE names the folder of the store; it must be one that you can write to",
        exit_status=1,
    )
