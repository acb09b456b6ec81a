"""S-expressions: the form of every instruction, and the quoting of Go."""

import pytest

from buildtool.frontends.dockerfile.parse import parse
from buildtool.frontends.dockerfile.sexpr import quoted, sexpr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM --platform=$P busybox As b", '(from ["--platform=$P"] "busybox" "As" "b")'),
        ("RUN echo hi", '(run "echo hi")'),
        ("RUN ['echo', 'hi']", "(run \"['echo', 'hi']\")"),
        ('run ["a", "b c"]', '(run "a" "b c")'),
        ("CMD", "(cmd)"),
        ("CMD []", "(cmd)"),
        ("ENV a=1 b='2 3'", '(env "a" "1" "=" "b" "\'2 3\'" "=")'),
        ("ENV a 1  2", '(env "a" "1  2" "")'),
        ("LABEL a=", '(label "a" "" "=")'),
        ("ARG a b=c", '(arg "a" "b=c")'),
        ("COPY --link --from=x a  b\t/", '(copy ["--link" "--from=x"] "a" "b" "/")'),
        ('ADD ["a b", "/"]', '(add "a b" "/")'),
        ("VOLUME /a /b", '(volume "/a" "/b")'),
        ("EXPOSE 80 81/udp", '(expose "80" "81/udp")'),
        ("WORKDIR /a  b", '(workdir "/a  b")'),
        ("USER a b", '(user "a b")'),
        ("STOPSIGNAL 9", '(stopsignal "9")'),
        ("MAINTAINER me <me@x>", '(maintainer "me <me@x>")'),
        ('SHELL ["a"]', '(shell "a")'),
        ("HEALTHCHECK none", '(healthcheck "none")'),
        ("HEALTHCHECK --retries=3 CMD a  b", '(healthcheck ["--retries=3"] "CMD" "a  b")'),
        ('HEALTHCHECK Cmd ["a"]', '(healthcheck "Cmd" "a")'),
        ("ONBUILD RUN --network=none x", '(onbuild (run ["--network=none"] "x"))'),
        ("ONBUILD RUN <<A\nb\nA", '(onbuild (run "<<A"))'),
        ("ONBUILD wrong x", '(onbuild (wrong ""))'),
        ("ONBUILD # x", '(onbuild (# ""))'),
        ("COPY <<A <<B /\na\nA\nb\nB", '(copy "<<A" "<<B" "/")'),
        ("RUN a \\\n# comment\n  b", '(run "a   b")'),
    ],
)
def test_form(text: str, expected: str) -> None:
    made = sexpr(parse(f"FROM scratch\n{text}\n".encode(), "Dockerfile"))
    assert made == f'(from "scratch")\n{expected}\n'


def test_escapes_follow_the_directive() -> None:
    text = "# escape=`\nFROM scratch\nONBUILD LABEL a=`\nb\n"
    assert sexpr(parse(text.encode(), "Dockerfile")).splitlines()[1] == '(onbuild (label "a" "b" "="))'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a"b\\c', r'"a\"b\\c"'),
        ("\t\n\v\a", r'"\t\n\v\a"'),
        ("\x00\x7f", r'"\x00\x7f"'),
        ("é \U0001f600", '"é \U0001f600"'),
        ("\u00a0\u200b\u2028", r'"\u00a0\u200b\u2028"'),
        ("\U000e0001", r'"\U000e0001"'),
    ],
)
def test_quoting_is_go_s(text: str, expected: str) -> None:
    assert quoted(text) == expected
