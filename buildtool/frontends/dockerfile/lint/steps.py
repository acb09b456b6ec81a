"""Rules on what a step sees that differs from build to build (all ours)."""

import re
from collections.abc import Iterator

from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.lint.commands import commands, text_of
from buildtool.frontends.dockerfile.lint.facts import Facts
from buildtool.frontends.dockerfile.lint.rule import Broken, Rule
from buildtool.frontends.dockerfile.tree import Place

_RANDOM = re.compile(r"\$\{?RANDOM\b|/dev/u?random\b|/proc/sys/kernel/random\b")
_RANDOM_PROGRAMS = {"uuidgen", "shuf", "pwgen", "ssh-keygen"}
_WHEN = re.compile(r"(?:BUILD|COMPILE)_?(?:DATE|TIME|TIMESTAMP)|(?:DATE|TIMESTAMP)", re.I)
_CREATED = ("org.opencontainers.image.created", "org.label-schema.build-date", "build-date")


def _runs(facts: Facts) -> Iterator[tree.Run]:
    for node in facts.nodes():
        if isinstance(node, tree.Run):
            yield node


def _whole(node: tree.Run) -> Place:
    return node.at._replace(end_line=node.heredocs[-1].at.end_line) if node.heredocs else node.at


def _host_network(facts: Facts) -> Iterator[Broken]:
    for node in _runs(facts):
        flag = node.flag("network")
        if flag is not None and flag.value == "host":
            yield Broken(flag.at, "This step sees the network of the machine that builds")


def _date_in_run(facts: Facts) -> Iterator[Broken]:
    for node in _runs(facts):
        for words in commands(text_of(node)):
            if words[0].rpartition("/")[2] == "date" and not _has_own_date(words):
                yield Broken(
                    facts.find(_whole(node), r"(?<![\w./-])date(?![\w=./-])"), "date depends on the day"
                )
                break


def _has_own_date(words: list[str]) -> bool:
    """Whether `date` is told which instant to show."""
    return any(re.match(r"-d|--date|-r|--reference|-s|--set", word) for word in words[1:])


def _random_in_run(facts: Facts) -> Iterator[Broken]:
    for node in _runs(facts):
        text = text_of(node)
        match = _RANDOM.search(text)
        if match:
            yield Broken(facts.find(_whole(node), re.escape(match[0])), f"{match[0]} differs in each build")
            continue
        for words in commands(text):
            program = words[0].rpartition("/")[2]
            if program in _RANDOM_PROGRAMS or words[:2] == ["openssl", "rand"]:
                at = facts.find(_whole(node), rf"(?<![\w-]){re.escape(program)}(?![\w-])")
                yield Broken(at, f"{program} gives something else in each build")
                break


def _cache_mount(facts: Facts) -> Iterator[Broken]:
    for node in _runs(facts):
        for flag in node.flags:
            if flag.name == "mount" and "type=cache" in re.split(r"[,\s\"]", (flag.value or "").lower()):
                yield Broken(
                    flag.at, "What this step makes can depend on what earlier builds left in the cache"
                )


def _build_date(facts: Facts) -> Iterator[Broken]:
    for node in (*facts.file.preamble, *facts.nodes()):
        if isinstance(node, tree.Arg):
            for pair in node.pairs:
                if _WHEN.fullmatch(pair.name):
                    yield Broken(pair.at, f"The argument {pair.name} is for the time of the build")
        elif isinstance(node, tree.Label):
            for pair in node.pairs:
                if pair.name.strip("\"'") in _CREATED and "$" in (pair.value or ""):
                    yield Broken(pair.at, f"The label {pair.name} holds the time of the build")


RULES = (
    Rule(
        "HostNetwork",
        "note",
        "No step runs with `--network=host`.",
        "Such a step reaches whatever the machine reaches: services on its loopback, the company's network."
        " It gives another result, or none, elsewhere. It also needs `--network=host` on the command line,"
        " and the image is then not hermetic.",
        "leave --network=host out, and get what the step needs with ADD or from a stage",
        "FROM alpine:3.20\nRUN --network=host wget -O /conf http://localhost:8500/conf\n",
        "FROM alpine:3.20\nCOPY conf /conf\n",
        _host_network,
    ),
    Rule(
        "DateInRun",
        "note",
        "No step writes down what day it is.",
        "The output of `date` is another one in each build. In buildtool's steps the clock stands still at"
        " the image's epoch, so that the image stays the same and the date that is written is not today's;"
        " other builders write today's.",
        "pass the instant in (SOURCE_DATE_EPOCH), or leave it out",
        "FROM alpine:3.20\nRUN date > /built\n",
        "FROM alpine:3.20\nARG SOURCE_DATE_EPOCH=0\nRUN date -u -d @$SOURCE_DATE_EPOCH > /released\n",
        _date_in_run,
    ),
    Rule(
        "RandomInRun",
        "note",
        "No step draws random numbers.",
        "`$RANDOM`, `/dev/urandom`, `uuidgen` and keys that are made in a step differ in each"
        " build. A key or an identifier that is baked into an image is also the same in all its containers,"
        " which is hardly what was meant: make it when the container starts.",
        "make it when the container starts, or give it a fixed value",
        "FROM alpine:3.20\nRUN echo $RANDOM > /etc/instance-id\n",
        'FROM alpine:3.20\nENTRYPOINT ["/make-id-and-start"]\n',
        _random_in_run,
    ),
    Rule(
        "CacheMount",
        "note",
        "What a step makes does not depend on its cache mounts.",
        "A cache mount has what earlier builds left there, or nothing. Used for downloads and for the caches"
        " of compilers that check what they find, it saves time and changes nothing. If the step copies"
        " something out of it, or builds on what is there, the image depends on which builds were made"
        " before. Try the build with an empty cache and compare the digests.",
        "make sure that the step gives the same result with an empty cache",
        "FROM golang:1.23\nRUN --mount=type=cache,target=/root/.cache go build -o /app .\n",
        "FROM golang:1.23\nRUN go build -o /app .\n",
        _cache_mount,
    ),
    Rule(
        "BuildDate",
        "note",
        "The time of the build is not an input of the image.",
        "An argument such as `BUILD_DATE`, or a label with the time of the build, makes each image different,"
        " also where nothing changed. The image's `created` field has the epoch already; the time of the"
        " commit is the same for all who build it.",
        "leave it out, or use the commit's time (--source-date-epoch)",
        "FROM alpine:3.20\nARG BUILD_DATE\nLABEL org.opencontainers.image.created=$BUILD_DATE\n",
        "FROM alpine:3.20\nARG REVISION=unknown\nLABEL org.opencontainers.image.revision=$REVISION\n",
        _build_date,
    ),
)
