"""Which rules hold: the `check` directive, the build argument, and what `error=true` does."""

import pytest

from buildtool.diag import BuildError, Span
from buildtool.frontends.dockerfile.lint.options import Options, parse_options
from buildtool.frontends.dockerfile.lower import lower
from buildtool.frontends.dockerfile.parse import parse
from buildtool.frontends.dockerfile.request import Lowered, Request
from buildtool.graph.model import Image, Platform
from tests.support.dockerfile_checks import Bases, checked, warnings

CASED = "FROM scratch as base\ncopy Dockerfile .\n"
ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK"
BOTH = [("FromAsCasing", 2), ("ConsistentInstructionCasing", 3)]


def build(text: str, args: dict[str, str] | None = None, target: str = "") -> Lowered:
    request = Request(folder="context", epoch=0, build_args=args or {}, target=target)
    return lower(parse(text.encode(), "Dockerfile"), request, Bases())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("error=false", BOTH),
        ("skip=all", []),
        ("skip=ConsistentInstructionCasing,FromAsCasing", []),
        ("skip=ConsistentInstructionCasing,X;error=0", BOTH[:1]),
        # To BuildKit a space ends the options.
        ("skip= ConsistentInstructionCasing;error=1", BOTH),
        ("skip=LatestTag", BOTH),
        ("experimental=all", BOTH),
    ],
)
def test_rules_are_left_out(options: str, expected: list[tuple[str, int]]) -> None:
    assert warnings(f"#check={options}\n{CASED}") == expected
    assert [w.code for w in build(f"# check = {options}\n{CASED}").warnings] == [n for n, _ in expected]


ONCE = "FROM scratch\nENV a=$x\n# {}\nENV b=$x \\\n  c=$y\n# check=skip=all\n\nENV d=$z\n"


@pytest.mark.parametrize(
    ("comment", "lines"),
    [
        ("", [2, 4, 5, 8]),
        ("check=skip=UndefinedVar", [2, 8]),
        ("CHECK = skip=all", [2, 8]),
        ("check=skip=Other", [2, 4, 5, 8]),
        ("check=skip=Other\n# check=skip=all", [2, 5, 6, 9]),
        ("check=skip=all\n#", [2, 5, 6, 9]),
        ("#\n# check=skip=all", [2, 9]),
        ("check=nonsense", [2, 4, 5, 8]),
        ("check=error=true", [2, 4, 5, 8]),
    ],
)
def test_a_comment_above_an_instruction_is_for_that_one(comment: str, lines: list[int]) -> None:
    assert warnings(ONCE.format(comment)) == [("UndefinedVar", line) for line in lines]


def test_a_comment_can_turn_an_experimental_rule_on() -> None:
    text = "# what it is\nARG A=1\n\n# check=experimental=all\n# what it is\nARG B=1\nFROM scratch\n"
    assert warnings(text) == [("InvalidDefinitionDescription", 5)]


def test_a_comment_does_not_reach_what_is_checked_in_the_whole_file() -> None:
    text = "FROM scratch AS a\n# check=skip=all\nFROM scratch AS a\n# check=skip=all\nlabel a=b\n"
    assert warnings(text) == [("DuplicateStageName", 3), ("ConsistentInstructionCasing", 5)]


def test_what_is_left_out_in_one_place_does_not_bind() -> None:
    build("# check=error=true\n\n# check=skip=FromAsCasing\nFROM scratch as a\n")
    with pytest.raises(BuildError):
        build("# check=error=true\n\n# check=skip=Other\nFROM scratch as a\n")


def test_the_build_argument_takes_the_place_of_the_directive() -> None:
    skipping = f"#check=skip=all\n{CASED}"
    args = {ARGUMENT: "skip=ConsistentInstructionCasing;error=true"}
    with pytest.raises(BuildError) as caught:
        build(skipping, args)
    assert caught.value.message == "lint violation found for rules: FromAsCasing"
    assert build(f"#check=error=true\n{CASED}", {ARGUMENT: "skip=all"}).warnings == ()
    assert len(build(skipping, {ARGUMENT: ""}).warnings) == 2


def test_an_error_is_located_and_tells_every_finding() -> None:
    with pytest.raises(BuildError) as caught:
        build(f"# check=error=true\n{CASED}")
    error = caught.value
    assert error.code == "lint"
    assert error.exit_status == 1
    assert str(error.span) == "Dockerfile:2:14"
    assert error.message == "lint violation found for rules: ConsistentInstructionCasing, FromAsCasing"
    assert [str(note.span) for note in error.notes] == ["Dockerfile:2:14", "Dockerfile:3:1"]


def test_only_stages_that_are_needed_can_fail_a_build() -> None:
    text = "# check=error=true\nFROM scratch AS a\nWORKDIR rel\nFROM scratch AS b\nUSER x\n"
    assert build(text, target="b").warnings == ()
    with pytest.raises(BuildError, match="WorkdirRelativePath"):
        build(text, target="a")


def test_notes_never_fail_a_build_nor_are_they_shown_by_one() -> None:
    text = "# check=error=true\nFROM busybox\nRUN date && echo $RANDOM\n"
    assert build(text).warnings == ()
    found = checked(text)
    assert {f.rule.name for f in found.findings} == {"LatestTag", "DateInRun", "RandomInRun"}
    assert found.errors == ()


def test_another_error_comes_first() -> None:
    with pytest.raises(BuildError) as caught:
        build("# check=error=true\nFROM scratch as a\nCOPY --from=b / /\nFROM scratch AS b\n", target="a")
    assert caught.value.code == "later-stage"


@pytest.mark.parametrize(
    "value", ["nothing", "skip", "error=maybe", "error", "warn=all", "skip=A;;error=true"]
)
def test_an_unknown_option_is_an_error_at_the_directive(value: str) -> None:
    with pytest.raises(BuildError) as caught:
        build(f"# check={value}\nFROM scratch\n")
    assert caught.value.code == "bad-check-option"
    assert str(caught.value.span) == "Dockerfile:1:1"


def test_options_as_they_are_read() -> None:
    assert parse_options("", None) == Options()
    assert parse_options("skip=all;experimental=A,B;error=T", None) == Options(None, frozenset("AB"), True)


class NoBases:
    def resolve(self, name: str, platform: Platform, span: Span | None) -> Image:
        raise BuildError("no-registry", f"no image {name}", span=span)


def test_a_base_that_is_out_of_reach_ends_no_check() -> None:
    bases = Bases()
    bases.resolve = NoBases().resolve  # type: ignore[method-assign]
    text = "FROM golang:1\nARG MODULE=x\nCOPY $GOPATH $MODUEL /\nCMD go\n"
    assert warnings(text, bases=bases) == [("UndefinedVar", 3), ("JSONArgsRecommended", 4)]
    assert warnings(text) == [("UndefinedVar", 3), ("UndefinedVar", 3), ("JSONArgsRecommended", 4)]


def test_what_is_wrong_is_found_beside_what_is_unusual() -> None:
    found = checked("FROM scratch AS A\nCOPY --from=b / /\nCMD x\nFROM scratch AS b\nUSER $\n")
    assert [e.code for e in found.errors] == ["later-stage"]
    assert [f.rule.name for f in found.findings] == ["StageNameCasing"]
    assert [e.code for e in checked("FROM\nRUM x\n").errors] == ["bad-from", "unknown-instruction"]
