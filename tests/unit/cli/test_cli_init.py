"""A first BUILD.star, and Dockerfiles said in Starlark: the twin has the graph of the Dockerfile."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from buildtool.cli.convert import convert
from buildtool.cli.main import run
from buildtool.diag import BuildError
from buildtool.frontends.dockerfile.lower import lower
from buildtool.frontends.dockerfile.parse import parse
from buildtool.frontends.dockerfile.request import Request
from buildtool.frontends.starlark.formatting.format import formatted
from buildtool.frontends.starlark.lint.check import check
from buildtool.frontends.starlark.workspace import Workspace
from buildtool.graph.dump import dump
from buildtool.graph.model import Image, Platform
from tests.conftest import GOLDEN
from tests.support.starlark_services import CannedServices

CORPUS = sorted((GOLDEN / "dockerfile" / "corpus").glob("*/Dockerfile"))
AMD64 = Platform("linux", "amd64")
DOCKERFILE = """\
FROM scratch AS Files
COPY --chown=1:2 ["a", "b c", "/d/"]

FROM debian:12
ENV A=1 B="two words"
ENV OLD one two
LABEL x=y
WORKDIR /app
COPY --from=files --chmod=755 /d /e
COPY --exclude=*.md src .
ADD x.tar /x/
COPY --chown=1 <<motd /etc/motd
hello
motd
COPY <<-'note' note
	$literal
note
RUN <<END
make one
make two
END
RUN cat <<ONE > /one && cat <<TWO > /two
1
ONE
2
TWO
RUN --network=none --mount=from=files,target=/mnt,src=/d --mount=type=tmpfs,dst=/t,size=100 \\
    --mount=target=/all,rw ls
RUN make && \\
    make install
RUN --network=none ["sh", "-c", "true"]
USER app:app
EXPOSE 80 53/UDP 127.0.0.1:8443:443
VOLUME /data
STOPSIGNAL SIGTERM
SHELL ["/bin/bash", "-c"]
HEALTHCHECK --interval=30s --retries=3 CMD curl localhost
ENTRYPOINT ["/app/run"]
CMD serve all
"""


class Bases(CannedServices):
    """Images by name, for both frontends."""

    def resolve(self, name: str, platform: Platform, span: object) -> Image:
        return self.base_image(name, platform, None)


def test_a_converted_dockerfile_has_the_same_graph(tmp_path: Path) -> None:
    text, warnings = convert(parse(DOCKERFILE.encode(), "Dockerfile"), "Dockerfile")
    assert warnings == []
    (tmp_path / "BUILD.star").write_text(text)
    request = Request(
        folder=str(tmp_path), epoch=0, platform=AMD64, build_platform=AMD64, filename="Dockerfile"
    )
    wanted = lower(parse(DOCKERFILE.encode(), "Dockerfile"), request, Bases()).image
    with Workspace.open(str(tmp_path)) as workspace:
        seen = workspace.lower(workspace.label(":image"), AMD64, 0, Bases())
    assert dump([seen]) == dump([wanted])


VARIABLES = """\
ARG VERSION=22.9
ARG variant=slim
ARG TAG=${VERSION}-$variant
FROM tool-$TARGETARCH AS tool
FROM node:${TAG} AS base
ARG VERSION
ARG dir=/app TARGETARCH
ARG share=100% unset
ENV HOME_DIR=$dir/x PORT=80
WORKDIR $HOME_DIR
COPY --chown=${ID:-1000} tool-$TARGETARCH ${dir}/
RUN echo $VERSION
ENV share=$share-more
RUN --mount=target=/m${dir} make
LABEL major=${VERSION%%.*} both="$share of $VERSION" none=$unset quoted='$x' \\
    "of $dir"=1
EXPOSE $PORT
COPY <<site /etc/${share}/site
v=$VERSION \\$literal
site

FROM base
ARG dir=/other
ARG VERSION=23
USER $PORT
VOLUME $dir
RUN ["ls", "$dir"]
CMD echo $dir
"""


def test_variables_become_constants(tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    """The graph is the Dockerfile's but for ARG's rows in the history: constants leave none."""
    text, warnings = convert(parse(VARIABLES.encode(), "Dockerfile"), "Dockerfile")
    assert [w.message for w in warnings] == ["unset has no value unless a build gives it one"]
    golden("cli/converted-variables.txt", text)
    (tmp_path / "BUILD.star").write_text(text)
    request = Request(
        folder=str(tmp_path), epoch=0, platform=AMD64, build_platform=AMD64, filename="Dockerfile"
    )
    wanted = lower(parse(VARIABLES.encode(), "Dockerfile"), request, Bases()).image
    kept = tuple(row for row in wanted.history if not row.created_by.startswith("ARG "))
    with Workspace.open(str(tmp_path)) as workspace:
        seen = workspace.lower(workspace.label(":image"), AMD64, 0, Bases())
    assert dump([seen]) == dump([replace(wanted, history=kept)])


def test_an_argument_before_from_that_has_no_value_here_is_told() -> None:
    content = "ARG A=$B\nFROM debian:$A\nRUN x\n"
    text, warnings = convert(parse(content.encode(), "Dockerfile"), "Dockerfile")
    assert [w.message for w in warnings] == [
        "left as a comment, because nothing here says what B is",
        "left as a comment, because nothing here says what A is",
    ]
    assert "base =" not in text


def test_a_constant_can_be_changed_by_hand(tmp_path: Path) -> None:
    content = "ARG V=1\nFROM a:$V\nARG V\nARG W=$V.0\nRUN x\n"
    text, _ = convert(parse(content.encode(), "Dockerfile"), "Dockerfile")
    (tmp_path / "BUILD.star").write_text(text.replace('"1"', '"2"'))
    with Workspace.open(str(tmp_path)) as workspace:
        seen = dump([workspace.lower(workspace.label(":image"), AMD64, 0, Bases())])
    assert '["V", "2"], ["W", "2.0"]' in seen


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("RUN --mount=type=cache,target=/c,sharing=locked make", "the cache /c is an empty folder each time"),
        ("ARG V", "no value"),
    ],
)
def test_what_is_not_quite_the_same_is_told(line: str, what: str) -> None:
    text, (warning,) = convert(parse(f"FROM scratch\n{line}\n".encode(), "Dockerfile"), "Dockerfile")
    assert what in warning.message
    assert f"# changed, {warning.message}: {line}\n" in text


def test_a_platform_of_from_is_told_unless_it_is_the_own() -> None:
    for flag, told in (("$BUILDPLATFORM", 1), ("$TARGETPLATFORM", 0), ("linux/arm64", 1)):
        content = f"FROM --platform={flag} debian:12\n"
        text, warnings = convert(parse(content.encode(), "Dockerfile"), "Dockerfile")
        assert len(warnings) == text.count("# changed, --platform has no equivalent") == told


def test_a_file_with_private_characters_is_refused() -> None:
    with pytest.raises(BuildError, match="private plane"):
        convert(parse("FROM \U000f0000\n".encode(), "Dockerfile"), "Dockerfile")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("COPY $A /b", "what A is"),
        ("ENV P=$P:/x", "what P is"),
        ("COPY ${A:?needed} /b", "what A is"),
        ("COPY ${A|} /b", "unsupported modifier"),
        ("ADD https://example.org/x /x", "its sources are elsewhere"),
        ("RUN --mount=type=cache,target=/c,uid=1 make", "uid of --mount"),
        ("RUN --mount=type=secret,id=a,target=/c make", "--mount=type=secret"),
        ("RUN --mount=from=debian:12,target=/c make", "an image elsewhere"),
        ("RUN --mount=type=tmpfs,target=/c,size=1g make", "a unit"),
        ("RUN <<E\n#!/bin/python\nE", "an interpreter"),
        ("COPY <<E /x\n$text\nE", "what text is"),
        ("COPY <<E b /x/\ntext\nE", "files beside"),
        ("ONBUILD RUN x", "triggers"),
    ],
)
def test_what_has_no_equivalent_is_a_comment_in_its_place(line: str, reason: str) -> None:
    text, (warning,) = convert(parse(f"FROM scratch\n{line}\n".encode(), "Dockerfile"), "Dockerfile")
    assert reason in warning.message
    assert str(warning.span).startswith("Dockerfile:2:")
    assert f": {line.splitlines()[0]}\n" in text


def test_init_writes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init"]) == 0
    with Workspace.open(str(tmp_path)) as workspace:
        assert workspace.package("").names == ("root", "image")
    assert run(["fmt", "--check"]) == 0
    assert run(["lint"]) == 0
    assert run(["init"]) == 2
    (tmp_path / "BUILD.star").unlink()
    (tmp_path / "Dockerfile").write_text("FROM scratch\nONBUILD RUN x\n")
    assert run(["init", "--from", "Dockerfile"]) == 0
    assert "# not converted" in (tmp_path / "BUILD.star").read_text()


@pytest.mark.parametrize("case", CORPUS, ids=lambda p: p.parent.name)
def test_dockerfiles_of_the_corpus_become_files_that_load(
    case: Path, tmp_path: Path, golden: Callable[[str, str], None]
) -> None:
    text, warnings = convert(parse(case.read_bytes(), "Dockerfile"), "Dockerfile")
    golden(f"dockerfile/corpus/{case.parent.name}/converted.txt", text)
    assert formatted(text.encode(), "BUILD.star") == text
    found = check(text.encode(), "BUILD.star")
    assert [f.rule.name for f in found.findings] == []
    assert text.count("# not converted, ") + text.count("# changed, ") == len(warnings)
    (tmp_path / "BUILD.star").write_text(text)
    with Workspace.open(str(tmp_path)) as workspace:
        assert "image" in workspace.package("").names
