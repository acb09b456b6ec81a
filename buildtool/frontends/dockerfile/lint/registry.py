"""All rules, BuildKit's first, in the order of the manual."""

from buildtool.frontends.dockerfile.lint import inputs, steps
from buildtool.frontends.dockerfile.lint.checks import CHECKS
from buildtool.frontends.dockerfile.lint.rule import Rule

RULES: tuple[Rule, ...] = (*CHECKS, *inputs.RULES, *steps.RULES)

BY_NAME = {rule.name: rule for rule in RULES}
