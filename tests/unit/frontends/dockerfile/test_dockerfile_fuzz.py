"""Anything at all as a Dockerfile: it is read or refused, never anything else, and never slowly."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildtool.diag import BuildError, BuildErrors, render
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.lint.check import check
from buildtool.frontends.dockerfile.outline import as_json, as_tree
from buildtool.frontends.dockerfile.parse import parse
from buildtool.frontends.dockerfile.request import Request
from buildtool.frontends.dockerfile.sexpr import sexpr
from buildtool.frontends.dockerfile.typed import INSTRUCTIONS

#: Seconds that one example may take; a few milliseconds are usual.
PATIENCE = 2.0

#: What makes Dockerfiles: words of the language, and what is special to one of its readers.
PIECES = (
    *INSTRUCTIONS,
    *("from", "As", "scratch", "NONE", "CMD", "a=b", "$a", "${a:-b}", "${a//b/c}", "${", "'", '"', "\\", "`"),
    *(
        "--from=a",
        "--mount=type=cache,target=/c",
        "--chmod=",
        "--",
        "--x",
        "[",
        "]",
        '["a", "b"]',
        '["a"',
        "[1]",
    ),
    *(
        "<<EOF",
        "<<-'E O F'",
        "3<<A",
        "EOF",
        "A",
        "#",
        "# escape=`",
        "# check=skip=all",
        "\\\n",
        "`\n",
        "\\\n\n",
    ),
    *(
        "\n",
        "\r\n",
        "\t",
        " ",
        "\v",
        "\x85",
        "\u2028",
        "\ufeff",
        "\0",
        "é",
        "\U0001f600",
        "http://x/y",
        "a.git#b",
    ),
)

dockerfiles = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")),
    st.lists(st.sampled_from(PIECES), max_size=40).map(lambda p: " ".join(p).encode()),
    st.lists(st.sampled_from(PIECES), max_size=40).map(lambda p: "".join(p).encode()),
    st.lists(
        st.tuples(st.sampled_from(INSTRUCTIONS), st.lists(st.sampled_from(PIECES), max_size=4)), max_size=3
    ).map(lambda rows: ("FROM scratch\n" + "\n".join(" ".join([n, *w]) for n, w in rows)).encode()),
)

relentless = settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def read(data: bytes) -> tree.File | None:
    """The tree, or None where the Dockerfile is refused as it should be."""
    begun = time.process_time()
    try:
        return parse(data, "Dockerfile")
    except BuildError as error:
        _is_well_formed(error)
        return None
    finally:
        assert time.process_time() - begun < PATIENCE


def _is_well_formed(error: BuildError) -> None:
    for one in error.errors if isinstance(error, BuildErrors) else (error,):
        assert one.exit_status == 2
        assert one.code
        assert one.span is None or one.span.line >= 1
    assert all(row.isprintable() for row in render(error).splitlines())


@relentless
@given(dockerfiles)
def test_the_parser_reads_or_refuses(data: bytes) -> None:
    file = read(data)
    if file is None:
        return
    assert tree.decode(tree.encode(file)) == file
    lines = len(file.lines)
    for stage in file.stages:
        for node in (stage.start, *stage.body):
            assert 1 <= node.at.line <= node.at.end_line <= lines
            assert file.span("Dockerfile", node.at).excerpt


@relentless
@given(dockerfiles)
def test_whatever_is_read_can_be_shown(data: bytes) -> None:
    file = read(data)
    if file is not None:
        as_json(file)
        assert as_tree(file)
        assert sexpr(file).count("\n") >= len(file.stages)


@relentless
@given(dockerfiles)
def test_whatever_is_read_can_be_checked(data: bytes) -> None:
    begun = time.process_time()
    found = check(data, Request(folder="context", epoch=0, ignore=("*.o", "a")))
    assert found.file is not None or found.errors
    for finding in found.findings:
        assert found.file is not None
        assert 1 <= finding.at.line <= len(found.file.lines)
        assert (finding.at.line, finding.at.column) < (finding.at.end_line, finding.at.end_column)
    assert time.process_time() - begun < PATIENCE


@pytest.mark.parametrize(
    "text",
    [
        "FROM scratch\nRUN " + "\\" * 60_000,
        "FROM scratch\nENV a=" + '"' * 60_001,
        "FROM scratch\nLABEL a=" + "${" * 30_000,
        "FROM scratch\nCMD " + "[" * 60_000,
        "FROM scratch\nCMD " + '["' + "\\u0041" * 9_000 + '"]',
        "FROM scratch\nCOPY " + "<<A " * 15_000,
        "FROM scratch\nRUN <<A " + "<" * 60_000,
        "FROM scratch\nRUN \\\n" + "\\\n" * 100_000,
        "FROM scratch\nRUN \\\n" + "# c\n" * 100_000,
        "FROM scratch\nRUN " + "--mount=" * 7_000,
        "FROM scratch\nRUN " + "--a=" + "\\'" * 30_000,
        "#" * 60_000 + "\nFROM scratch\n",
        "# escape=`\n" * 2,
        "FROM scratch\n" + "EXPOSE " + "1 " * 30_000,
        "FROM scratch\nRUN " + "$(" * 30_000,
        "FROM scratch\nRUN " + '"$(' * 20_000,
        "FROM scratch\nRUN " + "apt-get install " * 4_000,
    ],
    ids=range(17),
)
def test_what_is_made_to_be_slow_is_not(text: str) -> None:
    begun = time.process_time()
    check(text.encode(), Request(folder="context", epoch=0))
    assert time.process_time() - begun < PATIENCE
