"""BuildKit's checks: the rules that every build looks at, imported without ours."""

from buildtool.frontends.dockerfile.lint import meaning, stages, style
from buildtool.frontends.dockerfile.lint.rule import Rule

CHECKS: tuple[Rule, ...] = (*stages.RULES, *style.RULES, *meaning.RULES)
