"""The query language, on one small workspace."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.diag import BuildError
from buildtool.frontends.starlark.dependencies import Dependencies
from buildtool.frontends.starlark.query import _tokens, kind_of, plain, query
from buildtool.frontends.starlark.workspace import Workspace

IMAGE = 'load("@rules//image.star", "image")\n'
FILES = {
    "BUILD.star": IMAGE
    + 'image(name = "app", base = "//base:base", steps = [copy([":src"], "/d/"), ":files"])\n'
    + 'image(name = "other", base = "//base:base", annotations = {"a": "b"})\n'
    + 'filegroup(name = "src", srcs = ["//lib:lib", "x"])\n'
    + 'native.layer(name = "files", steps = [copy(["/a"], "/b", from_ = ":other")])\n',
    "base/BUILD.star": IMAGE
    + 'image(name = "base", base = "debian:12", steps = [run("x", mounts = [bind_mount("/t", ":tools")])])\n'
    + 'image(name = "tools")\n',
    "lib/BUILD.star": 'filegroup(name = "lib", srcs = ["y"])\n',
    "broken/BUILD.star": IMAGE + 'image(name = "broken", base = ":missing")\n',
}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dependencies]:
    root = tmp_path_factory.mktemp("query")
    for name, text in FILES.items():
        path: Path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    with Workspace.open(str(root)) as workspace:
        yield Dependencies(workspace)


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("//:app", "//:app"),
        (":app", "//:app"),
        ("//base:all", "//base:base //base:tools"),
        ("deps(//:app, 0)", "//:app"),
        ("deps(//:app, 1)", "//:app //:files //:src //base:base"),
        ("deps(//:app)", "//:app //:files //:other //:src //base:base //base:tools //lib:lib"),
        ("rdeps(//:all, //base:tools)", "//:app //:files //:other //base:base //base:tools"),
        ("rdeps(//:all, //base:tools, 1)", "//base:base //base:tools"),
        ("allpaths(//:app, //base:base)", "//:app //:files //:other //base:base"),
        ("somepath(//:app, //base:tools)", "//:app //base:base //base:tools"),
        ("somepath(//lib:lib, //:app)", ""),
        ("somepath(//:app, //:app)", "//:app"),
        ('kind("image", deps(//:app)) - //base/...', "//:app //:other"),
        ("kind(file.*, //:all)", "//:src"),
        ("attr(base, 'debian', //base:all)", "//base:base"),
        ("attr(annotations, '\"a\"', //:all)", "//:other"),
        ("attr(nothing, '', //:all)", ""),
        ("filter('^//base', deps(//:app))", "//base:base //base:tools"),
        ("set(//:app //base)", "//:app //base:base"),
        ("//:app + //:src - //:app", "//:src"),
        ("//:app + (//:src - //:app)", "//:app //:src"),
        ("deps(//:app) ^ //base:all", "//base:base //base:tools"),
        ("deps(//:app) intersect //base:all except //base:tools union //lib", "//base:base //lib:lib"),
    ],
)
def test_expressions(expression: str, found: str, graph: Dependencies) -> None:
    assert " ".join(map(str, query(expression, graph))) == found


@pytest.mark.parametrize(
    ("expression", "code", "column"),
    [
        ("", "bad-query", 1),
        ("depz(//:app)", "bad-query", 1),
        ("deps(//:app", "bad-query", 12),
        ("deps(//:app))", "bad-query", 13),
        ("//:app +", "bad-query", 9),
        ("//:app //:src", "bad-query", 8),
        ("deps(//:app, x)", "bad-query", 14),
        ("kind('(', //:app)", "bad-query", 6),
        ("//:app + //:ap", "unknown-target", 10),
        ("app", "bad-label", 1),
        ("(" * 200, "bad-query", 101),
    ],
)
def test_wrong_expressions_have_a_place(expression: str, code: str, column: int, graph: Dependencies) -> None:
    with pytest.raises(BuildError) as raised:
        query(expression, graph)
    assert raised.value.code == code
    assert raised.value.span is not None
    assert raised.value.span.column == column


def test_what_a_target_needs_must_be_there(graph: Dependencies) -> None:
    with pytest.raises(BuildError) as raised:
        query("deps(//broken)", graph)
    assert (raised.value.code, str(raised.value.span)) == ("unknown-target", "broken/BUILD.star:2:1")


def test_plain_targets_tell_no_places(graph: Dependencies) -> None:
    target = graph.target(query(":app", graph)[0])
    assert kind_of(target) == "image"
    assert "'at'" not in repr(plain(target))


@given(st.text(max_size=40))
def test_every_character_is_in_a_token_or_between(text: str) -> None:
    tokens = _tokens(text)
    assert all(t.column <= len(text) for t in tokens)
    assert sum(len(t.text) for t in tokens) <= len(text)
