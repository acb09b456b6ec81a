"""`buildtool lint` and `build --check`: exit status, text, JSON and SARIF."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from buildtool.cli import main
from buildtool.diag import BuildError
from buildtool.frontends.dockerfile.lint.registry import BY_NAME, RULES

WARNED = "FROM alpine:3.20 as build\nRUN true \\\n && date\n"


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BUILDTOOL_STORE", str(tmp_path / "store"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def run(*arguments: str, stdin: str = "") -> Result:
    result = CliRunner().invoke(main.group, arguments, input=stdin, standalone_mode=False)
    if isinstance(result.exception, BuildError):
        raise result.exception
    assert result.exception is None, result.output
    return result


def status(*arguments: str, stdin: str = "") -> int:
    value = run(*arguments, stdin=stdin).return_value
    assert isinstance(value, int)
    return value


def write(text: str, name: str = "Dockerfile") -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# ---------------------------------------------------------------- status and text


def test_status() -> None:
    write("FROM alpine:3.20\n")
    assert status("lint") == 0
    write("FROM alpine\n")
    assert status("lint") == 0
    assert status("lint", "--strict") == 1
    write(WARNED)
    assert status("lint") == 1
    write("FROM scratch\nRUM x\n")
    assert status("lint") == 2
    write("# check=error=true\nFROM scratch as a\n")
    assert status("lint") == 1


def test_text() -> None:
    write(WARNED)
    assert run("lint").output == (
        "Dockerfile:1:18: warning[FromAsCasing]: 'as' and 'FROM' keywords' casing do not match\n"
        "  1 | FROM alpine:3.20 as build\n"
        "    |                  ^^\n"
        "  hint: write AS\n"
        "\n"
        "Dockerfile:3:5: note[DateInRun]: date depends on the day\n"
        "  3 |  && date\n"
        "    |     ^^^^\n"
        "  hint: pass the instant in (SOURCE_DATE_EPOCH), or leave it out\n"
        "\n"
        "Check complete: 1 warning, 1 note.\n"
    )
    write("FROM scratch\n")
    assert run("lint").output == "Check complete: no warnings found.\n"


def test_several_files_folders_and_standard_input() -> None:
    write("FROM scratch AS A\n", "one/Dockerfile")
    write("FROM scratch AS B\n", "two.Dockerfile")
    output = run("lint", "one", "two.Dockerfile", "-", stdin="FROM scratch AS C\n").output
    assert re.findall(r"^(\S+:\d+:\d+)", output, re.M) == [
        "one/Dockerfile:1:17", "two.Dockerfile:1:17", "Dockerfile:1:17",
    ]  # fmt: skip


def test_arguments_and_targets() -> None:
    write("ARG BASE\nFROM $BASE AS a\nWORKDIR b\nFROM scratch AS c\n")
    assert "blank-base" in run("lint").output
    assert "WorkdirRelativePath" in run("lint", "--build-arg", "BASE=a:1").output
    assert "WorkdirRelativePath" not in run("lint", "--build-arg", "BASE=a:1", "--target", "c").output


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(BuildError, match="no-dockerfile"):
        run("lint", "nowhere")


def test_explanations() -> None:
    assert run("lint", "--explain", "DateInRun").output.startswith("# DateInRun\n")
    with pytest.raises(BuildError) as caught:
        run("lint", "--explain", "DateInRuns")
    assert caught.value.hint == "did you mean DateInRun?"


# ---------------------------------------------------------------- for programs


def test_json_has_the_form_of_buildx() -> None:
    write(WARNED)
    document = json.loads(run("lint", "--format=json").output)
    assert document["sources"] == [{"filename": "Dockerfile", "language": "Dockerfile"}]
    first = document["warnings"][0]
    assert first["ruleName"] == "FromAsCasing"
    assert first["severity"] == "warning"
    assert first["description"] == BY_NAME["FromAsCasing"].about
    assert first["url"] == "docs/manual/lint/FromAsCasing.md"
    assert first["location"] == {
        "sourceIndex": 0,
        "ranges": [{"start": {"line": 1, "character": 17}, "end": {"line": 1, "character": 19}}],
    }
    assert document["errors"] == []
    write("FROM scratch\nCPOY a b\n")
    (error,) = json.loads(run("lint", "--format=json").output)["errors"]
    assert error["code"] == "unknown-instruction"
    assert error["location"]["ranges"][0]["start"] == {"line": 2, "character": 0}


def test_sarif_has_the_structure_of_its_standard() -> None:
    write(WARNED + "LABEL a='é' b=$UNDEFINED\n", "a folder/Dockerfile")
    write("FROM scratch\nCPOY a b\n")
    log = json.loads(run("lint", "--format=sarif", "a folder", ".").output)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (found,) = log["runs"]
    driver = found["tool"]["driver"]
    assert driver["name"] == "buildtool"
    assert [r["id"] for r in driver["rules"]] == [*(r.name for r in RULES), "error"]
    for rule in driver["rules"]:
        _rule(rule)
    assert found["columnKind"] == "unicodeCodePoints"
    for result in found["results"]:
        _result(result, driver["rules"])
    rows = [(r["ruleId"], r["level"], *_region(r)) for r in found["results"]]
    assert rows == [
        ("FromAsCasing", "warning", "a%20folder/Dockerfile", 1, 18, 1, 20),
        ("DateInRun", "note", "a%20folder/Dockerfile", 3, 5, 3, 9),
        ("error", "error", "Dockerfile", 2, 1, 2, 5),
    ]


def _rule(rule: dict[str, Any]) -> None:
    """reportingDescriptor, section 3.49."""
    assert re.fullmatch(r"[A-Za-z]+", rule["id"])
    assert set(rule) <= {
        "id", "name", "shortDescription", "fullDescription", "help", "defaultConfiguration", "properties",
    }  # fmt: skip
    for message in ("shortDescription", "fullDescription", "help"):
        assert rule.get(message, {"text": "x"})["text"]
    assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")


def _result(result: dict[str, Any], rules: list[dict[str, Any]]) -> None:
    """result, section 3.27."""
    assert set(result) == {"ruleId", "ruleIndex", "level", "message", "locations"}
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["message"]["text"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert set(region) == {"startLine", "startColumn", "endLine", "endColumn"}
    assert all(value >= 1 for value in region.values())
    assert (region["startLine"], region["startColumn"]) < (region["endLine"], region["endColumn"])


def _region(result: dict[str, Any]) -> tuple[Any, ...]:
    place = result["locations"][0]["physicalLocation"]
    region = place["region"]
    numbers = (region["startLine"], region["startColumn"], region["endLine"], region["endColumn"])
    return (place["artifactLocation"]["uri"], *numbers)


def test_columns_count_characters_not_bytes() -> None:
    write("FROM scratch\nLABEL a='\U0001f600é' b=$UNDEFINED\n")
    (warning,) = json.loads(run("lint", "--format=json").output)["warnings"]
    assert warning["location"]["ranges"][0]["start"] == {"line": 2, "character": 15}


# ---------------------------------------------------------------- build --check


def test_build_check_builds_nothing() -> None:
    write("FROM unknown:1 as a\nCOPY nothing /\nRUN date\n")
    result = run("build", "--check", "-o", "type=oci,dest=out.tar", ".")
    assert result.return_value == 1
    assert "FromAsCasing" in result.output
    assert "DateInRun" in result.output
    assert result.output.endswith("Check complete: 1 warning, 1 note.\n")
    assert not Path("out.tar").exists()
    write("FROM scratch\n")
    assert run("build", "--check", ".").output == "Check complete: no warnings found.\n"


def test_build_check_of_targets_checks_their_dockerfiles() -> None:
    write("", "WORKSPACE.star")
    write('load("@rules//dockerfile.star", "dockerfile")\n\ndockerfile(name = "app")\n', "BUILD.star")
    write("FROM scratch\nWORKDIR rel\n")
    result = run("build", "--check", ":app")
    assert "Dockerfile:2:1: warning[WorkdirRelativePath]" in result.output
    assert result.return_value == 1


def test_build_shows_the_warnings_of_what_it_builds() -> None:
    write("FROM scratch AS Odd\nWORKDIR rel\nFROM scratch\nWORKDIR also\n")
    result = CliRunner().invoke(main.group, ["build", "--progress=plain", "."], standalone_mode=False)
    assert "StageNameCasing" in result.output
    assert result.output.count("warning[WorkdirRelativePath]") == 1


def test_a_check_that_is_an_error_stops_a_build() -> None:
    write("# check=error=true\nFROM scratch AS Odd\nUSER 1\n")
    with pytest.raises(BuildError) as caught:
        run("build", "-o", "type=oci,dest=out.tar", ".")
    assert caught.value.exit_status == 1
    assert not Path("out.tar").exists()


# ---------------------------------------------------------------- Starlark files

SLOPPY = 'load("@rules//layer.star", "layer")\nimage(name = "x", cmd = ["a"])\n'


def test_a_folder_is_checked_with_its_starlark_files() -> None:
    write("FROM alpine:3.20\n")
    write(SLOPPY, "app/BUILD.star")
    write('"""Apps."""\n', "lib.star")
    result = run("lint")
    assert result.return_value == 1
    assert "app/BUILD.star:1:28: warning[load]: layer is loaded and not used" in result.output
    assert 'hint: add load("@rules//image.star", "image")' in result.output
    assert result.output.endswith("Check complete: 2 warnings.\n")
    assert status("lint", "lib.star") == 0
    write("x = [\n", "lib.star")
    assert status("lint", "lib.star") == 2


def test_both_languages_in_one_document() -> None:
    write(WARNED)
    write(SLOPPY, "app/BUILD.star")
    document = json.loads(run("lint", ".", "--format", "json").output)
    assert [s["language"] for s in document["sources"]] == ["Dockerfile", "Starlark"]
    unused = next(w for w in document["warnings"] if w["ruleName"] == "load")
    assert unused["url"] == "docs/manual/lint/starlark/load.md"
    assert unused["location"] == {
        "sourceIndex": 1,
        "ranges": [{"start": {"line": 1, "character": 27}, "end": {"line": 1, "character": 34}}],
    }
    log = json.loads(run("lint", ".", "--format", "sarif").output)["runs"][0]
    rules = log["tool"]["driver"]["rules"]
    for found in log["results"]:
        assert rules[found["ruleIndex"]]["id"] == found["ruleId"]
    assert {"load", "undefined-name"} <= {found["ruleId"] for found in log["results"]}


def test_fix_mends_what_it_can_and_tells_the_rest() -> None:
    write(SLOPPY, "BUILD.star")
    result = run("lint", "--fix")
    assert Path("BUILD.star").read_text() == 'image(\n    name = "x",\n    cmd = ["a"],\n)\n'
    assert "mended BUILD.star" in result.output
    assert "warning[undefined-name]: image is not defined" in result.output
    assert "warning[load]" not in result.output
    write("x = [\n", "BUILD.star")
    assert status("lint", "--fix") == 2
    assert Path("BUILD.star").read_text() == "x = [\n"


def test_rules_of_both_languages_are_explained() -> None:
    assert run("lint", "--explain", "unused-variable").output.startswith("# unused-variable\n")
    with pytest.raises(BuildError) as caught:
        run("lint", "--explain", "unused-variabel")
    assert caught.value.hint == "did you mean unused-variable?"
