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
from functools import lru_cache

from buildtool.diag import BuildError, Note, Span

PRELUDE = "@prelude.star"

_FRAME = re.compile(r"  \* (.+):(\d+), in (.+)")
_FRAMES = re.compile(rf"^{_FRAME.pattern}$", re.MULTILINE)
_PLACE = re.compile(r"^ *--> (.+):(\d+):(\d+)$", re.MULTILINE)
_CARETS = re.compile(r"^ +\| ( *)(\^+)$", re.MULTILINE)
_CALLED = re.compile(r"(call to `?)(?:[^\s`]*\.star\.)([A-Za-z_])")
_CONVERSION = re.compile(r"Error unpacking value for parameter `\w+` of type `(\w+)`?")
_UNPASSABLE = re.compile(r"Operation `serde::serialize` not supported on type `(\w+)`")
_SHIPPED = "@rules//"
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
    found = _FRAMES.findall(stack)
    return [Frame(file, int(line), function) for file, line, function in found if file != PRELUDE]


def span_of(frame: Frame, source: Source, name: str = "") -> Span:
    """The line of a frame, or in it the call of `name`."""
    return located(frame.file, frame.line, line_of(source, frame.file, frame.line), name)


def located(file: str, line: int, text: str, name: str) -> Span:
    """A line, or in its `text` the call of `name`."""
    column, end = len(text) - len(text.lstrip()) + 1, 0
    if name and (match := re.search(rf"(?<![\w.])(?:native\.)?{re.escape(name)}(?=\s*\()", text)):
        column, end = match.start() + 1, match.end() + 1
    return Span(file, line, column, line, end, text)


def line_of(source: Source, file: str, line: int) -> str:
    """One line of a file, or nothing where it is not known."""
    rows = _rows(source(file) or "")
    return rows[line - 1].rstrip("\r") if 0 < line <= len(rows) else ""


@lru_cache(maxsize=16)
def _rows(text: str) -> list[str]:
    return text.split("\n")


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
    """The error that the text of a StarlarkError tells, at its place and with its callers.

    The place is where it happened, but for shipped rules: what is wrong there is what
    the rule was given, so the place is the rule's call, and a note tells the rest.
    """
    head, rest = _split(text)
    places = list(_PLACE.finditer(rest))
    message, tail = (rest[: places[-1].start()], rest[places[-1].end() :]) if places else (rest, "")
    frames = frames_of(head)
    inner: list[tuple[str, Span]] = []
    if places and places[-1][1] != PRELUDE:
        span = _exact(places[-1], tail, source)
        if frames and (frames[-1].file, frames[-1].line) == (span.file, span.line):
            function = frames.pop().function
        else:
            function = ""
        inner.append((function, span))
    elif frames:
        builtin = _builtin(head)
        last = frames.pop()
        inner.append((last.function, span_of(last, source, builtin)))
    while inner and inner[-1][1].file.startswith(_SHIPPED) and frames:
        outer = frames.pop()
        inner.append((outer.function, span_of(outer, source, inner[-1][0])))
    notes = [Note(f"in {function or span.file}()", span) for function, span in reversed(inner[:-1])]
    if inner:
        function, span = inner[-1]
        notes += callers([*frames, Frame(span.file, span.line, function)], source)
    message = _worded(message)
    return BuildError(_code(text, message), message, span=inner[-1][1] if inner else None, notes=notes)


def _builtin(head: str) -> str:
    """The builtin that a traceback ends in, which is a function of the prelude."""
    for row in head.split("\n"):
        if (match := _FRAME.fullmatch(row)) and match[1] == PRELUDE:
            return match[3].removeprefix("_native_")
    return ""


def _worded(message: str) -> str:
    message = _CALLED.sub(r"\1\2", message.strip()).removeprefix("fail: ")
    message = message.removeprefix("StarlarkError: ").replace("_native_", "native.")
    if match := _CONVERSION.fullmatch(message):
        return f"an argument is no {match[1]}, or too large for one"
    if match := _UNPASSABLE.fullmatch(message):
        return f"a {match[1]} cannot be an argument here"
    return message or "the evaluation failed"


def _split(text: str) -> tuple[str, str]:
    """The frames, and what follows `error: `."""
    if text.startswith("error: "):
        return "", text[7:]
    head, _, rest = text.partition("\nerror: ")
    return head, rest


def _exact(place: re.Match[str], tail: str, source: Source) -> Span:
    file, line, column = place[1], int(place[2]), int(place[3])
    carets = _CARETS.search(tail)
    end = column + len(carets[2]) if carets else 0
    return Span(file, line, column, line if end else 0, end, line_of(source, file, line))


def _named(frame: Frame) -> str:
    return frame.file if frame.function == "<module>" else f"{frame.function}()"


def _code(text: str, message: str) -> str:
    if "error: fail: " in text:
        return "starlark-fail"
    if message.startswith("Parse error: ") or "in this dialect" in message:
        return "starlark-syntax"
    if message == "Starlark call stack overflow":
        return "starlark-recursion"
    return "starlark"
