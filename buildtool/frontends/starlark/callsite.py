"""Call sites: the only reader of Starlark's tracebacks, which are plain text.

Starlark tells where a call stands only in two texts: `call_stack()` and the
message of a `StarlarkError`.  Both list frames, outermost first:

    Traceback (most recent call last):
      * app/BUILD.star:3, in <module>
          image(name = "app")
      * @rules//image.star:9, in image
          native.image(...)
    error: what is wrong
     --> @rules//image.star:9:5
      |
    9 |     native.image(...)
      |     ^^^^^^^^^^^^^^^^^

The source lines of a frame are indented by six spaces, so that no source text can
pass for a frame; the last ` --> ` is Starlark's own.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from buildtool.diag import BuildError, Note, Span

PRELUDE = "@prelude.star"

_FRAME = re.compile(r"  \* (.+):(\d+), in (.+)")
_PLACE = re.compile(r"^ *--> (.+):(\d+):(\d+)$", re.MULTILINE)
_CARETS = re.compile(r"^ +\| ( *)(\^+)$", re.MULTILINE)
_CALLED = re.compile(r"(call to `?)(?:[^\s`]*\.star\.)([A-Za-z_])")
#: Of a recursion only the ends are worth reading.
_MAX_NOTES = 8

#: The text of a file by the name that Starlark knows it by, or None.
Source = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Frame:
    """One call: the file and line of the caller, and the function that the line is in."""

    file: str
    line: int
    function: str


def frames_of(stack: str) -> list[Frame]:
    """The frames of a traceback, outermost first, without the prelude's own."""
    frames = []
    for row in stack.split("\n"):
        if row.startswith("error"):
            break
        if match := _FRAME.fullmatch(row):
            frames.append(Frame(match[1], int(match[2]), match[3]))
    return [f for f in frames if f.file != PRELUDE]


def span_of(frame: Frame, source: Source, name: str = "") -> Span:
    """The line of a frame, or in it the call of `name`."""
    text = line_of(source, frame.file, frame.line)
    column, end = len(text) - len(text.lstrip()) + 1, 0
    if name and (match := re.search(rf"(?<![\w.])(?:native\.)?{re.escape(name)}\s*\(", text)):
        column, end = match.start() + 1, match.end()
    return Span(frame.file, frame.line, column, frame.line, end, text)


def line_of(source: Source, file: str, line: int) -> str:
    """One line of a file, or nothing where it is not known."""
    rows = (source(file) or "").split("\n", line)
    return rows[line - 1].rstrip("\r") if 0 < line <= len(rows) else ""


def callers(frames: list[Frame], source: Source) -> tuple[Note, ...]:
    """Notes on who called the innermost of `frames`, from the inside out."""
    outer = [
        Note(f"called from {_named(f)}", span_of(f, source, inner.function))
        for f, inner in zip(reversed(frames[:-1]), reversed(frames[1:]), strict=True)
    ]
    if len(outer) > _MAX_NOTES:
        left_out = Note(f"... {len(outer) - _MAX_NOTES + 1} more calls ...")
        outer = [*outer[: _MAX_NOTES // 2], left_out, *outer[-_MAX_NOTES // 2 + 1 :]]
    return tuple(outer)


def error_of(text: str, source: Source) -> BuildError:
    """The error that the text of a StarlarkError tells, at its place and with its callers."""
    head, _, rest = _split(text)
    places = list(_PLACE.finditer(rest))
    message, tail = (rest[: places[-1].start()], rest[places[-1].end() :]) if places else (rest, "")
    message = _CALLED.sub(r"\1\2", message.strip()) or "the evaluation failed"
    frames = frames_of(head)
    if not places or places[-1][1] == PRELUDE:
        span = span_of(frames[-1], source) if frames else None
    else:
        span = _exact(places[-1], tail, source)
        if frames and (frames[-1].file, frames[-1].line) != (span.file, span.line):
            frames.append(Frame(span.file, span.line, ""))
    return BuildError(_code(message), message, span=span, notes=callers(frames, source))


def _split(text: str) -> tuple[str, str, str]:
    if text.startswith("error: "):
        return "", "", text[7:]
    return text.partition("\nerror: ")


def _exact(place: re.Match[str], tail: str, source: Source) -> Span:
    file, line, column = place[1], int(place[2]), int(place[3])
    carets = _CARETS.search(tail)
    end = column + len(carets[2]) if carets else 0
    return Span(file, line, column, line if end else 0, end, line_of(source, file, line))


def _named(frame: Frame) -> str:
    return frame.file if frame.function == "<module>" else f"{frame.function}()"


def _code(message: str) -> str:
    if message.startswith("fail: "):
        return "starlark-fail"
    if message.startswith("Parse error: ") or "in this dialect" in message:
        return "starlark-syntax"
    if message == "Starlark call stack overflow":
        return "starlark-recursion"
    return "starlark"
