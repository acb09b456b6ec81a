"""Every rule: its page in the manual, its examples, and what a person reads."""

from collections.abc import Callable
from pathlib import Path

import pytest

from buildtool.diag import render
from buildtool.frontends.dockerfile.lint.pages import index, page
from buildtool.frontends.dockerfile.lint.registry import BY_NAME, RULES
from buildtool.frontends.dockerfile.lint.rule import Rule
from tests.support.dockerfile_checks import ARM64, Bases, Checked, checked, image

MANUAL = Path(__file__).parents[4] / "docs" / "manual" / "lint"

#: The rules of BuildKit, by docs.docker.com/reference/build-checks.
BUILDKIT = """
    StageNameCasing FromAsCasing NoEmptyContinuation ConsistentInstructionCasing DuplicateStageName
    ReservedStageName JSONArgsRecommended MaintainerDeprecated UndefinedArgInFrom WorkdirRelativePath
    UndefinedVar MultipleInstructionsDisallowed LegacyKeyValueFormat RedundantTargetPlatform
    SecretsUsedInArgOrEnv InvalidDefaultArgInFrom FromPlatformFlagConstDisallowed CopyIgnoredFile
    InvalidDefinitionDescription ExposeProtoCasing ExposeInvalidFormat InvalidBaseImagePlatform
"""

every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)


def look(text: str) -> Checked:
    return checked(text, ignore=("*.log",), bases=Bases({"docker.example/tools:1": image(platform=ARM64)}))


def test_all_rules_of_buildkit_are_here_under_their_names() -> None:
    assert sorted(r.name for r in RULES if r.severity == "warning") == sorted(BUILDKIT.split())
    assert len(BY_NAME) == len(RULES)


@every_rule
def test_the_bad_example_breaks_the_rule(rule: Rule, golden: Callable[[str, str], None]) -> None:
    found = look(rule.bad)
    texts = [render(w) for w in found.warned() if w.code == rule.name]
    assert texts
    golden(f"dockerfile/lint/{rule.name}.txt", "\n\n".join(texts) + "\n")


@every_rule
def test_the_good_example_breaks_no_rule_at_all(rule: Rule) -> None:
    found = look(rule.good)
    assert [f.rule.name for f in found.findings] == []
    assert [e.code for e in found.errors if e.code != "not-supported-yet"] == []


@every_rule
def test_the_page_is_current(rule: Rule, request: pytest.FixtureRequest) -> None:
    _same(MANUAL / f"{rule.name}.md", page(rule), request)


def test_the_tables_are_current(request: pytest.FixtureRequest) -> None:
    path = MANUAL / "README.md"
    head, mark, _ = path.read_text().partition("<!-- rules -->\n")
    assert mark
    _same(path, head + mark + "\n" + index(RULES), request)


def test_no_page_is_left_over() -> None:
    assert {p.stem for p in MANUAL.glob("*.md")} == {"README", *BY_NAME}


def _same(path: Path, text: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--accept"):
        path.write_text(text)
    assert path.exists(), "pytest --accept writes it"
    assert path.read_text() == text, "pytest --accept writes it anew"
