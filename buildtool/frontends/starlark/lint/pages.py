"""The manual's pages of the rules on Starlark files, made of what the rules say of themselves."""

from collections.abc import Sequence

from buildtool.frontends.starlark.formatting.format import formatted
from buildtool.frontends.starlark.labels import BUILD_FILE
from buildtool.frontends.starlark.lint.rule import Rule


def page(rule: Rule) -> str:
    """The page of one rule."""
    where = "a `.star` library" if rule.library else "`BUILD.star`"
    mends = "\n\n`buildtool lint --fix` does it." if rule.mend else ""
    good = formatted(rule.good.encode(), "lib.star" if rule.library else BUILD_FILE)
    return (
        f"# {rule.name}\n\n{rule.about}\n\n*{rule.severity}*\n\n## Why\n\n{_wrapped(rule.why)}\n\n"
        f"## What to do\n\n{rule.fix[:1].upper()}{rule.fix[1:]}.{mends}\n\n"
        f"Instead of (in {where})\n\n```python\n{rule.bad}```\n\nwrite\n\n```python\n{good}```\n"
    )


def index(rules: Sequence[Rule]) -> str:
    """The table of all rules."""
    return "| Rule | Kind | `--fix` | Says |\n|---|---|---|---|\n" + "".join(map(_row, rules))


def _row(rule: Rule) -> str:
    mends = "yes" if rule.mend else ""
    return f"| [{rule.name}]({rule.name}.md) | {rule.severity} | {mends} | {rule.about} |\n"


def _wrapped(text: str) -> str:
    import textwrap

    return textwrap.fill(text, 90, break_long_words=False, break_on_hyphens=False)
