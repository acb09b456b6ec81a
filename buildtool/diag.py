"""Diagnostics: where something stands in a text, what is wrong with it, and how that is shown."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A range of a text: lines and columns count from 1, `end_column` is exclusive.

    `excerpt` is the text of the first line, without its line end, so that a
    diagnostic can be shown long after the file changed.
    """

    file: str
    line: int
    column: int = 1
    end_line: int = 0
    end_column: int = 0
    excerpt: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Note:
    """A further place that belongs to a diagnostic, such as the caller of a rule."""

    message: str
    span: Span | None = None


class BuildError(Exception):
    """What went wrong, with a stable `code`, the place where it did, and what to do about it.

    `exit_status` is 2 where the input is wrong, 1 where a build failed.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        span: Span | None = None,
        hint: str = "",
        notes: Iterable[Note] = (),
        output: str = "",
        exit_status: int = 2,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.span = span
        self.hint = hint
        self.notes = tuple(notes)
        self.output = output
        self.exit_status = exit_status

    def at(self, span: Span | None) -> "BuildError":
        """This error placed at `span`, unless a closer place is known already."""
        if self.span is None:
            self.span = span
        return self

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class BuildErrors(BuildError):
    """Several errors that one run over the input found."""

    def __init__(self, errors: Iterable[BuildError]) -> None:
        self.errors = tuple(errors)
        first = self.errors[0]
        super().__init__(
            first.code,
            first.message,
            span=first.span,
            hint=first.hint,
            notes=first.notes,
            output=first.output,
            exit_status=max(e.exit_status for e in self.errors),
        )


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning, or a note, which asks for less attention: it never stops a build."""

    code: str
    message: str
    span: Span | None = None
    hint: str = ""
    severity: str = "warning"


@dataclass(frozen=True, slots=True)
class Style:
    """The colours of a rendering; empty strings for none."""

    severity: str = ""
    warning: str = ""
    bold: str = ""
    dim: str = ""
    reset: str = ""


PLAIN = Style()
COLOUR = Style(severity="\x1b[1;31m", warning="\x1b[1;33m", bold="\x1b[1m", dim="\x1b[2m", reset="\x1b[0m")

_WIDEST = 200


def render(problem: BuildError | Warned, style: Style = PLAIN) -> str:
    """The problem as a person reads it, without a final newline.

    The first line is `FILE:LINE:COLUMN: error[code]: message`; under it the line
    of the source with carets, the output that matters, notes, and the hint.
    """
    if isinstance(problem, BuildErrors):
        return "\n\n".join(render(e, style) for e in problem.errors)
    severity = problem.severity if isinstance(problem, Warned) else "error"
    tint = style.warning if isinstance(problem, Warned) else style.severity
    place = f"{style.bold}{problem.span}:{style.reset} " if problem.span else ""
    rows = [f"{place}{tint}{severity}[{problem.code}]:{style.reset} {_safe(problem.message)}"]
    rows += _excerpt(problem.span, tint, style)
    if isinstance(problem, BuildError):
        if problem.output:
            rows += [f"  {style.dim}|{style.reset} {_safe(row)}" for row in problem.output.splitlines()]
        for note in problem.notes:
            at = f" ({note.span})" if note.span else ""
            rows.append(f"  note: {_safe(note.message)}{at}")
            rows += _excerpt(note.span, style.dim, style)
    if problem.hint:
        rows.append(f"  hint: {_safe(problem.hint)}")
    return "\n".join(rows)


def _excerpt(span: Span | None, tint: str, style: Style) -> list[str]:
    if span is None or not span.excerpt.strip():
        return []
    text = _safe(span.excerpt.replace("\t", " "))
    start = max(span.column, 1)
    if span.end_line in (0, span.line) and span.end_column > start:
        width = span.end_column - start
    else:
        width = max(len(text) - start + 1, 1)
    if len(text) > _WIDEST:
        cut = max(0, start - 40)
        text, start = text[cut : cut + _WIDEST], start - cut
    width = max(1, min(width, len(text) - start + 1))
    number = str(span.line)
    marks = f"{' ' * (start - 1)}{tint}{'^' * width}{style.reset}"
    return [
        f"  {style.dim}{number} |{style.reset} {text}",
        f"  {style.dim}{' ' * len(number)} |{style.reset} {marks}",
    ]


def _safe(text: str) -> str:
    """Text from outside, without the control characters that could drive a terminal."""
    return "".join(
        c if c == "\n" or c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text
    )


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """`did you mean X?` for the known name nearest to `wrong`, or an empty string."""
    import difflib

    near = difflib.get_close_matches(wrong, sorted(set(known)), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""
