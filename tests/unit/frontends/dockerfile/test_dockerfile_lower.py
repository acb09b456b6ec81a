"""Lowering: which steps an instruction becomes, and what they are keyed by."""

from collections.abc import Mapping

import pytest

from buildtool.diag import BuildError, BuildErrors, Span
from buildtool.digest import sha256
from buildtool.frontends.dockerfile.lower import lower
from buildtool.frontends.dockerfile.parse import parse
from buildtool.frontends.dockerfile.request import FolderContext, ImageContext, Lowered, NamedContext, Request
from buildtool.graph.dump import dump
from buildtool.graph.model import (
    CopyAction,
    FileOp,
    Image,
    ImageConfig,
    ImageSource,
    LiteralFile,
    LiteralSource,
    LocalSource,
    Owner,
    Platform,
    Run,
    Step,
    walk,
)

AMD64 = Platform("linux", "amd64")


class Bases:
    """Every image exists; it is its name."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Platform]] = []

    def resolve(self, name: str, platform: Platform, span: Span | None) -> Image:
        self.asked.append((name, platform))
        config = ImageConfig(env=(("FROM", name),), cmd=("base",))
        return Image(ImageSource(sha256(name.encode()), ()), config, platform, 0)


def build(
    text: str,
    *,
    target: str = "",
    args: Mapping[str, str] | None = None,
    contexts: Mapping[str, NamedContext] | None = None,
    bases: Bases | None = None,
    platform: Platform = AMD64,
) -> Lowered:
    request = Request(
        folder="ctx",
        epoch=7,
        target=target,
        build_args=args or {},
        contexts=contexts or {},
        ignore=("*.o",),
        platform=platform,
    )
    return lower(parse(text.encode(), "Dockerfile"), request, bases or Bases())


def steps(text: str, kind: type, **options: object) -> list[Step]:
    image = build(text, **options).image  # type: ignore[arg-type]
    return [s for s in walk([image]) if isinstance(s, kind)]


def copies(text: str) -> list[CopyAction]:
    return [
        a
        for s in steps(text, FileOp)
        if isinstance(s, FileOp)
        for a in s.actions
        if isinstance(a, CopyAction)
    ]


def runs(text: str, **options: object) -> list[Run]:
    return [s for s in steps(text, Run, **options) if isinstance(s, Run)]


# ---------------------------------------------------------------- copy


@pytest.mark.parametrize(
    ("written", "paths", "dest"),
    [
        ("a /b", ("a",), "/b"),
        ("./a/../c/ b/", ("c",), "/w/b/"),
        ("../../x /", ("x",), "/"),
        (". .", ("",), "/w/"),
        ("/ ../up", ("",), "/up"),
        ("a b*/c[1] /d/./e//", ("a", "b*/c[1]"), "/d/e/"),
        ('["a b", "/c d/."]', ("a b",), "/c d/"),
    ],
)
def test_copy_paths(written: str, paths: tuple[str, ...], dest: str) -> None:
    (copy,) = copies(f"FROM scratch\nWORKDIR /w\nCOPY {written}\n")
    assert (copy.paths, copy.dest) == (paths, dest)
    assert isinstance(copy.source, LocalSource)
    assert copy.source.include == paths
    assert (copy.source.folder, copy.source.ignore) == ("ctx", ("*.o",))


def test_equal_sources_are_one_step() -> None:
    first, second, third = copies("FROM scratch\nCOPY a b /x/\nCOPY b a /y/\nCOPY a /z/\n")
    assert first.source is second.source
    assert third.source is not first.source


def test_flags() -> None:
    flags = "--chown=u:$G --chmod=u=rwX --link --parents --exclude=*.md --exclude=$X"
    (copy,) = copies(f"FROM scratch\nARG G=g\nCOPY {flags} p/./q /d/\n")
    assert copy.owner == Owner("u", "g")
    assert (copy.mode, copy.link, copy.parents) == ("u=rwX", False, True)
    assert copy.exclude == ("*.md", "$X")
    assert copy.paths == ("p/./q",)
    assert isinstance(copy.source, LocalSource)
    assert copy.source.include == ("p/q",)


def test_add_unpacks() -> None:
    first, second, third = copies("FROM scratch\nADD a /\nADD --unpack=false a /\nCOPY a /\n")
    assert [first.unpack, second.unpack, third.unpack] == [True, False, False]


def test_heredocs_are_literal_files_after_the_other_sources() -> None:
    text = "FROM scratch\nENV A=1\nCOPY <<one two <<'three' /d/\n$A\none\n$A\nthree\n"
    local, one, three = copies(text)
    assert isinstance(local.source, LocalSource)
    assert isinstance(one.source, LiteralSource)
    assert isinstance(three.source, LiteralSource)
    assert one.source.files == (LiteralFile("one", b"1\n"),)
    assert three.source.files == (LiteralFile("three", b"$A\n"),)
    assert not one.wildcards


def test_copy_from() -> None:
    text = (
        "FROM scratch AS Empty\nFROM img AS b\nRUN x\nFROM scratch\n"
        "COPY --from=empty / /1\nCOPY --from=1 x /2\n"
        "COPY --from=B x /3\nCOPY --from=other:tag x /4\nCOPY --from=files x/ /5\nCOPY --from=made x /6\n"
    )
    made = Image(LiteralSource(()), ImageConfig(), AMD64, 0)
    contexts = {"files": FolderContext("elsewhere", ("y",)), "made": ImageContext(made)}
    image = build(text, contexts=contexts).image
    found = [
        a.source
        for s in walk([image])
        if isinstance(s, FileOp)
        for a in s.actions
        if isinstance(a, CopyAction)
    ]
    empty, by_number, by_name, other, files, context = found
    assert isinstance(empty, LiteralSource)
    assert by_number is by_name
    assert isinstance(by_number, Run)
    assert isinstance(other, ImageSource)
    assert isinstance(files, LocalSource)
    assert (files.folder, files.include, files.ignore) == ("elsewhere", ("x",), ("y",))
    assert context is made.rootfs


# ---------------------------------------------------------------- run


def test_run_environment_and_arguments() -> None:
    text = "FROM scratch\nARG Z=z\nARG A NEVER\nENV Z=env\nARG B=$A-$Z\nRUN x\nARG Z=again\nRUN y\n"
    first, second = runs(text, args={"A": "a"})
    assert dict(first.env)["B"] == "a-env"
    assert [name for name, _ in first.env[-2:]] == ["A", "B"]
    assert dict(first.env)["Z"] == "env"
    assert dict(second.env)["Z"] == "again"
    assert "NEVER" not in dict(first.env)
    assert first.argv == ("/bin/sh", "-c", "x")
    assert first.clock == 7


def test_run_says_where_it_stands() -> None:
    (run,) = runs(f"FROM scratch AS s\nRUN echo   {'x' * 100} \\\n  && y\n")
    assert run.origin is not None
    assert run.origin.title == f"RUN echo {'x' * 68}..."
    assert run.origin.stage == "s"
    assert str(run.origin.span) == "Dockerfile:2:1"


@pytest.mark.parametrize(
    ("written", "command"),
    [
        ("<<E\n#c\nx\nE", "#c\nx\n"),
        ("<<-E\n\t\tx\n\tE", "x\n"),
        ("<<E cat\nx\nE", "<<E cat\nx\nE"),
        ("cat <<-'E' && y\n\tx\n\tE", "cat <<-'E' && y\n\tx\nE"),
    ],
)
def test_run_heredocs(written: str, command: str) -> None:
    (run,) = runs(f"FROM scratch\nRUN {written}\n")
    assert run.argv == ("/bin/sh", "-c", command)


def test_a_script_with_an_interpreter_is_mounted() -> None:
    (run,) = runs("FROM scratch\nRUN <<E\n#!/bin/x\ny\nE\n")
    assert run.argv == ("/bin/sh", "-c", "/dev/pipes/E")
    (mount,) = run.mounts
    assert mount.target == "/dev/pipes/"


def test_network_and_host_name() -> None:
    text = "FROM scratch\nRUN --network=none x\nRUN y\n"
    first, second = runs(text, args={"BUILDKIT_SANDBOX_HOSTNAME": "h"})
    assert (first.network, second.network) == ("none", "default")
    assert first.hostname == "h"


# ---------------------------------------------------------------- stages


def test_only_needed_stages_are_lowered() -> None:
    bases = Bases()
    text = "FROM one AS a\nRUN a\nFROM two AS b\nRUN --mount=type=cache,target=/c b\nFROM a\nRUN c\n"
    image = build(text, bases=bases).image
    assert bases.asked == [("one", AMD64)]
    assert [s.argv[2] for s in walk([image]) if isinstance(s, Run)] == ["a", "c"]


def test_target() -> None:
    text = "FROM one AS a\nFROM two AS b\n"
    assert dict(build(text, target="A").image.config.env)["FROM"] == "one"


def test_platforms() -> None:
    bases = Bases()
    text = "FROM --platform=$BUILDPLATFORM tools AS t\nFROM app\nCOPY --from=t /x /x\n"
    text += "ARG TARGETARCH\nLABEL a=$TARGETARCH\n"
    image = build(text, bases=bases, platform=Platform("linux", "arm", "v7")).image
    assert bases.asked == [("tools", AMD64), ("app", Platform("linux", "arm", "v7"))]
    assert image.config.labels == (("a", "arm"),)
    assert image.platform == Platform("linux", "arm", "v7")


@pytest.mark.parametrize("name", ["ubuntu:20.04", "docker.io/library/ubuntu:20.04", "library/ubuntu:20.04"])
def test_named_contexts_take_the_place_of_images(name: str) -> None:
    made = Image(LiteralSource(()), ImageConfig(user="me"), AMD64, 0)
    image = build(f"FROM {name}\n", contexts={"ubuntu:20.04": ImageContext(made)}).image
    assert (image.rootfs, image.config.user) == (made.rootfs, "me")


def test_named_contexts_take_the_place_of_stages() -> None:
    made = Image(LiteralSource(()), ImageConfig(), AMD64, 0)
    bases = Bases()
    text = "FROM nowhere AS base\nCOPY --from=later /x /x\nFROM base\nUSER u\n"
    image = build(text, contexts={"base": ImageContext(made)}, bases=bases).image
    assert image.rootfs is made.rootfs
    assert bases.asked == []


def test_named_contexts_that_nothing_needs_are_not_looked_up() -> None:
    class Lazy(dict[str, NamedContext]):
        def __getitem__(self, name: str) -> NamedContext:
            raise AssertionError(name)

    build("FROM a\nCOPY --from=b x /x\n", contexts=Lazy(other=FolderContext("f")))


def test_entrypoint_drops_the_bases_command_only() -> None:
    assert build('FROM a\nENTRYPOINT ["e"]\n').image.config.cmd is None
    assert build('FROM a\nCMD ["c"]\nENTRYPOINT ["e"]\n').image.config.cmd == ("c",)


def test_the_same_text_makes_the_same_graph() -> None:
    text = "FROM a AS s\nARG B=1\nARG A=2\nRUN x\nFROM a\nCOPY --from=s /b /c /d/\nEXPOSE 9 8\n"
    assert dump([build(text).image]) == dump([build(text.replace("\n", "\n# comment\n\n")).image])


# ---------------------------------------------------------------- warnings and errors


def test_unused_build_arguments_are_warned_of() -> None:
    found = build("ARG A\nFROM a\nARG VERSION\n", args={"A": "1", "VERSOIN": "2", "HTTP_PROXY": "p"}).warnings
    assert [(w.code, w.hint) for w in found] == [("unused-build-arg", "did you mean VERSION?")]


def test_errors_of_independent_stages_add_up() -> None:
    text = "FROM a AS one\nEXPOSE x\nFROM a AS two\nSTOPSIGNAL y\nFROM two AS three\nEXPOSE z\n"
    text += "FROM scratch\nCOPY --from=one / /\nCOPY --from=three / /\n"
    with pytest.raises(BuildErrors) as caught:
        build(text)
    assert [e.span.line for e in caught.value.errors if e.span] == [2, 4]


def test_a_long_chain_of_stages() -> None:
    text = "FROM scratch AS s0\n" + "".join(
        f"FROM s{n} AS s{n + 1}\nCOPY --from=s{n} /a /b\n" for n in range(900)
    )
    assert len(build(text).image.history) == 900


def test_an_image_that_is_nowhere_is_located() -> None:
    class Nowhere(Bases):
        def resolve(self, name: str, platform: Platform, span: Span | None) -> Image:
            raise BuildError("unknown-image", f"no image {name}")

    with pytest.raises(BuildError) as caught:
        build("FROM scratch\nFROM  gone\n", bases=Nowhere())
    assert str(caught.value.span) == "Dockerfile:2:7"
