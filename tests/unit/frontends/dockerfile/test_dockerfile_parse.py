"""The tree: places, heredocs, caching, bounds, speed."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buildtool.diag import BuildError, BuildErrors
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.parse import parse
from buildtool.frontends.dockerfile.source import MAX_BYTES, MAX_INSTRUCTIONS
from buildtool.frontends.dockerfile.typed import MAX_STAGES


class Cache(dict[str, bytes]):
    def put(self, key: str, data: bytes) -> None:
        self[key] = data


def body(text: str) -> tuple[tree.Node, ...]:
    return parse(f"FROM scratch\n{text}\n".encode(), "Dockerfile").stages[0].body


def parsed(data: bytes) -> tree.File | BuildError:
    try:
        return parse(data, "x")
    except BuildError as error:
        return error


def excerpt(file: tree.File, place: tree.Place) -> str:
    assert place.line == place.end_line
    return file.lines[place.line - 1][place.column - 1 : place.end_column - 1]


def test_places_survive_continuation_lines() -> None:
    text = "FROM scratch\n  LABEL a=b \\\n# comment\n    c='d e' \\\n\n\tf=g\n"
    file = parse(text.encode(), "x")
    (label,) = file.stages[0].body
    assert isinstance(label, tree.Label)
    assert [excerpt(file, p.at) for p in label.pairs] == ["a=b", "c='d e'", "f=g"]
    assert [p.at.line for p in label.pairs] == [2, 4, 6]
    assert label.at == (2, 3, 6, 5)
    assert file.empty_continuations == ((5, 1, 5, 2),)


def test_a_word_split_over_lines_is_one_word() -> None:
    (label,) = body("LABEL a=one\\\ntwo")
    assert isinstance(label, tree.Label)
    assert label.pairs[0].value == "onetwo"
    assert label.pairs[0].at == (2, 7, 3, 4)


def test_a_doubled_escape_continues_nothing() -> None:
    nodes = body("RUN a \\\\\nRUN b")
    assert [n.text for n in nodes] == ["RUN a \\\\", "RUN b"]


def test_flags_stop_at_the_first_argument() -> None:
    (run,) = body('RUN --network=none --mount="type=tmpfs,target=/a b" echo --not=a-flag')
    assert isinstance(run, tree.Run)
    assert [(f.name, f.value) for f in run.flags] == [
        ("network", "none"),
        ("mount", "type=tmpfs,target=/a b"),
    ]
    assert run.command.words == ("echo --not=a-flag",)
    (copy,) = body("COPY -- --a /b")
    assert isinstance(copy, tree.Copy)
    assert copy.flags == ()
    assert copy.sources[0].text == "--a"


@pytest.mark.parametrize(
    ("text", "form", "words"),
    [
        ('["a", "b c"]', "exec", ("a", "b c")),
        ('[ "a" ,\t"\\u00e9\\ud800" ]', "exec", ("a", "é\ufffd")),
        ("[]", "exec", ()),
        ('["a",]', "shell", ('["a",]',)),
        ("['a']", "shell", ("['a']",)),
        ('["a"] && b', "shell", ('["a"] && b',)),
        ("[ -f x ] && y", "shell", ("[ -f x ] && y",)),
    ],
)
def test_forms(text: str, form: str, words: tuple[str, ...]) -> None:
    (cmd,) = body(f"CMD {text}")
    assert isinstance(cmd, tree.Cmd)
    assert (cmd.command.form, cmd.command.words) == (form, words)


def test_heredocs() -> None:
    nodes = body('COPY <<one <<-"two" x /d/\n$A\none\n\tB\n\ttwo\nRUN echo "<<EOF" 1<<2\n2\nLABEL a="<<b"')
    copy, run, label = nodes
    assert isinstance(copy, tree.Copy)
    assert [(h.name, h.body, h.expand, h.chomp) for h in copy.heredocs] == [
        ("one", "$A\n", True, False),
        ("two", "\tB\n", False, True),
    ]
    assert isinstance(run, tree.Run)
    assert [(h.name, h.body) for h in run.heredocs] == [("2", "")]
    assert isinstance(label, tree.Label)


def test_heredoc_keeps_carriage_returns_and_instructions() -> None:
    (copy,) = parse(b"FROM scratch\r\nCOPY <<E /f\r\nRUN x\\\r\n# y\r\nE\r\n", "x").stages[0].body
    assert isinstance(copy, tree.Copy)
    assert copy.heredocs[0].body == "RUN x\\\r\n# y\r\n"


def test_json_has_no_heredoc() -> None:
    (run, label) = body('RUN ["cat", "<<EOF"]\nLABEL a=b')
    assert isinstance(run, tree.Run)
    assert run.heredocs == ()
    assert isinstance(label, tree.Label)


def test_comments_may_hold_any_bytes() -> None:
    file = parse(b"# caf\xe9\nFROM scratch\n", "x")
    assert file.lines[0] == "# caf\ufffd"


def test_trees_are_kept_by_content() -> None:
    cache = Cache()
    text = b"FROM scratch\nCOPY <<E /f\nx\nE\nHEALTHCHECK CMD y\n"
    made = parse(text, "one", cache)
    assert len(cache) == 1
    assert parse(text, "two", cache) == made == parse(text, "x")
    assert tree.encode(made) == tree.encode(parse(text, "x"))


def test_a_damaged_cache_is_parsed_anew() -> None:
    cache = Cache()
    text = b"FROM scratch\nENV a=b\n"
    made = parse(text, "x", cache)
    for key in cache:
        cache[key] = cache[key][:-7] + b"\xc1garbag"
    assert parse(text, "x", cache) == made
    assert tree.decode(b"\x93\x01") is None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"#" * (MAX_BYTES + 1), "dockerfile-too-large"),
        (b"FROM scratch\nRUN " + b"x" * 65_535, "line-too-long"),
        (b"FROM scratch\n" + b"USER a\n" * MAX_INSTRUCTIONS, "too-many-instructions"),
        (b"FROM scratch\n" * (MAX_STAGES + 1), "too-many-stages"),
        (b"FROM scratch\nCMD " + b"[" * 60_000, None),
    ],
)
def test_bounds(data: bytes, code: str | None) -> None:
    if code is None:
        parse(data, "x")
        return
    with pytest.raises(BuildError) as caught:
        parse(data, "x")
    assert caught.value.code == code


def test_errors_add_up_but_not_without_end() -> None:
    with pytest.raises(BuildErrors) as caught:
        parse(b"FROM scratch\n" + b"WRONG x\n" * 100, "x")
    assert len(caught.value.errors) == 20


def test_speed() -> None:
    lines = [b"RUN echo %d && true\n", b"ENV A%d=b\n", b"COPY a b c /d/\n", b'LABEL x%d="y z" z=w\n']
    data = b"FROM scratch\n" + b"".join(
        (line % n if b"%" in line else line) for n in range(5000) for line in lines
    )
    start = time.process_time()
    parse(data, "x")
    assert time.process_time() - start < 4


_pieces = st.sampled_from(
    [
        "FROM a\n",
        "RUN ",
        "COPY ",
        "ENV ",
        "<<E\n",
        "E\n",
        "\\\n",
        "#",
        "\n",
        '"',
        "'",
        "[",
        "]",
        "a=b ",
        "--x=y ",
        "$",
        "ONBUILD ",
    ]
)


@settings(deadline=None)
@given(st.lists(_pieces, max_size=30).map("".join))
def test_any_text_is_a_tree_or_a_located_error(text: str) -> None:
    made = parsed(text.encode())
    if isinstance(made, BuildError):
        assert made.span is not None
        assert made.code != "syntax"
    else:
        assert tree.decode(tree.encode(made)) == made
