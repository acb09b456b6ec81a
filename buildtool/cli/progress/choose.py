"""Which view a build gets."""

import os
import sys
from typing import TextIO

from buildtool.cli.console import is_terminal, wants_colour
from buildtool.cli.progress.view import View

MODES = ("auto", "plain", "tty", "rawjson", "quiet")


def choose(mode: str, out: TextIO | None = None) -> View:
    """The view for `mode`; `auto` draws on a terminal and writes plain lines elsewhere.

    Views write to standard error, so that standard output is the result's alone.
    BUILDKIT_PROGRESS is heeded where the mode is `auto`, as by docker.
    """
    stream = out or sys.stderr
    if mode == "auto":
        wanted = os.environ.get("BUILDKIT_PROGRESS", "")
        mode = wanted if wanted in MODES[1:] else "tty" if is_terminal(stream) else "plain"
    if mode == "tty":
        from buildtool.cli.progress.terminal import Terminal

        return Terminal(stream, colour=wants_colour(stream))
    if mode == "rawjson":
        from buildtool.cli.progress.rawjson import RawJson

        return RawJson(stream)
    if mode == "quiet":
        from buildtool.cli.progress.quiet import Quiet

        return Quiet(stream)
    from buildtool.cli.progress.plain import Plain

    return Plain(stream)
