"""Running the rules on the facts of a Dockerfile, and what follows from what they find."""

from collections.abc import Iterable, Sequence

from buildtool.diag import BuildError, Note, Warned
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.lint.checks import CHECKS
from buildtool.frontends.dockerfile.lint.facts import Facts, Record, facts_of
from buildtool.frontends.dockerfile.lint.options import Options, Places, options_of
from buildtool.frontends.dockerfile.lint.rule import Finding, Rule
from buildtool.frontends.dockerfile.request import Request


def find(facts: Facts, options: Options, rules: Iterable[Rule]) -> list[Finding]:
    """What the rules find, in the order of the file; each once."""
    places = Places(facts.file, options)
    found = [
        Finding(rule, broken.at, broken.message, broken.fix or rule.fix)
        for rule in rules
        if places.wants(rule)
        for broken in rule.check(facts)
        if (options if rule.whole else places.at(broken.at.line)).wants(rule)
    ]
    unique = {(f.at, f.rule.name, f.message): f for f in found}
    return [unique[key] for key in sorted(unique)]


def warned(file: tree.File, filename: str, found: Iterable[Finding]) -> list[Warned]:
    """Findings as a build and a person see them."""
    return [
        Warned(f.rule.name, f.message, file.span(filename, f.at), f.fix, severity=f.rule.severity)
        for f in found
    ]


def violation(
    file: tree.File, filename: str, found: Sequence[Finding], options: Options
) -> BuildError | None:
    """The error that `error=true` makes of BuildKit's rules; ours never stop a build."""
    binding = [f for f in found if f.rule.severity == "warning"]
    if not options.error or not binding:
        return None
    names = ", ".join(sorted({f.rule.name for f in binding}))
    return BuildError(
        "lint",
        f"lint violation found for rules: {names}",
        span=file.span(filename, binding[0].at),
        hint="# check=error=true makes these warnings errors; skip=NAME leaves a rule out",
        notes=[Note(f"{f.rule.name}: {f.message}", file.span(filename, f.at)) for f in binding],
        exit_status=1,
    )


def check_build(file: tree.File, request: Request, record: Record) -> list[Warned]:
    """BuildKit's warnings on a build that was lowered; raises where `error=true` makes them an error."""
    options = options_of(file, request)
    found = find(facts_of(file, request, record), options, CHECKS)
    error = violation(file, request.filename, found, options)
    if error is not None:
        raise error
    return warned(file, request.filename, found)
