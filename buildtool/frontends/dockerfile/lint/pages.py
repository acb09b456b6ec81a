"""The manual's pages of the rules, made of what the rules say of themselves."""

from collections.abc import Sequence

from buildtool.frontends.dockerfile.lint.rule import Rule


def page(rule: Rule) -> str:
    """The page of one rule."""
    kind = "BuildKit's check of this name" if rule.severity == "warning" else "buildtool's own, a note"
    state = "; off by default (experimental)" if rule.experimental else ""
    return (
        f"# {rule.name}\n\n{rule.about}\n\n*{kind}{state}*\n\n## Why\n\n{_wrapped(rule.why)}\n\n"
        f"## What to do\n\n{rule.fix[:1].upper()}{rule.fix[1:]}.\n\n"
        f"Instead of\n\n```dockerfile\n{rule.bad}```\n\nwrite\n\n```dockerfile\n{rule.good}```\n"
    )


def index(rules: Sequence[Rule]) -> str:
    """The tables of all rules."""
    return (
        "| Check of BuildKit's | Says |\n|---|---|\n"
        + "".join(_row(rule) for rule in rules if rule.severity == "warning")
        + "\n| Note of ours | Says |\n|---|---|\n"
        + "".join(_row(rule) for rule in rules if rule.severity == "note")
    )


def _row(rule: Rule) -> str:
    return (
        f"| [{rule.name}]({rule.name}.md){' (experimental)' if rule.experimental else ''} | {rule.about} |\n"
    )


def _wrapped(text: str) -> str:
    import textwrap

    return textwrap.fill(text, 90, break_long_words=False, break_on_hyphens=False)
