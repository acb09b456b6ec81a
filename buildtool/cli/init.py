"""`buildtool init`: a first BUILD.star, or one that says what a Dockerfile says."""

import os
import sys

import click

from buildtool.diag import BuildError

_FILE = "BUILD.star"
_FIRST = """load("@rules//debian.star", "debian_root")
load("@rules//image.star", "image")

# A Debian root filesystem, its packages pinned in buildtool.lock.
debian_root(
    name = "root",
    packages = ["ca-certificates"],
)

# buildtool build //:image
image(
    name = "image",
    base = ":root",
    cmd = [
        "cat",
        "/etc/motd",
    ],
    steps = [
        files({"/etc/motd": "Hello.\\n"}),
        # copy(["src"], "/app/"),
        # run("make -C /app"),
    ],
)
"""


@click.command("init")
@click.option(
    "--from",
    "dockerfile",
    default="",
    metavar="DOCKERFILE",
    help="Say what this Dockerfile says, as far as it can be.",
)
def command(*, dockerfile: str) -> None:
    """Write a BUILD.star into this folder.

    What a Dockerfile has and steps have not stays as a comment in its place, and is told.
    """
    text = _converted(dockerfile) if dockerfile else _FIRST
    try:
        with open(_FILE, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise BuildError(
            "already-there", f"there is a {_FILE} in this folder already", hint="move it away first"
        ) from None
    except OSError as error:
        raise BuildError("unwritable", f"{_FILE} cannot be written: {error.strerror}") from None
    click.echo(f"wrote {_FILE}; build it with: buildtool build :image")


def _converted(path: str) -> str:
    from buildtool.cli.console import style_of
    from buildtool.cli.convert import convert
    from buildtool.diag import render
    from buildtool.frontends.dockerfile.parse import parse

    try:
        with open(path, "rb") as file:
            data = file.read(1 << 20)
    except OSError as error:
        raise BuildError("no-dockerfile", f"cannot read {path}: {error.strerror}") from None
    name = os.path.relpath(path)
    text, warnings = convert(parse(data, name), name)
    style = style_of(sys.stderr)
    for warning in warnings:
        click.echo(render(warning, style), err=True)
    return text
