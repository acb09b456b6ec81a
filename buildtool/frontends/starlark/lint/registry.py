"""All rules on Starlark files, in the order of the manual."""

from buildtool.frontends.starlark.lint import docs, loads, meaning, naming
from buildtool.frontends.starlark.lint.rule import Rule

RULES: tuple[Rule, ...] = (*loads.RULES, *naming.RULES, *meaning.RULES, *docs.RULES)

BY_NAME = {rule.name: rule for rule in RULES}
