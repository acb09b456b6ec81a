"""Files below a folder that is held by a descriptor, so that no name leads anywhere else."""

import os
import stat

#: A folder to work in: never a symbolic link.
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def status_of(name: bytes, dir_fd: int) -> os.stat_result | None:
    """What `lstat` says of a name in a folder; None if there is none."""
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def remove(name: bytes, dir_fd: int) -> None:
    """Remove what has this name in a folder, with everything below it; links are not followed."""
    try:
        os.unlink(name, dir_fd=dir_fd)
    except (IsADirectoryError, PermissionError):
        _remove_folder(name, dir_fd)


def _remove_folder(name: bytes, dir_fd: int) -> None:
    # A chain of open folders in place of recursion: a tree may be deeper than Python's stack.
    fd = os.open(name, FOLDER, dir_fd=dir_fd)
    held = [(fd, name, _unlink_files(fd))]
    try:
        while held:
            fd, own, folders = held[-1]
            if folders:
                inner = folders.pop()
                below = os.open(inner, FOLDER, dir_fd=fd)
                held.append((below, inner, _unlink_files(below)))
                continue
            os.close(fd)
            held.pop()
            os.rmdir(own, dir_fd=held[-1][0] if held else dir_fd)
    finally:
        for fd, _, _ in held:
            os.close(fd)


def _unlink_files(fd: int) -> list[bytes]:
    """Unlink every file of a folder; the folders that are left in it."""
    folders = []
    for name in names_in(fd):
        status = status_of(name, fd)
        if status is not None and stat.S_ISDIR(status.st_mode):
            folders.append(name)
        elif status is not None:
            os.unlink(name, dir_fd=fd)
    return folders


def names_in(fd: int) -> list[bytes]:
    """The names in an open folder, sorted."""
    # listdir of a descriptor gives text, whose encoding would be the locale's.
    return sorted(os.listdir(b"/proc/self/fd/%d" % fd))
