"""What may be written to a stream: colours or none, and which of the progress views suits it."""

import os
from typing import TextIO

from buildtool.diag import COLOUR, PLAIN, Style


def is_terminal(stream: TextIO) -> bool:
    """Whether a person watches this stream on a terminal that can move its cursor."""
    try:
        return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    except ValueError:
        return False


def wants_colour(stream: TextIO) -> bool:
    """Whether colours are welcome; a NO_COLOR that is not empty (no-color.org) turns them off."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def style_of(stream: TextIO) -> Style:
    """The style of diagnostics on this stream."""
    return COLOUR if wants_colour(stream) else PLAIN
