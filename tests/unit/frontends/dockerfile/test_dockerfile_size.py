"""Cost: a large Dockerfile takes time in proportion to its size, whatever instructions it is made of."""

import time

import pytest

from buildtool.diag import Span
from buildtool.frontends.dockerfile.lower import lower
from buildtool.frontends.dockerfile.parse import parse
from buildtool.frontends.dockerfile.request import Request
from buildtool.graph.model import Image, Platform

INSTRUCTIONS = 20_000
#: Seconds of CPU: twice the 2 s that are promised, as the tests beside this one slow it down.
PARSED_WITHIN = 4.0
LOWERED_WITHIN = 4.0

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
