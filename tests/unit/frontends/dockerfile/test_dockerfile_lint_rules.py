"""The rules one by one: where BuildKit warns and where it does not, and the same of ours."""

import pytest

from buildtool.digest import sha256
from buildtool.graph.model import ImageConfig
from buildtool.lock.model import FilePin, Lock
from tests.support.dockerfile_checks import Bases, broken, checked, image, warnings

# ---------------------------------------------------------------- FROM


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM scratch AS Bad\n", [("StageNameCasing", 1)]),
        ("FROM scratch as base\nFROM scratch AS two\n", [("FromAsCasing", 1)]),
        ("from scratch AS base\nfrom scratch as two\n", [("FromAsCasing", 1)]),
        ("FROM scratch \\\n  as base\n", [("FromAsCasing", 2)]),
        # The word itself is neither: that is another rule's.
        ("From scratch as base\nFROM scratch AS two\n", [("ConsistentInstructionCasing", 1)]),
        ("FROM scratch AS b\nFROM scratch AS b\n", [("DuplicateStageName", 2)]),
        ("FROM scratch AS b1\nFROM scratch AS b2\n", []),
        ("FROM scratch AS scratch\nFROM scratch AS context\n", [("ReservedStageName", n) for n in (1, 2)]),
        ("FROM scratch\nFROM scratch AS a\n", []),
        ("ARG base=scratch\nFROM $base\n", []),
        ("FROM --platform=$BUILDPLATFORM scratch\n", []),
        ("FROM --platform=$BULIDPLATFORM scratch\n", [("UndefinedArgInFrom", 1)]),
        ("ARG tag=1\nFROM busybox:${tag}${version} AS b\n", [("UndefinedArgInFrom", 2)]),
        ("ARG only_declared\nFROM busybox:1${only_declared}\n", []),
        ("FROM --platform=$TARGETPLATFORM scratch\n", [("RedundantTargetPlatform", 1)]),
        ("FROM --platform=${TARGETPLATFORM} scratch\n", [("RedundantTargetPlatform", 1)]),
        ("FROM --platform=$TARGETOS/$TARGETARCH scratch\n", []),
        ("FROM --platform=linux/amd64 scratch\n", [("FromPlatformFlagConstDisallowed", 1)]),
        ("FROM --platform=linux/amd64 scratch AS my_amd64_stage\n", []),
        ("FROM --platform=linux/amd64 scratch AS linux\n", []),
    ],
)
def test_from(text: str, expected: list[tuple[str, int]]) -> None:
    assert warnings(text) == expected


@pytest.mark.parametrize(
    ("text", "args", "breaks"),
    [
        ("ARG VERSION\nFROM busybox:$VERSION\n", {"VERSION": "latest"}, True),
        ("ARG IMAGE\nFROM $IMAGE\n", {"IMAGE": "busybox:1"}, True),
        ('ARG SFX="box:"\nFROM busy${SFX}\n', {"SFX": "box:latest"}, True),
        ('ARG VERSION="latest"\nFROM busybox:${VERSION}\n', {"VERSION": "1"}, False),
        ('ARG VARIANT=""\nFROM busybox:stable${VARIANT}\n', {"VARIANT": "-musl"}, False),
        ("ARG VARIANT\nFROM busybox:stable${VARIANT}\n", {"VARIANT": "-musl"}, False),
    ],
)
def test_the_defaults_of_arguments_make_a_name(text: str, args: dict[str, str], breaks: bool) -> None:
    assert warnings(text, args=args) == ([("InvalidDefaultArgInFrom", 2)] if breaks else [])


# ---------------------------------------------------------------- how it is written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM scratch\nCOPY a \\\n\n.\nCOPY b \\\n.\n", [("NoEmptyContinuation", 3)]),
        ("FROM scratch\ncopy a /foo\nCOPY b /bar\n", [("ConsistentInstructionCasing", 2)]),
        ("from scratch\nCOPY a /foo\ncopy b /bar\n", [("ConsistentInstructionCasing", 2)]),
        ("from scratch\nCOPY a /\nCOPY b /\nCOPY c /\n", [("ConsistentInstructionCasing", 1)]),
        ("FROM scratch\ncopy a /\ncopy b /\ncopy c /\n", [("ConsistentInstructionCasing", 1)]),
        ("frOM scratch as base\nfrom scratch as base2\n", [("ConsistentInstructionCasing", 1)]),
        ("from scratch\ncopy a /foo\n", []),
        ("arg a\nFROM scratch\n", []),
        ("FROM scratch\nMAINTAINER me@example.org\n", [("MaintainerDeprecated", 2)]),
        ("FROM scratch\nENV name value\nLABEL key value\n", [("LegacyKeyValueFormat", n) for n in (2, 3)]),
        ("FROM scratch\nENV name=value\nLABEL key=value\n", []),
        ("FROM scratch\nEXPOSE 80/TcP 8080\n", [("ExposeProtoCasing", 2)]),
        ("FROM scratch\nARG p=80/UDP\nEXPOSE $p\n", [("ExposeProtoCasing", 3)]),
        ("FROM scratch\nEXPOSE 5000:80 127.0.0.1:80:80 80\n", [("ExposeInvalidFormat", 2)] * 2),
        ("FROM scratch\nEXPOSE 80-90/udp\n", []),
    ],
)
def test_style(text: str, expected: list[tuple[str, int]]) -> None:
    assert warnings(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# bar says what\nARG foo=bar\nFROM scratch\n", 1),
        ("# foo says what\nARG foo=bar\nFROM scratch\n", None),
        ("# foo says what\n\nARG foo=bar\nFROM scratch\n", None),
        ("# says what\n#\nARG foo=bar\nFROM scratch\n", None),
        ("# b says what\nARG a=1 b=2\nFROM scratch\n", None),
        ("# Base says what\nFROM scratch AS base\n", 1),
        ("# base says what\nFROM scratch AS base\n", None),
        ("# anything\nFROM scratch\n", None),
        ("# anything\n# base says what\nFROM scratch AS base\n", None),
    ],
)
def test_descriptions(text: str, expected: int | None) -> None:
    on = f"# check=experimental=InvalidDefinitionDescription\n\n{text}"
    assert warnings(on) == ([] if expected is None else [("InvalidDefinitionDescription", expected + 2)])
    assert warnings(text) == []


# ---------------------------------------------------------------- what it means


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM scratch\nCMD mycommand\n", [("JSONArgsRecommended", 2)]),
        ("FROM scratch\nENTRYPOINT mycommand\n", [("JSONArgsRecommended", 2)]),
        ('FROM scratch\nSHELL ["/usr/bin/customshell"]\nCMD mycommand\n', []),
        ('FROM scratch AS base\nSHELL ["/sh"]\nFROM base\nENTRYPOINT mycommand\n', []),
        ("FROM scratch\nRUN shell form\n", []),
        ("FROM scratch\nWORKDIR app/\n", [("WorkdirRelativePath", 2)]),
        ("FROM scratch AS a\nWORKDIR /app\nFROM a AS b\nWORKDIR subdir/\n", []),
        # The first one is what the others build on.
        ("FROM scratch\nWORKDIR app\nWORKDIR sub\n", [("WorkdirRelativePath", 2)]),
        ("FROM scratch\nARG d=/x\nWORKDIR $d\n", []),
        (
            'FROM scratch\nENTRYPOINT ["/a"]\nENTRYPOINT ["/b"]\nCMD ["/a"]\nUSER 1\nCMD ["/b"]\n'
            "HEALTHCHECK NONE\nHEALTHCHECK CMD true\n",
            [("MultipleInstructionsDisallowed", n) for n in (2, 4, 7)],
        ),
        ('FROM scratch AS a\nCMD ["/a"]\nFROM a AS b\nCMD ["/b"]\n', []),
    ],
)
def test_meaning(text: str, expected: list[tuple[str, int]]) -> None:
    assert warnings(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ARG foo\nCOPY Dockerfile${foo} .\n", []),
        ("COPY $foo .\nARG foo=bar\nRUN echo $foo\n", [2]),
        ("RUN echo $PATH $NOTHING\n", []),
        ("ENV A=$B C=${D} E=${F:-x}\n", [2, 2, 2]),
        ("ENV A=1 B=$A\n", [2]),
        ("ENV A=1\nENV B=$A\n", []),
        ('CMD ["$A"]\nSHELL ["$A"]\nHEALTHCHECK CMD $A\n', []),
        ("COPY <<EOF /a\n$LC_ALL\nEOF\n", [3]),
        ("COPY <<'EOF' /a\n$LC_ALL\nEOF\n", []),
        # BuildKit does not look at EXPOSE, nor at words that it does not expand.
        ("EXPOSE $PORT 80\n", []),
        ("ONBUILD COPY $foo .\n", []),
        ("LABEL a='$b' c=\\$d e=$$\n", [2]),
    ],
)
def test_variables(text: str, expected: list[int]) -> None:
    found = [row for row in warnings(f"FROM busybox:1\n{text}") if row[0] != "ExposeInvalidFormat"]
    assert found == [("UndefinedVar", line) for line in expected]


def test_variables_of_the_base_and_of_the_stages_below_are_known() -> None:
    bases = Bases({"golang:1": image(ImageConfig(env=(("GOPATH", "/go"),)))})
    text = "FROM golang:1 AS base\nARG foo\nFROM base\nCOPY $foo$GOPATH /\n"
    assert warnings(text, bases=bases) == []
    assert warnings("FROM golang:1\nCOPY $GOPAHT /\n", bases=bases) == [("UndefinedVar", 2)]


def test_a_slip_names_what_was_meant() -> None:
    (found,) = checked("FROM a:1\nARG DIR_ASSETS=assets/\nCOPY $DIR_ASSET .\n").findings
    assert found.message == "Usage of undefined variable '$DIR_ASSET' (did you mean $DIR_ASSETS?)"
    assert found.at == (3, 6, 3, 16)
    (found,) = checked("FROM a:1\nENV PATH=/bin:${PAHT}:/tmp\n").findings
    assert found.at == (2, 15, 2, 22)


SECRETS = """\
FROM scratch
ARG SECRET_PASSPHRASE
ENV SUPER_Secret=foo
ENV password=bar secret=baz
ARG super_duper_secret_token=foo auth=bar
ENV apikey=bar sunflower=foo
ENV git_key=
ENV PUBLIC_KEY=a KEY_FILE=b TOKEN_VERSION=1 MONKEY=2 keys=3
"""


def test_secrets() -> None:
    lines = [2, 3, 4, 4, 5, 5, 6, 7]
    assert warnings(SECRETS) == [("SecretsUsedInArgOrEnv", line) for line in lines]


def test_an_argument_before_the_first_from_reaches_no_image() -> None:
    assert warnings("ARG TOKEN=1\nFROM scratch\n") == []


@pytest.mark.parametrize(
    ("ignore", "expected"),
    [
        (("Dockerfile",), [2, 3]),
        (("*", "!x"), []),
        (("other",), []),
        ((), []),
        (("*",), [2, 3, 3, 5, 6, 7, 8]),
        ((".*",), []),
        (("f",), [8]),
    ],
)
def test_ignored_files(ignore: tuple[str, ...], expected: list[int]) -> None:
    text = (
        "FROM scratch AS base\nCOPY ./Dockerfile .\nADD a Dockerfile /windy\n"
        "COPY --from=busybox Dockerfile /\nCOPY . /all\nCOPY / /all\nCOPY /f /all\nCOPY f/g /all\n"
    )
    found = [line for name, line in warnings(text, ignore=ignore) if name == "CopyIgnoredFile"]
    assert found == expected


# ---------------------------------------------------------------- which stages, and triggers

UNREACHED = "FROM scratch AS a\nFROM a AS b\nENV name value\nMAINTAINER me\nFROM a AS c\n"


def test_a_check_without_a_target_is_of_all_stages() -> None:
    assert warnings(UNREACHED) == [("LegacyKeyValueFormat", 3), ("MaintainerDeprecated", 4)]


def test_a_check_of_a_target_leaves_out_what_depends_on_other_stages() -> None:
    assert warnings(UNREACHED, target="c") == [("MaintainerDeprecated", 4)]


def test_triggers_of_the_base_are_checked_where_they_fire() -> None:
    bases = Bases({"base:1": image(ImageConfig(on_build=("WORKDIR app", "ENV a b", "COPY $x /")))})
    found = warnings("FROM scratch\nFROM base:1\n", bases=bases)
    assert found == [("LegacyKeyValueFormat", 2), ("UndefinedVar", 2), ("WorkdirRelativePath", 2)]


# ---------------------------------------------------------------- ours


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM alpine\n", ["LatestTag"]),
        ("FROM alpine:latest\n", ["LatestTag"]),
        ("FROM registry.example:5000/team/app\n", ["LatestTag"]),
        ("FROM alpine:3.20 AS a\nFROM a\nCOPY --from=a /x /\nCOPY --from=0 /x /\n", []),
        ("FROM alpine:3.20\nCOPY --from=busybox /bin/sh /\n", ["LatestTag"]),
        ("FROM scratch\nRUN --mount=from=busybox,target=/m true\n", ["LatestTag"]),
        (f"FROM alpine@sha256:{'0' * 64}\n", []),
        ("FROM scratch\n", []),
        ("FROM scratch\nRUN --network=host true\n", ["HostNetwork"]),
        ("FROM scratch\nRUN --network=none true\n", []),
        ("FROM scratch\nRUN date\n", ["DateInRun"]),
        ("FROM scratch\nRUN echo $(date +%s) > /x\n", ["DateInRun"]),
        ("FROM scratch\nRUN <<EOF\nset -e\ndate > /x\nEOF\n", ["DateInRun"]),
        ('FROM scratch\nRUN ["date"]\n', ["DateInRun"]),
        ("FROM scratch\nRUN echo up to date; cat /date; date -d @0; update # date\n", []),
        ("FROM scratch\nRUN head -c8 /dev/urandom > /x\n", ["RandomInRun"]),
        ('FROM scratch\nRUN export ID="x-$(uuidgen)"\n', ["RandomInRun"]),
        ("FROM scratch\nRUN openssl rand -hex 8 > /key\n", ["RandomInRun"]),
        ("FROM scratch\nRUN echo $RANDOMIZE uuidgen\n", []),
        ("FROM scratch\nRUN curl -fsSLO https://x.example/a.tgz\n", ["UncheckedDownloadInRun"]),
        ("FROM scratch\nRUN curl -O https://x.example/a && sha256sum -c sums\n", []),
        ("FROM scratch\nRUN curl --version\n", []),
        ("FROM scratch\nRUN apt-get update && apt-get -y dist-upgrade\n", ["SystemUpgrade"]),
        ("FROM scratch\nRUN apk add --no-cache curl\n", ["UnpinnedPackages"]),
        ("FROM scratch\nRUN apk add --virtual .deps curl=8.9.1-r2 'git~2.4'\n", []),
        ("FROM scratch\nRUN apt-get install -y --no-install-recommends \\\n  git\n", ["UnpinnedPackages"]),
        ("FROM scratch\nRUN apt-get install -y git=1:2.39.5 ./x.deb\n", []),
        ("FROM scratch\nRUN pip install flask\n", ["UnpinnedPackages"]),
        ("FROM scratch\nRUN python3 -m pip install 'flask>=2'\n", ["UnpinnedPackages"]),
        ("FROM scratch\nRUN pip install flask==3.0.3 . -r requirements.txt\n", []),
        ("FROM scratch\nRUN npm install -g typescript\n", ["UnpinnedPackages"]),
        ("FROM scratch\nRUN npm ci && npm install -g typescript@5.6.2 @scope/a@1\n", []),
        ("FROM scratch\nRUN gem install rails\n", ["UnpinnedPackages"]),
        ("FROM scratch\nRUN gem install rails -v 7.2.0 && gem install rack:3.1.7\n", []),
        ("FROM scratch\nRUN go install example.org/x@latest\n", ["UnpinnedPackages"]),
        ("FROM scratch\nRUN go install example.org/x@v1.2.3 && go install ./...\n", []),
        ("ARG BUILD_DATE\nFROM scratch\n", ["BuildDate"]),
        ("FROM scratch\nLABEL org.opencontainers.image.created=2020-01-01T00:00:00Z\n", []),
    ],
)
def test_notes(text: str, expected: list[str]) -> None:
    assert [name for name, _ in broken(text)] == expected


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("https://x.example/a.tgz", "UnverifiedDownload"),
        (f"--checksum=sha256:{'0' * 64} https://x.example/a.tgz", None),
        ("https://x.example/a.git", "UnpinnedGitRef"),
        ("https://x.example/a.git#v1.0:sub", "UnpinnedGitRef"),
        ("git@x.example:a/b.git#main", "UnpinnedGitRef"),
        (f"https://x.example/a.git#{'a' * 40}", None),
        (f"https://x.example/a.git#{'a' * 40}:sub", None),
        ("--checksum=0123abc https://x.example/a.git#v1", None),
        ("local.tgz", None),
    ],
)
def test_what_add_fetches(source: str, rule: str | None) -> None:
    assert [name for name, _ in broken(f"FROM scratch\nADD {source} /\n")] == ([rule] if rule else [])


def test_what_the_lock_pins_needs_no_other_pin() -> None:
    text = "FROM scratch\nADD https://me:pw@x.example/a.tgz https://x.example/b.git#v1 /\n"
    assert len(checked(text).findings) == 2
    lock = Lock(
        files={"https://x.example/a.tgz": FilePin(sha256(b""), 0)},
        git={"https://x.example/b.git#v1": "0" * 40},
    )
    assert checked(text, lock=lock).findings == ()


def test_a_place_is_that_of_the_word_also_in_continued_lines_and_heredocs() -> None:
    text = "FROM scratch\nRUN true \\\n # date is not here\n && echo $(date)\nRUN <<EOF\ntrue\n  date\nEOF\n"
    assert [f.at for f in checked(text).findings] == [(4, 12, 4, 16), (7, 3, 7, 7)]
