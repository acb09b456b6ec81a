"""`# check=skip=A,B;error=true;experimental=C`: which rules hold for a Dockerfile, and whether they bind."""

from dataclasses import dataclass

from buildtool.diag import BuildError, Span
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.lint.rule import Rule
from buildtool.frontends.dockerfile.request import Request

#: The build argument that takes the place of the directive.
ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK"

#: What Go's ParseBool knows, which BuildKit reads the value of `error` with.
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


@dataclass(frozen=True, slots=True)
class Options:
    """Rules by name; None in `skip` or `experimental` stands for all of them."""

    skip: frozenset[str] | None = frozenset()
    experimental: frozenset[str] | None = frozenset()
    error: bool = False

    def wants(self, rule: Rule) -> bool:
        """Whether the rule is looked at.  As in BuildKit, skipping does not concern experimental rules."""
        if rule.experimental:
            return self.experimental is None or rule.name in self.experimental
        return self.skip is not None and rule.name not in self.skip


def options_of(file: tree.File, request: Request) -> Options:
    """The options of a build: of the build argument, else of the directive; `bad-check-option`."""
    given = request.build_args.get(ARGUMENT)
    if given is not None:
        return parse_options(given, None)
    for directive in file.directives:
        if directive.name == "check":
            return parse_options(directive.value, file.span(request.filename, directive.at))
    return Options()


def parse_options(text: str, span: Span | None) -> Options:
    """The options that a text says."""
    skip: frozenset[str] | None = frozenset()
    experimental: frozenset[str] | None = frozenset()
    error = False
    for part in text.split(";") if text.strip() else ():
        key, equals, value = part.partition("=")
        key, value = key.strip(), value.strip()
        if key == "skip" and equals:
            skip = _names(value)
        elif key == "experimental" and equals:
            experimental = _names(value)
        elif key == "error" and value in _BOOLEANS:
            error = _BOOLEANS[value]
        else:
            raise BuildError(
                "bad-check-option",
                f'"{part.strip()}" is not an option of checks',
                span=span,
                hint="write skip=NAME,NAME or skip=all, error=true, experimental=NAME; ; stands between them",
            )
    return Options(skip, experimental, error)


def _names(value: str) -> frozenset[str] | None:
    return None if value == "all" else frozenset(name.strip() for name in value.split(","))
