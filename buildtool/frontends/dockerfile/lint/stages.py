"""Rules on FROM: the names of stages, base images and platforms (all BuildKit's)."""

import re
from collections.abc import Iterator
from dataclasses import replace

from buildtool.diag import BuildError, suggestion
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.args import global_args
from buildtool.frontends.dockerfile.expand import Expander, Style
from buildtool.frontends.dockerfile.lint.facts import Expanded, Facts, expanded
from buildtool.frontends.dockerfile.lint.rule import Broken, Rule
from buildtool.frontends.dockerfile.reference import familiar
from buildtool.frontends.dockerfile.tree import Place
from buildtool.frontends.dockerfile.values import platform as parse_platform

#: Names that FROM and COPY --from know already.
RESERVED = ("context", "scratch")


def _stage_name_casing(facts: Facts) -> Iterator[Broken]:
    for stage in facts.file.stages:
        alias = stage.start.alias
        if alias is not None and alias.text != alias.text.lower():
            yield Broken(
                alias.at,
                f"Stage name '{alias.text}' should be lowercase",
                f"write AS {alias.text.lower()}",
            )


def _from_as_casing(facts: Facts) -> Iterator[Broken]:
    for stage in facts.file.stages:
        start = stage.start
        if start.alias is None:
            continue
        word, keyword = start.text.split(maxsplit=1)[0], start.text.split()[-2]
        # A word that is neither is ConsistentInstructionCasing's.
        if word == word.lower() and keyword != keyword.lower():
            right = keyword.lower()
        elif word == word.upper() and keyword != keyword.upper():
            right = keyword.upper()
        else:
            continue
        yield Broken(
            _keyword_place(facts, start, keyword),
            f"'{keyword}' and '{word}' keywords' casing do not match",
            f"write {right}",
        )


def _keyword_place(facts: Facts, start: tree.From, keyword: str) -> Place:
    base = start.base.at
    behind = Place(base.end_line, base.end_column, start.at.end_line, start.at.end_column)
    return facts.find(behind, rf"(?<!\S){re.escape(keyword)}(?!\S)")


def _duplicate_stage_name(facts: Facts) -> Iterator[Broken]:
    seen: dict[str, int] = {}
    for stage in facts.stages:
        alias = stage.node.start.alias
        if alias is not None and stage.name in seen:
            yield Broken(
                alias.at,
                f'Duplicate stage name "{stage.name}" (line {seen[stage.name]} has it too); '
                "stage names should be unique",
            )
        elif alias is not None:
            seen[stage.name] = alias.at.line


def _reserved_stage_name(facts: Facts) -> Iterator[Broken]:
    for stage in facts.stages:
        alias = stage.node.start.alias
        if alias is not None and stage.name in RESERVED:
            yield Broken(alias.at, f'A stage should not have the reserved name "{stage.name}"')


def _undefined_arg_in_from(facts: Facts) -> Iterator[Broken]:
    for stage in facts.stages:
        for found in (stage.base, stage.platform):
            for name in sorted(found.unset - facts.global_names) if found else ():
                near = suggestion(name, facts.global_names)
                yield Broken(
                    found.at if found else stage.node.start.at,
                    f"FROM argument '{name}' is not declared{f' ({near})' if near else ''}",
                    _sentence(near) or f"declare it with ARG {name} before the first FROM",
                )


def _sentence(question: str) -> str:
    return question[:1].upper() + question[1:]


def _invalid_default_arg_in_from(facts: Facts) -> Iterator[Broken]:
    for at, word in _invalid_defaults(facts):
        yield Broken(at, f"Default value for ARG {word} results in empty or invalid base image name")


def _invalid_defaults(facts: Facts) -> Iterator[tuple[Place, str]]:
    """The base names that are none as long as no build argument is given."""
    arguments = _without_build_args(facts)
    for stage in facts.stages if arguments is not None else ():
        base = stage.node.start.base
        found = expanded(base.text, base.at, facts.file.escape, arguments or {})
        if found is None:
            return
        try:
            familiar(found.value)
        except BuildError:
            yield base.at, base.text


def _without_build_args(facts: Facts) -> dict[str, str] | None:
    try:
        bare = replace(facts.request, build_args={})
        return global_args(facts.file, bare, Expander(Style(escape=facts.file.escape)))
    except BuildError:
        return None


def _redundant_target_platform(facts: Facts) -> Iterator[Broken]:
    for stage in facts.stages:
        found = stage.platform
        if found is None or found.unset or found.matched != {"TARGETPLATFORM"}:
            continue
        if found.value == facts.arguments.get("TARGETPLATFORM"):
            yield Broken(
                found.at,
                f"Setting platform to predefined {found.word} in FROM is redundant: it is the default",
            )


def _from_platform_flag_const_disallowed(facts: Facts) -> Iterator[Broken]:
    for stage in facts.stages:
        found = stage.platform
        if found is None or found.matched or found.unset or _is_in_name(found, stage.name, facts):
            continue
        yield Broken(found.at, f'FROM --platform flag should not use constant value "{found.value}"')


def _is_in_name(found: Expanded, name: str, facts: Facts) -> bool:
    """Whether the stage says in its name that it is for this platform; true also for what is no platform."""
    try:
        wanted = parse_platform(found.value, facts.request.build_platform)
    except BuildError:
        return True
    return wanted.os in name or wanted.architecture in name


def _invalid_base_image_platform(facts: Facts) -> Iterator[Broken]:
    for stage in facts.stages:
        began = stage.began
        if began is None or began.image is None or began.wanted is None or began.name in facts.unknown:
            continue
        wanted, actual = began.wanted, began.image.platform
        if (wanted.os, wanted.architecture) != (actual.os, actual.architecture):
            yield Broken(
                stage.node.start.base.at,
                f'Base image {began.name} is for platform "{actual}", expected "{wanted}" for this build',
            )


RULES = (
    Rule(
        "StageNameCasing",
        "warning",
        "The name of a stage is written in lower case.",
        "Stage names are compared without regard to case, so `AS Builder` and `--from=builder` name the same"
        " stage. Written in one case only, names can be searched for, and cannot be mistaken for"
        " two.",
        "write the name in lower case",
        "FROM alpine:3.20 AS Builder\n",
        "FROM alpine:3.20 AS builder\n",
        _stage_name_casing,
    ),
    Rule(
        "FromAsCasing",
        "warning",
        "`FROM` and `AS` are written in the same case.",
        "Both keywords are of one instruction; `FROM ... as` mixes two styles and makes stage names harder"
        " to see.",
        "write FROM and AS in the same case",
        "FROM alpine:3.20 as builder\n",
        "FROM alpine:3.20 AS builder\n",
        _from_as_casing,
    ),
    Rule(
        "DuplicateStageName",
        "warning",
        "Each stage has a name of its own.",
        "A name that two stages share means the later one from there on, so that what `--target` and `--from`"
        " mean depends on where they are used.",
        "give the stage another name",
        "FROM alpine:3.20 AS app\nFROM debian:12 AS app\n",
        "FROM alpine:3.20 AS build\nFROM debian:12 AS app\n",
        _duplicate_stage_name,
        whole=True,
    ),
    Rule(
        "ReservedStageName",
        "warning",
        "A stage is called neither `scratch` nor `context`.",
        "`scratch` is the empty image and `context` the build context; a stage of that name cannot be used as"
        " a base, and readers take it for something else.",
        "give the stage another name",
        "FROM alpine:3.20 AS scratch\n",
        "FROM alpine:3.20 AS base\n",
        _reserved_stage_name,
        whole=True,
    ),
    Rule(
        "UndefinedArgInFrom",
        "warning",
        "`FROM` uses only arguments that are declared before the first `FROM`.",
        "An argument that nothing declares is empty: `FROM alpine:$VERSOIN` asks for another image than its"
        " author meant. Besides the declared ones, the platform arguments (`BUILDPLATFORM`, `TARGETARCH` and"
        " so on) can be used.",
        "declare the argument before the first FROM",
        "ARG VERSION=3.20\nFROM alpine:${VERSOIN}\n",
        "ARG VERSION=3.20\nFROM alpine:${VERSION}\n",
        _undefined_arg_in_from,
    ),
    Rule(
        "InvalidDefaultArgInFrom",
        "warning",
        "Without any `--build-arg`, every `FROM` has a name of an image.",
        "An argument before the first `FROM` that has no default, or one that makes no name, makes the plain"
        " `build .` fail: everyone has to know which arguments to give.",
        "give the ARG a default with which the name is right",
        "ARG VERSION\nFROM alpine:${VERSION}\n",
        "ARG VERSION=3.20\nFROM alpine:${VERSION}\n",
        _invalid_default_arg_in_from,
        whole=True,
    ),
    Rule(
        "RedundantTargetPlatform",
        "warning",
        "`--platform=$TARGETPLATFORM` is left out: it is the default.",
        "A base image is taken for the target platform anyway. Saying so adds nothing, and hides those"
        " `FROM`s that mean another platform.",
        "leave --platform out",
        "FROM --platform=$TARGETPLATFORM alpine:3.20\n",
        "FROM alpine:3.20\n",
        _redundant_target_platform,
    ),
    Rule(
        "FromPlatformFlagConstDisallowed",
        "warning",
        "`FROM --platform` takes a variable, unless the name of the stage says which platform it is for.",
        "A constant platform builds the same image whatever `--platform` asks for, and running its steps on"
        " another machine needs emulation. `$BUILDPLATFORM` is what cross-compilers need. A stage whose name"
        " has the platform in it (`AS build_amd64`) is plainly meant for it and is left alone.",
        "use $BUILDPLATFORM or leave --platform out",
        "FROM --platform=linux/amd64 alpine:3.20 AS base\n",
        "FROM --platform=$BUILDPLATFORM alpine:3.20 AS base\n",
        _from_platform_flag_const_disallowed,
    ),
    Rule(
        "InvalidBaseImagePlatform",
        "warning",
        "A base image is for the platform that is built for.",
        "An image that exists for another platform only can be taken, but its programs will not run on the"
        " target. Often the tag was pushed from a laptop with another processor.",
        "use a base image that exists for the platform, or say --platform",
        "# docker.example/tools:1 exists for linux/arm64 only; the build is for linux/amd64\n"
        "FROM docker.example/tools:1\n",
        "# docker.example/tools:2 exists for both\nFROM docker.example/tools:2\n",
        _invalid_base_image_platform,
        whole=True,
    ),
)
