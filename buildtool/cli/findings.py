"""What checks of files found, as text, as JSON and as SARIF 2.1.0; the same for every language."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from buildtool import __version__
from buildtool.diag import BuildError, Span, Style, Warned, render

FORMATS = ("text", "json", "sarif")


class Rule(Protocol):
    """What is told of a rule."""

    @property
    def name(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def why(self) -> str: ...
    @property
    def fix(self) -> str: ...
    @property
    def page(self) -> str: ...
    @property
    def experimental(self) -> bool: ...


class Finding(Protocol):
    """A rule that is broken at a place: line and column of its beginning and its end, from 1."""

    @property
    def rule(self) -> Rule: ...
    @property
    def place(self) -> tuple[int, int, int, int]: ...
    @property
    def message(self) -> str: ...
    @property
    def fix(self) -> str: ...


class Checked(Protocol):
    """What the check of one file found."""

    @property
    def filename(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def findings(self) -> Sequence[Finding]: ...
    @property
    def errors(self) -> Sequence[BuildError]: ...

    def warned(self) -> list[Warned]:
        """The findings as a person sees them."""


SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"


def as_text(checked: Sequence[Checked], style: Style) -> str:
    """Each finding with its line and what to do, then how many there are."""
    problems: list[Warned | BuildError] = []
    for one in checked:
        problems += [*one.errors, *one.warned()]
    rows = [f"{render(problem, style)}\n" for problem in problems]
    return "\n".join([*rows, _summary(checked)])


def _summary(checked: Sequence[Checked]) -> str:
    severities = [f.rule.severity for one in checked for f in one.findings]
    counts = {
        "error": sum(len(one.errors) for one in checked),
        "warning": severities.count("warning"),
        "note": severities.count("note"),
    }
    told = ", ".join(f"{n} {word}{'s' * (n > 1)}" for word, n in counts.items() if n)
    return f"Check complete: {told or 'no warnings found'}.\n"


# ---------------------------------------------------------------- JSON


def as_json(checked: Sequence[Checked]) -> str:
    """The document that buildx prints, with `severity` and `fix` besides; lines from 1, characters from 0."""
    document: dict[str, Any] = {
        "sources": [{"filename": one.filename, "language": one.language} for one in checked],
        "warnings": [_warning(f, n) for n, one in enumerate(checked) for f in one.findings],
        "errors": [_error(e, n) for n, one in enumerate(checked) for e in one.errors],
    }
    return json.dumps(document, indent=2) + "\n"


def _warning(finding: Finding, source: int) -> dict[str, Any]:
    return {
        "ruleName": finding.rule.name,
        "severity": finding.rule.severity,
        "description": finding.rule.about,
        "detail": finding.message,
        "fix": finding.fix,
        "url": finding.rule.page,
        "location": _location(source, *finding.place),
    }


def _error(error: BuildError, source: int) -> dict[str, Any]:
    found: dict[str, Any] = {"code": error.code, "message": error.message, "fix": error.hint}
    span = error.span
    if span is not None:
        found["location"] = _location(source, span.line, span.column, *_end(span))
    return found


def _end(span: Span) -> tuple[int, int]:
    return (span.end_line, span.end_column) if span.end_line else (span.line, span.column + 1)


def _location(source: int, line: int, column: int, end_line: int, end_column: int) -> dict[str, Any]:
    start = {"line": line, "character": column - 1}
    end = {"line": end_line, "character": end_column - 1}
    return {"sourceIndex": source, "ranges": [{"start": start, "end": end}]}


# ---------------------------------------------------------------- SARIF


def as_sarif(checked: Sequence[Checked], known: Sequence[Rule]) -> str:
    """A log of one run over all known rules.

    An error is a result of the rule `error`, since code hosts show nothing else.
    """
    rules = [*(_described(rule) for rule in known), _ERRORS]
    places = {rule["id"]: n for n, rule in enumerate(rules)}
    results = [_result(*row) for one in checked for row in _rows(one, places)]
    driver = {"name": "buildtool", "version": __version__, "rules": rules}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    log = {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2) + "\n"


def _rows(one: Checked, places: dict[str, int]) -> Iterator[tuple[str, int, str, str, Checked, Span | None]]:
    """Of each result, what `_result` takes."""
    for error in one.errors:
        yield "error", places["error"], "error", _said(error.message, error.hint), one, error.span
    for finding, warning in zip(one.findings, one.warned(), strict=True):
        rule = finding.rule
        said = _said(finding.message, finding.fix)
        yield rule.name, places[rule.name], rule.severity, said, one, warning.span


def _described(rule: Rule) -> dict[str, Any]:
    help_text = f"{rule.why}\n\n{rule.fix[:1].upper()}{rule.fix[1:]}."
    return {
        "id": rule.name,
        "name": rule.name,
        "shortDescription": {"text": _plain(rule.about)},
        "fullDescription": {"text": _plain(rule.why)},
        "help": {"text": _plain(help_text), "markdown": help_text},
        "defaultConfiguration": {"level": rule.severity, "enabled": not rule.experimental},
        "properties": {"page": rule.page},
    }


_ERRORS: dict[str, Any] = {
    "id": "error",
    "name": "Error",
    "shortDescription": {"text": "The file cannot be built."},
    "defaultConfiguration": {"level": "error"},
}


def _result(name: str, place: int, level: str, said: str, one: Checked, span: Span | None) -> dict[str, Any]:
    location: dict[str, Any] = {"artifactLocation": {"uri": _uri(one.filename)}}
    if span is not None:
        end_line, end_column = _end(span)
        location["region"] = {
            "startLine": span.line,
            "startColumn": span.column,
            "endLine": end_line,
            "endColumn": end_column,
        }
    return {
        "ruleId": name,
        "ruleIndex": place,
        "level": level,
        "message": {"text": said},
        "locations": [{"physicalLocation": location}],
    }


def _said(message: str, fix: str) -> str:
    return f"{message}. {fix[:1].upper()}{fix[1:]}" if fix else message


def _plain(markdown: str) -> str:
    return re.sub(r"[`]", "", markdown)


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path)
