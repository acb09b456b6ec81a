"""Cost: a large Dockerfile takes time in proportion to its size, whatever instructions it is made of."""

import time

import pytest

from buildtool.diag import BuildError, Span
from buildtool.frontends.dockerfile.lower import lower
from buildtool.frontends.dockerfile.parse import parse
from buildtool.frontends.dockerfile.request import Request
from buildtool.graph.model import Image, Platform

INSTRUCTIONS = 20_000
#: Seconds of CPU: twice the 2 s that are promised, as the tests beside this one slow it down.
PARSED_WITHIN = 4.0
LOWERED_WITHIN = 6.0
#: Seconds for what is refused.
PATIENCE = 10.0

KINDS = {
    "env": "ENV VARIABLE_{n}=value-number-{n}-of-many-such-values",
    "label": "LABEL some.label.{n}=some-label-text-{n}-of-many",
    "run": "RUN echo this is step number {n} && true && true",
    "copy": "COPY --chown=1:1 file-{n}.txt /destination/folder/{n}/",
    "workdir": "WORKDIR /some/working/directory/of/many/{n}",
    "arg": "ARG ARGUMENT_{n}=default-value-that-it-has-here",
    "expose": "EXPOSE {n}",
    "volume": "VOLUME /some/volume/at/some/longer/path/{n}",
    "onbuild": "ONBUILD RUN echo this is step number {n} && true",
    "healthcheck": "HEALTHCHECK --interval=3s CMD echo number {n}",
}


class NoBases:
    def resolve(self, name: str, platform: Platform, span: Span | None) -> Image:
        raise AssertionError(name)


@pytest.mark.parametrize("kind", [*KINDS, "all"])
def test_twenty_thousand_instructions(kind: str) -> None:
    rows = list(KINDS.values()) if kind == "all" else [KINDS[kind]]
    body = "".join(f"{rows[n % len(rows)].format(n=n)}\n" for n in range(1, INSTRUCTIONS + 1))
    text = f"FROM scratch\n{body}".encode()
    begun = time.process_time()
    file = parse(text, "Dockerfile")
    parsed = time.process_time()
    lower(file, Request(folder="context", epoch=0), NoBases())
    lowered = time.process_time()
    assert len(file.stages[0].body) == INSTRUCTIONS
    assert parsed - begun < PARSED_WITHIN
    assert lowered - parsed < LOWERED_WITHIN


#: Short files that ask for much: what grows with the square of the file, or doubles.
GREEDY = {
    "a variable that doubles": "ENV a=xxxxxxxx\n" + "ENV a=$a$a\n" * 40,
    "an argument that doubles": "ARG a=xxxxxxxx\n" + "ARG a=$a$a\n" * 40,
    "a long word, over and over": f"ARG a={'x' * 60_000}\n" + f"LABEL l={'$a' * 16}\n" * 20_000,
    "all ports, over and over": "EXPOSE 0-65535\n" * 20_000,
    "many arguments in many steps": "".join(f"ARG A{n}=v\n" for n in range(20_000)) + "RUN x\n" * 20_000,
    "many variables in many steps": "".join(f"ENV A{n}=v\n" for n in range(20_000)) + "RUN x\n" * 20_000,
    "a pattern that tries again": f"ARG a={'x' * 30_000}\n" + f"LABEL l=${{a//{'*x' * 5_000}y/}}\n" * 100,
    "a long replacement": f"ARG a={'x' * 60_000} b={'y' * 5_000}\nLABEL l=${{a//x/$b}}\n",
    "deep nesting": "ARG a=" + "${a:-" * 10_000 + "}" * 10_000 + "\n",
}


@pytest.mark.parametrize("case", GREEDY)
def test_what_asks_for_too_much_is_refused_soon(case: str) -> None:
    file = parse(f"FROM scratch\n{GREEDY[case]}".encode(), "Dockerfile")
    begun = time.process_time()
    with pytest.raises(BuildError) as caught:
        lower(file, Request(folder="context", epoch=0), NoBases())
    assert caught.value.code == "expansion-too-large"
    assert caught.value.span is not None
    assert time.process_time() - begun < PATIENCE
