"""Corners of the language, as BuildKit's parser, word processor and converter treat them."""

import pytest

from buildtool.diag import BuildError
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.expand import Expander
from buildtool.frontends.dockerfile.parse import parse
from buildtool.graph.model import GitSource, Image, Platform, Run
from tests.unit.frontends.dockerfile.test_dockerfile_lower import Bases, build, copies, steps

ERROR = "an error"

# ---------------------------------------------------------------- words

WORDS = [
    # text, environment, result
    ("${FOO-aaa} ${BAR-bbb} ${BAZ-ccc}", {"FOO": "xxx", "BAR": ""}, "xxx  ccc"),
    ("${FOO:-aaa} ${BAR:-bbb} ${BAZ:-ccc}", {"FOO": "xxx", "BAR": ""}, "xxx bbb ccc"),
    ("${FOO+aaa} ${BAR+bbb} ${BAZ+ccc}", {"FOO": "xxx", "BAR": ""}, "aaa bbb "),
    ("${FOO:+aaa} ${BAR:+bbb} ${BAZ:+ccc}", {"FOO": "xxx", "BAR": ""}, "aaa  "),
    ("${BAR?bbb}", {"BAR": ""}, ""),
    ("${BAR:?bbb}", {"BAR": ""}, ERROR),
    ("${BAZ?}", {}, ERROR),
    ("${FOO=aaa}", {"FOO": "x"}, ERROR),
    ("${FOO:=aaa}", {"FOO": "x"}, ERROR),
    ("${FOO:}", {"FOO": "x"}, ERROR),
    ("${{FOO}}", {"FOO": "x"}, ERROR),
    ("${:-x}", {}, ERROR),
    (r"${FOO#()[]{\}^$.\*\?|\\}", {"FOO": r"()[]{}^$.*?|\x"}, "x"),
    (r"${FOO%%\**}", {"FOO": "xx**"}, "xx"),
    ("${FOO#*x*y}", {"FOO": "xxyy"}, "y"),
    ("${FOO#*}", {"FOO": "xxyy"}, "xxyy"),
    ("${FOO##*x}", {"FOO": "xxyy"}, "yy"),
    ("${FOO#$BAR}", {"FOO": "xxyy", "BAR": ""}, "xxyy"),
    (r"${FOO#?\?}", {"FOO": "???y"}, "?y"),
    ("${ABC:-.}${FOO%x}${ABC:-.}", {"FOO": "xxyy"}, ".xxyy."),
    (r"${FOO%%\**\*}", {"FOO": "a***yy*"}, "a"),
    ("${FOO/$N/.} - ${FOO//$N/.}", {"FOO": "/foo*/*/*.txt", "N": r"\*/"}, "/foo.*/*.txt - /foo..*.txt"),
    ("${FOO/$N/$R}", {"FOO": "http://a.de", "N": "http://", "R": "https://"}, "https://a.de"),
    (r"${FOO//\//\/}", {"FOO": "/tmp/foo.txt"}, r"\/tmp\/foo.txt"),
    ("${FOO/$BAR/ww}", {"FOO": "xxyy", "BAR": ""}, "wwxxyy"),
    ("${FOO//ww}", {"FOO": "xxyy"}, ERROR),
    ("${FOO///}", {"FOO": "xxyy"}, "xxyy"),
    # With two slashes the replacement is a template of Go's: $0 is the match, other groups are empty.
    ("${FOO//o/[$R]}", {"FOO": "foo", "R": "$0$1$$"}, "f[o$][o$]"),
    ("${FOO/o/[$R]}", {"FOO": "foo", "R": "$0$1$$"}, "f[$0$1$$]o"),
    ("${FOO//o/$R}", {"FOO": "foo", "R": "$00x$"}, "f$$"),
    ("${FOO//*/x}", {"FOO": "foo"}, "x"),
    # Neither a star nor a question mark is a line end.
    ("${FOO%%.*}", {"FOO": "a.b\nc.d"}, "a.b\nc"),
    ("${FOO#*\n}", {"FOO": "a.b\nc.d"}, "c.d"),
    ("${FOO//?/x}", {"FOO": "a\nb"}, "x\nx"),
    ("$0$1$@x$*", {"1": "one"}, "onex"),
    ("$-$!$?$#", {}, ""),
    ("$$A", {"A": "a"}, "A"),
    ("$A$$", {"A": "a"}, "a"),
    ("a$ b", {}, "a$ b"),
    ("he'll'o", {}, "hello"),
    ("'he\\'llo", {}, "he\\llo"),
    ('"he\\"llo"', {}, 'he"llo'),
    ('he"$A\'s"', {"A": "it"}, "heit's"),
    ("\\$A \\\\ \\x", {"A": "a"}, "$A \\ x"),
    ("${KO}", {"KO": "한국어"}, "한국어"),
    ("$한국", {"한국": "x"}, "x"),
    ("${FOO:-${BAR:-${BAZ:-deep}}}", {}, "deep"),
    ("${FOO:+$BAR}x", {"FOO": "1", "BAR": "b"}, "bx"),
    ("${FOO-'a b'}", {}, "a b"),
    ('"${FOO-"a"}"', {}, "a"),
]


@pytest.mark.parametrize(("text", "environment", "result"), WORDS)
def test_words(text: str, environment: dict[str, str], result: str) -> None:
    try:
        seen = Expander().word(text, environment)
    except BuildError:
        seen = ERROR
    assert seen == result


# ---------------------------------------------------------------- lines


def one(text: str) -> tree.Node:
    return parse(f"FROM scratch\n{text}\n".encode(), "Dockerfile").stages[0].body[0]


def command(text: str) -> tuple[str, tuple[str, ...]]:
    node = one(text)
    assert isinstance(node, tree.Run | tree.Cmd | tree.Entrypoint)
    return node.command.form, node.command.words


@pytest.mark.parametrize(
    ("text", "form", "words"),
    [
        ('CMD ["a", "b"]', "exec", ("a", "b")),
        ('CMD [ "a" , "b" ] ', "exec", ("a", "b")),
        ("CMD []", "exec", ()),
        ("CMD", "shell", ()),
        ('CMD ["a"] b', "shell", ('["a"] b',)),
        ("CMD ['a', 'b']", "shell", ("['a', 'b']",)),
        ('CMD ["c:\\windows"]', "shell", ('["c:\\windows"]',)),
        ('CMD ["a\tb"]', "shell", ('["a\tb"]',)),
        ('CMD ["a",]', "shell", ('["a",]',)),
        ('CMD ["\\u00e9\\n"]', "exec", ("é\n",)),
        ('CMD [["a"]', "shell", ('[["a"]',)),
        ('RUN -- --x "a"', "shell", ('--x "a"',)),
        ("RUN if [ a ]; then b; fi", "shell", ("if [ a ]; then b; fi",)),
        ('RUN [ "a" = "b" ] || c', "shell", ('[ "a" = "b" ] || c',)),
        ("RUN a \\\n  b \\\n# comment\n\n  c", "shell", ("a   b   c",)),
        ("RUN a\\\n\nb", "shell", ("ab",)),
        ("ENTRYPOINT exec a  b", "shell", ("exec a  b",)),
    ],
)
def test_commands(text: str, form: str, words: tuple[str, ...]) -> None:
    assert command(text) == (form, words)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("ENV A b=c d", [("A", "b=c d")]),
        ("ENV A   b", [("A", "b")]),
        ("ENV A=b\u00a0C=d\u2003E='f\u00a0g'", [("A", "b"), ("C", "d"), ("E", "'f\u00a0g'")]),
        ("ENV A=\x1c", [("A", "\x1c")]),
        ("ENV A=b\\ c d=\"e f\" g='h i'", [("A", "b\\ c"), ("d", '"e f"'), ("g", "'h i'")]),
        ("ENV A= B=", [("A", ""), ("B", "")]),
        ("LABEL a=b \\\n   c=d \\\n   e=f", [("a", "b"), ("c", "d"), ("e", "f")]),
        ('LABEL "a b"="c d"', [('"a b"', '"c d"')]),
        ("LABEL a.b/c-d=e", [("a.b/c-d", "e")]),
        ("ARG a b=c", [("a", None), ("b", "c")]),
        ("ARG --anything a", [("a", None)]),
    ],
)
def test_pairs(text: str, pairs: list[tuple[str, str | None]]) -> None:
    node = one(text)
    assert isinstance(node, tree.Env | tree.Label | tree.Arg)
    assert [(p.name, p.value) for p in node.pairs] == pairs


@pytest.mark.parametrize(
    ("text", "heredocs"),
    [
        ("RUN <<E\n$a\nE", [("E", True, False, "$a\n")]),
        ("RUN <<'E'\nx\nE", [("E", False, False, "x\n")]),
        ('RUN <<"E"x\nx\nEx', [("Ex", False, False, "x\n")]),
        ("RUN <<\\E\nx\nE", [("E", True, False, "x\n")]),
        ("RUN <<-E\n\tx\n\tE", [("E", True, True, "\tx\n")]),
        ("RUN 3<<E cat <&3\nx\nE", [("E", True, False, "x\n")]),
        ("RUN cat <<A <<B\n1\nA\n2\nB", [("A", True, False, "1\n"), ("B", True, False, "2\n")]),
        ("RUN <<E\nRUN no\n# no\n\\\nE", [("E", True, False, "RUN no\n# no\n\\\n")]),
        ("RUN echo '<<E'", []),
        ('RUN echo "<<E"', []),
        ('RUN ["cat", "<<E"]', []),
        ("RUN cat <<<E", []),
        ("RUN echo $((1<<E))\nUSER a", []),
        ("COPY <<a <<'b' /d/\n1\na\n$2\nb", [("a", True, False, "1\n"), ("b", False, False, "$2\n")]),
        ("CMD cat <<E", []),
    ],
)
def test_heredocs(text: str, heredocs: list[tuple[str, bool, bool, str]]) -> None:
    node = one(text)
    found = getattr(node, "heredocs", ())
    assert [(h.name, h.expand, h.chomp, h.body) for h in found] == heredocs


@pytest.mark.parametrize(
    ("head", "escape"),
    [
        ("# escape=`\n", "`"),
        ("#ESCAPE = `\n", "`"),
        ("# syntax=docker/dockerfile:1\n# escape=`\n", "`"),
        ("# check=skip=all\n# escape=`\n", "`"),
        ("# a comment\n# escape=`\n", "\\"),
        ("\n# escape=`\n", "\\"),
        ("# unknown=1\n# escape=`\n", "\\"),
        ("\ufeff# escape=`\n", "`"),
        ("# escape=`\r\n", "`"),
    ],
)
def test_directives(head: str, escape: str) -> None:
    assert parse(f"{head}FROM scratch\n".encode(), "Dockerfile").escape == escape


def test_a_backtick_escapes_and_continues() -> None:
    file = parse(b"# escape=`\r\nFROM scratch\r\nCOPY a `\r\n  c:\\dir\\\r\nENV A=b` c\r\n", "Dockerfile")
    copy, env = file.stages[0].body
    assert isinstance(copy, tree.Copy)
    assert isinstance(env, tree.Env)
    assert copy.dest.text == "c:\\dir\\"
    assert env.pairs[0].value == "b` c"


def test_healthcheck_none_has_flags_that_nobody_reads() -> None:
    node = one("HEALTHCHECK --interval=never --x=y none")
    assert isinstance(node, tree.Healthcheck)
    assert node.command is None


# ---------------------------------------------------------------- images


def image(text: str, **options: object) -> Image:
    return build(text, **options).image  # type: ignore[arg-type]


def env(text: str, **options: object) -> dict[str, str]:
    return dict(image(text, **options).config.env)


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("ARG a=1\nFROM scratch\nENV x=${a:-none}", {}, "none"),
        ("ARG a=1\nFROM scratch\nARG a\nENV x=$a", {}, "1"),
        ("ARG a=1\nFROM scratch\nARG a=2\nENV x=$a", {}, "2"),
        ("ARG a=1\nFROM scratch\nARG a\nENV x=$a", {"a": "3"}, "3"),
        ("FROM scratch AS s\nARG a=1\nFROM s\nENV x=$a", {}, "1"),
        ("FROM scratch AS s\nARG a=1\nENV a=2\nFROM s\nENV x=$a", {}, "2"),
        ("FROM scratch AS s\nARG a=1\nFROM scratch\nENV x=${a-unset}", {}, "unset"),
        ("FROM scratch\nENV a=1\nARG a=2\nENV x=$a", {}, "2"),
        ("FROM scratch\nARG a=2\nENV a=1\nENV x=$a", {"a": "3"}, "1"),
        ("FROM scratch\nENV a=1\nENV a=2 x=$a", {}, "1"),
        ("FROM scratch\nARG a=1 b=$a\nENV x=$b", {}, "1"),
        ("FROM scratch\nARG a\nENV x=${a-unset}", {}, "unset"),
        ("FROM scratch\nARG TARGETARCH\nENV x=$TARGETARCH", {}, "amd64"),
        ("FROM scratch\nENV x=${TARGETARCH-hidden}", {}, "hidden"),
        ("FROM scratch\nARG TARGETARCH=mine\nENV x=$TARGETARCH", {}, "mine"),
        ("ARG TARGETSTAGE\nFROM scratch\nARG TARGETSTAGE\nENV x=$TARGETSTAGE", {}, "default"),
        ("FROM scratch AS a\nFROM scratch AS Last\nARG TARGETSTAGE\nENV x=$TARGETSTAGE", {}, "last"),
        ("ARG a=one\nARG b=${a}two\nFROM scratch\nARG b\nENV x=$b", {}, "onetwo"),
        ("FROM scratch\nENV x='$PATH'", {}, "$PATH"),
        ("FROM scratch\nENV x \"a b\" 'c'", {}, "a b c"),
    ],
)
def test_scopes_of_variables(text: str, given: dict[str, str], expected: str) -> None:
    assert env(text, args=given)["x"] == expected


@pytest.mark.parametrize(
    ("rows", "working_dir"),
    [
        ("WORKDIR a", "/a"),
        ("WORKDIR /a\nWORKDIR b\nWORKDIR ../c", "/a/c"),
        ("ENV d=/x\nWORKDIR $d/y", "/x/y"),
        ("WORKDIR /a//b/", "/a//b/"),
        ("WORKDIR 'a b'", "/a b"),
        ("WORKDIR /a\nWORKDIR .", "/a"),
    ],
)
def test_working_directories(rows: str, working_dir: str) -> None:
    assert image(f"FROM scratch\n{rows}").config.working_dir == working_dir


@pytest.mark.parametrize(
    ("row", "ports"),
    [
        ("EXPOSE 80", ("80/tcp",)),
        ("EXPOSE 443/TCP 53/udp", ("443/tcp", "53/udp")),
        ("EXPOSE 8000-8002", ("8000/tcp", "8001/tcp", "8002/tcp")),
        ("EXPOSE 127.0.0.1:80:8080", ("8080/tcp",)),
        ("ENV p='1 2'\nEXPOSE $p", ("1/tcp", "2/tcp")),
        ("EXPOSE 80 80/tcp", ("80/tcp",)),
        ("EXPOSE 9/sctp", ("9/sctp",)),
        ("EXPOSE [::1]:80:81 ::82 1-3:83", ("81/tcp", "82/tcp", "83/tcp")),
    ],
)
def test_ports(row: str, ports: tuple[str, ...]) -> None:
    assert image(f"FROM scratch\n{row}").config.exposed_ports == ports


@pytest.mark.parametrize("row", ["EXPOSE web:80:80", "EXPOSE 1.2.3.256:80:80", "EXPOSE fe80::1%1:80:80"])
def test_what_is_no_address(row: str) -> None:
    with pytest.raises(BuildError, match="is not an IP address"):
        image(f"FROM scratch\n{row}")


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1.001s", 1_001_000_000),
        ("+1h.5m", 3_630_000_000_000),
        ("2.s", 2_000_000_000),
        ("0s", 0),
        ("-0", 0),
        ("", 0),
        ("0.0123h", 44_280_000_000),
    ],
)
def test_durations_are_exact(text: str, nanoseconds: int) -> None:
    made = image(f"FROM scratch\nHEALTHCHECK --interval={text} --retries= CMD x").config.healthcheck
    assert made is not None
    assert (made.interval, made.retries) == (nanoseconds, 0)


@pytest.mark.parametrize("text", ["-1s", "1", "s", ".s", "1s.", "999us", "1 s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BuildError, match=r"duration|shorter"):
        image(f'FROM scratch\nHEALTHCHECK --interval="{text}" CMD x')


@pytest.mark.parametrize("signal", ["65", "9", "-1", "SIGRTMAX-14", "sigterm"])
def test_signals(signal: str) -> None:
    assert image(f"FROM scratch\nSTOPSIGNAL {signal}").config.stop_signal == signal


def test_volumes_of_an_array_lose_their_spaces() -> None:
    assert image('FROM scratch\nVOLUME [" /a ", "/b c"]').config.volumes == ("/a", "/b c")
    with pytest.raises(BuildError, match="empty path"):
        image('FROM scratch\nVOLUME ["/a", " "]')


def test_flags_without_a_value_are_as_good_as_none() -> None:
    flags = "--chown=$NO --chmod=$NO --checksum=$NO"
    (copy,) = copies(f"FROM --platform= scratch\nADD {flags} a /b")
    assert (copy.owner, copy.mode) == (None, None)


class Commits(Bases):
    """As Bases, and every ref is one commit."""

    def commit(self, url: str, ref: str, checksum: str) -> str:
        return "abc1" * 10


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("https://h/r.git", False),
        ("--keep-git-dir https://h/r.git", True),
        ("--keep-git-dir=false https://h/r.git", False),
        ("https://h/r.git?keep-git-dir=1", True),
        ("--keep-git-dir https://h/r.git?keep-git-dir=1", True),
        ("--checksum=abc https://h/r.git?checksum=abc", False),
    ],
)
def test_what_git_sources_keep(words: str, kept: bool) -> None:
    (source,) = steps(f"FROM scratch\nADD {words} /d", GitSource, bases=Commits())
    assert isinstance(source, GitSource)
    assert source.keep_git_dir is kept


@pytest.mark.parametrize(
    "words",
    [
        "--keep-git-dir https://h/r.git?keep-git-dir=0",
        "--keep-git-dir=false https://h/r.git?keep-git-dir=1",
        "--checksum=abc1 https://h/r.git?checksum=abc",
    ],
)
def test_a_flag_and_a_git_reference_that_contradict_each_other(words: str) -> None:
    with pytest.raises(BuildError, match=r"--keep-git-dir|--checksum"):
        build(f"FROM scratch\nADD {words} /d", bases=Commits())


@pytest.mark.parametrize("path", ["dist.o/*", "dist.o/a/b*.js", "[d]ist.o/*", "dist.oo/*", "*.o"])
def test_a_pattern_in_a_folder_that_is_left_out(path: str) -> None:
    text = f"FROM scratch\nCOPY {path} /d/\n"
    if not path.startswith("dist.o/"):
        assert copies(text)
        return
    with pytest.raises(BuildError, match=r"there is no '/dist\.o") as caught:
        build(text)
    assert (str(caught.value.span), caught.value.hint) == ("Dockerfile:2:6", ".dockerignore leaves it out")


def test_patterns_that_are_left_out_are_cleaned() -> None:
    flags = "--exclude=a/ --exclude=./b/../c --exclude= --exclude=' d ' --exclude=/e --exclude=!f/"
    (copy,) = copies(f"FROM scratch\nCOPY {flags} . /")
    assert copy.exclude == ("a", "c", "d", "/e", "!f")
    for wrong in ("[a", "!", "a\\\\"):
        with pytest.raises(BuildError, match="bad pattern"):
            build(f"FROM scratch\nCOPY --exclude={wrong} . /")


@pytest.mark.parametrize(("flags", "link"), [("", True), ("--chmod=644", False), ("--chmod=$NO", True)])
def test_link_is_nothing_beside_a_mode(flags: str, link: bool) -> None:
    (copy,) = copies(f"FROM scratch\nCOPY --link {flags} a /b")
    assert copy.link is link


def test_shell_counts_from_where_it_stands() -> None:
    text = 'FROM base\nRUN a\nSHELL ["/bin/bash", "-o", "pipefail", "-c"]\nRUN b\nCMD c\nHEALTHCHECK CMD d\n'
    made = image(text)
    assert [s.argv for s in steps(text, Run) if isinstance(s, Run)] == [
        ("/bin/sh", "-c", "a"),
        ("/bin/bash", "-o", "pipefail", "-c", "b"),
    ]
    assert made.config.cmd == ("/bin/bash", "-o", "pipefail", "-c", "c")
    assert made.config.healthcheck is not None
    assert made.config.healthcheck.test == ("CMD-SHELL", "d")


def test_entrypoint_drops_the_command_of_the_base_only() -> None:
    assert image('FROM base\nENTRYPOINT ["e"]').config.cmd is None
    assert image('FROM base\nCMD ["c"]\nENTRYPOINT ["e"]').config.cmd == ("c",)
    assert image('FROM base AS b\nCMD ["c"]\nFROM b\nENTRYPOINT ["e"]').config.cmd is None


def test_platforms_are_those_that_from_names() -> None:
    bases = Bases()
    text = (
        "ARG P=linux/arm64\nFROM --platform=$P a AS x\nFROM --platform=$BUILDPLATFORM b\nCOPY --from=x / /\n"
    )
    build(text, bases=bases)
    assert [(name, str(platform)) for name, platform in bases.asked] == [
        ("a", "linux/arm64"),
        ("b", "linux/amd64"),
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("linux", "linux/amd64"),
        ("arm64", "linux/arm64"),
        ("aarch64", "linux/arm64"),
        ("Linux/x86_64", "linux/amd64"),
        ("macos/arm64", "darwin/arm64"),
    ],
)
def test_parts_of_a_platform_come_from_the_machine_that_builds(written: str, meant: str) -> None:
    bases = Bases()
    build(f"FROM --platform={written} a", bases=bases, platform=Platform("windows", "arm64"))
    assert [str(platform) for _, platform in bases.asked] == [meant]


@pytest.mark.parametrize("written", ["lunix", "amd46", "a/b/c/d", "linux/"])
def test_what_is_no_platform(written: str) -> None:
    with pytest.raises(BuildError, match=written):
        build(f"FROM --platform={written} a")


def test_what_copy_from_means() -> None:
    text = "FROM one AS First\nFROM two AS first\nFROM three\nCOPY --from=FIRST a /\nCOPY --from=0 b /\n"
    text += "COPY --from=img:1 c /\n"
    bases = Bases()
    build(text, bases=bases)
    assert [name for name, _ in bases.asked] == ["one", "two", "three", "img:1"]


@pytest.mark.parametrize(
    ("row", "dest"),
    [
        ("COPY a .", "/w/"),
        ("COPY a ./", "/w/"),
        ("COPY a b", "/w/b"),
        ("COPY a b/", "/w/b/"),
        ("COPY a /b/../c", "/c"),
        ("COPY a ..", "/"),
        ('COPY ["a b", "c d/"]', "/w/c d/"),
        ("ENV d=/x/\nCOPY a ${d}y", "/x/y"),
        ("COPY a ''", "/w/"),
    ],
)
def test_destinations(row: str, dest: str) -> None:
    assert copies(f"FROM scratch\nWORKDIR /w\n{row}")[-1].dest == dest


def test_triggers_run_behind_from_with_their_heredocs() -> None:
    text = (
        "FROM base AS parent\nONBUILD COPY <<E /f\nof $A\nE\n"
        "ONBUILD RUN --mount=type=tmpfs,target=/t <<E\nx\nE\n"
        "ONBUILD ARG A=late\nFROM parent AS child\nENV A=child\nFROM child\nRUN last\n"
    )
    runs = [s.argv[-1] for s in steps(text, Run) if isinstance(s, Run)]
    assert runs == ["x\n", "last"]
    assert image(text).config.on_build == ()
    assert image(text, target="parent").config.on_build == (
        "COPY <<E /f\nof $A\nE",
        "RUN --mount=type=tmpfs,target=/t <<E\nx\nE",
        "ARG A=late",
    )


def test_a_heredoc_with_an_interpreter_is_a_script() -> None:
    (run,) = (
        s
        for s in steps("FROM base\nRUN <<E\n#!/usr/bin/env python3\nprint()\nE\n", Run)
        if isinstance(s, Run)
    )
    assert run.argv == ("/bin/sh", "-c", "/dev/pipes/E")
    (plain,) = (s for s in steps("FROM base\nRUN <<E python3\n#!x\nE\n", Run) if isinstance(s, Run))
    assert plain.argv == ("/bin/sh", "-c", "<<E python3\n#!x\nE")
