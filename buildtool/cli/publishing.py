"""Published ports and lent files: the values of `run -p` and `run -v`."""

import os
import re
import socket
from dataclasses import dataclass

from buildtool.diag import BuildError
from buildtool.executor.work import VolumeWork

_PORT = re.compile(r"(?:(?:(\[[0-9a-fA-F:.]+\]|[0-9.]+):)?(\d*):)?(\d+)(?:/([a-z]+))?")


@dataclass(frozen=True, slots=True)
class Published:
    """A port of this machine (0: any that is free) that leads to a port of the process."""

    address: str
    port: int
    inside: int


def parse_port(text: str) -> Published:
    """`[ADDRESS:][PORT:]PORT`, of this machine by its loopback address only; BuildError `bad-port`."""
    found = _PORT.fullmatch(text)
    if found is None:
        raise BuildError("bad-port", f"{text!r} is not a port", hint="for example -p 8080:80")
    address, port, inside, protocol = found.groups()
    if protocol not in (None, "tcp"):
        raise BuildError("bad-port", f"{text!r}: only TCP ports are published")
    published = Published((address or "127.0.0.1").strip("[]"), int(port or 0), int(inside))
    if published.port > 65535 or not 0 < published.inside <= 65535:
        raise BuildError("bad-port", f"{text!r}: ports go to 65535")
    return published


def listen(published: Published) -> socket.socket:
    """A listening socket for a published port; BuildError `port-taken`."""
    family = socket.AF_INET6 if ":" in published.address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((published.address, published.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise BuildError(
            "port-taken",
            f"cannot listen on {published.address}:{published.port}: {error.strerror}",
            hint="-p :PORT takes any port that is free",
            exit_status=1,
        ) from error
    return listener


def parse_volume(text: str) -> VolumeWork:
    """`HOST:PATH[:ro]`, HOST being a path of this machine; BuildError `bad-volume`."""
    source, colon, rest = text.partition(":")
    target, _, options = rest.partition(":")
    if not colon or not source or not target.startswith("/"):
        raise BuildError("bad-volume", f"{text!r} is not HOST:PATH", hint="for example -v ./data:/data:ro")
    unknown = set(filter(None, options.split(","))) - {"ro", "rw"}
    if unknown:
        raise BuildError("bad-volume", f"{text!r}: {unknown.pop()!r} is not known", hint="ro or rw")
    if "/" not in source and source not in (".", ".."):
        raise BuildError(
            "bad-volume", f"{text!r}: volumes with names do not exist here", hint=f"a folder: ./{source}"
        )
    path = os.path.abspath(source)
    if not os.path.exists(path):
        raise BuildError("bad-volume", f"{text!r}: {source} does not exist")
    return VolumeWork(path, target, "ro" in options.split(","))


def read_env_file(path: str) -> tuple[str, ...]:
    """The variables of a file as Docker reads it, a line each: `KEY=VALUE` or `KEY`.

    BuildError `no-env-file`.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            rows = [row.rstrip("\n").lstrip() for row in file]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BuildError("no-env-file", f"cannot read {path}: {reason}") from error
    return tuple(row for row in rows if row and not row.startswith("#"))
