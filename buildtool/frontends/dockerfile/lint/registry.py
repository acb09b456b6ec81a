"""All rules, BuildKit's first, in the order of the manual."""

from buildtool.frontends.dockerfile.lint import inputs, meaning, stages, steps, style
from buildtool.frontends.dockerfile.lint.rule import Rule

RULES: tuple[Rule, ...] = (*stages.RULES, *style.RULES, *meaning.RULES, *inputs.RULES, *steps.RULES)

BY_NAME = {rule.name: rule for rule in RULES}
