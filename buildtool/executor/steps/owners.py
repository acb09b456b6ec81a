"""Owners: user and group names, resolved in the passwd and group files of a root filesystem.

COPY and WORKDIR resolve a name as BuildKit's file operations do: `root` is 0 everywhere,
an unknown one is silently 0 (or the user's own group), and only where there is nothing
below at all (`FROM scratch`, `--link`) it is an error; RUN resolves as Docker does: an
unknown name is an error, an unknown number runs with group 0.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from buildtool.diag import BuildError
from buildtool.layers.tree import Stack

_LARGEST = 8 << 20
_MOST_GROUPS = 65_536
_HIGHEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a process runs as, and where that is at home; `gid` is among the groups, as containerd has it."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def owner_of(owner: tuple[str, str], root: Stack) -> tuple[int, int]:
    """uid and gid of `--chown=USER:GROUP`."""
    user, group = owner
    number = _owner_number(user)
    if number is not None:
        uid = gid = number
    else:
        fields = next(
            (f for f in _rows(root, b"etc/passwd", 4, optional=not root.is_empty) if f[0] == user), None
        )
        uid, gid = (_id(fields[2]), _id(fields[3])) if fields else (0, 0)
    if group:
        wanted = _owner_number(group)
        if wanted is None:
            rows = _rows(root, b"etc/group", 3, optional=not root.is_empty)
            found = next((f for f in rows if f[0] == group), None)
            wanted = _id(found[2]) if found else gid
        gid = wanted
    return uid, gid


def process_identity(user: str, root: Stack) -> Identity:
    """Who `USER` names in the image; an empty name is root."""
    name, _, group = user.partition(":")
    number = _number(name) if name else 0
    rows = list(_rows(root, b"etc/passwd", 4, optional=True))
    entry = next((f for f in rows if (f[0] == name if number is None else f[2] == str(number))), None)
    if number is None and entry is None:
        raise BuildError(
            "unknown-user",
            f"there is no user {name!r} in the image's /etc/passwd",
            hint="create the user in an earlier RUN, or name a number",
            exit_status=1,
        )
    uid = _id(entry[2]) if entry else number or 0
    gid = _id(entry[3]) if entry else 0
    groups = list(_rows(root, b"etc/group", 3, optional=True))
    if group:
        gid = _named_group(group, groups)
        extra: tuple[int, ...] = ()
    else:
        login = entry[0] if entry else ""
        extra = tuple(
            dict.fromkeys(_id(f[2]) for f in groups if login and len(f) > 3 and login in f[3].split(","))
        )
    home = entry[5] if entry and len(entry) > 5 and entry[5] else "/"
    return Identity(uid, gid, tuple(dict.fromkeys((gid, *extra))), home)


def _named_group(group: str, rows: list[list[str]]) -> int:
    number = _number(group)
    if number is not None:
        return number
    found = next((f for f in rows if f[0] == group), None)
    if found is None:
        raise BuildError(
            "unknown-group",
            f"there is no group {group!r} in the image's /etc/group",
            hint="create the group in an earlier RUN, or name a number",
            exit_status=1,
        )
    return _id(found[2])


def _rows(root: Stack, path: bytes, least: int, *, optional: bool = False) -> Iterator[list[str]]:
    real = root.resolve(path, follow_last=True)
    node = root.lookup(real)
    if node is None:
        if optional:
            return
        raise BuildError(
            "no-user-database",
            f"names of owners need /{path.decode()}, which the image does not have",
            hint="name the owner by numbers, as in --chown=1000:1000",
            exit_status=1,
        )
    with os.fdopen(root.open(real), "rb") as f:
        data = f.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise BuildError("user-database-too-large", f"/{path.decode()} is larger than 8 MiB", exit_status=1)
    for number, row in enumerate(data.decode("utf-8", "surrogateescape").split("\n")):
        fields = row.split(":")
        if number < _MOST_GROUPS and len(fields) >= least and not row.startswith("#"):
            yield fields


def _owner_number(text: str) -> int | None:
    return 0 if text == "root" else _number(text)


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    return _id(text)


def _id(text: str) -> int:
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else -1
    if not 0 <= value <= _HIGHEST_ID:
        raise BuildError(
            "bad-owner",
            f"{text[:40]!r} is not a user or group number",
            hint=f"numbers go from 0 to {_HIGHEST_ID}",
            exit_status=1,
        )
    return value
