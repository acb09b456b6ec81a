"""The options that say what to build, shared by the commands that need a graph."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from buildtool.cli.access import Access
from buildtool.cli.cachespecs import parse_cache_from, parse_cache_to
from buildtool.cli.lending import parse_lending
from buildtool.cli.names import parse_name
from buildtool.cli.outputs import one_compression, parse_output
from buildtool.cli.platforms import parse_platforms
from buildtool.cli.request import (
    BuildRequest,
    LabelSubject,
    Subject,
    pairs,
    parse_epoch,
    parse_network,
    parse_subject,
)
from buildtool.diag import BuildError

F = TypeVar("F", bound=Callable[..., Any])

#: Options of `docker buildx build` and `buildah` that have no meaning here yet.  Scripts often
#: switch them off, which is what we do anyhow: such values are taken.
NOT_YET = {
    "--add-host": "further host names in RUN steps",
}
_ANYBODY = Access()
_OFF = ("false", "0", "off", "disabled=true")
_ON = ("true", "1", "on")

_SUBJECT = (
    click.argument("what", nargs=-1, metavar="[CONTEXT | LABEL...]"),
    click.option(
        "-f", "--file", default="", metavar="PATH", help="The Dockerfile. [default: CONTEXT/Dockerfile]"
    ),
    click.option("--target", default="", metavar="STAGE", help="The stage to build. [default: the last]"),
    click.option("--build-arg", multiple=True, metavar="KEY=VALUE", help="A value for ARG."),
    click.option(
        "--build-context",
        multiple=True,
        metavar="NAME=PLACE",
        help="A named context: a folder, docker-image://NAME, oci-layout://DIR, target:LABEL, or a URL.",
    ),
    click.option(
        "--platform",
        multiple=True,
        metavar="OS/ARCH[,...]",
        help="The platforms to build for. [default: this one]",
    ),
    click.option("--label", multiple=True, metavar="KEY=VALUE", help="A label of the image's configuration."),
    click.option("--annotation", multiple=True, metavar="KEY=VALUE", help="An annotation of the manifest."),
    click.option(
        "--source-date-epoch",
        metavar="SECONDS",
        help="The instant of every time in the image. [default: $SOURCE_DATE_EPOCH, else 1980-01-01]",
    ),
    click.option(
        "--network", default="default", metavar="MODE", help="Network of RUN steps: default, none, host."
    ),
    click.option(
        "--secret", multiple=True, metavar="id=ID,src=PATH", help="A secret for RUN steps; or id=ID,env=NAME."
    ),
    click.option("--ssh", multiple=True, metavar="default|ID=SOCKET", help="An SSH agent for RUN steps."),
    click.option(
        "--allow",
        multiple=True,
        metavar="ENTITLEMENT",
        help="What RUN steps may ask for: network.host, security.insecure.",
    ),
    click.option("--flag", multiple=True, metavar="NAME=VALUE", help="A flag that select() asks about."),
    click.option("--locked", is_flag=True, help="Fail if buildtool.lock would change."),
    click.option("--offline", is_flag=True, help="Use no network, nor change buildtool.lock."),
    click.option(
        "--bundle", multiple=True, metavar="DIR", help="Take what is missing from what `lock bundle` wrote."
    ),
    click.option("--no-lock", is_flag=True, help="Neither read nor write buildtool.lock."),
)


def subject_options(command: F) -> F:
    """Give a command the options that say what to build."""
    for option in reversed(_SUBJECT):
        command = option(command)
    return command


def not_yet_options(command: F) -> F:
    """Give a command the options that are known and refused, with a message that says so."""
    for flag, what in NOT_YET.items():
        command = click.option(flag, multiple=True, hidden=True, expose_value=False, callback=_refuse(what))(
            command
        )
    return command


def _refuse(what: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def refuse(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if not value or (isinstance(value, str) and value.lower() in _OFF):
            return
        raise BuildError("not-yet", f"{parameter.opts[0]} is not supported yet ({what})")

    return refuse


def request_of(
    *,
    what: tuple[str, ...],
    file: str,
    target: str,
    build_arg: tuple[str, ...],
    build_context: tuple[str, ...],
    platform: tuple[str, ...],
    label: tuple[str, ...],
    annotation: tuple[str, ...],
    source_date_epoch: str | None,
    network: str,
    locked: bool,
    no_lock: bool,
    offline: bool = False,
    bundle: tuple[str, ...] = (),
    secret: tuple[str, ...] = (),
    ssh: tuple[str, ...] = (),
    allow: tuple[str, ...] = (),
    tag: tuple[str, ...] = (),
    output: tuple[str, ...] = (),
    jobs: int | None = None,
    no_cache: bool = False,
    flag: tuple[str, ...] = (),
    load: bool = False,
    cache_from: tuple[str, ...] = (),
    cache_to: tuple[str, ...] = (),
    access: Access = _ANYBODY,
) -> BuildRequest:
    """The request that these options make together; BuildError where they contradict each other."""
    if no_lock and (locked or offline):
        raise BuildError("bad-usage", "--no-lock and --locked or --offline contradict each other")
    subject = parse_subject(what, file=file, target=target, build_args=build_arg, contexts=build_context)
    _check_subject(subject, network, flag)
    outputs = tuple(parse_output(o) for o in (*output, *(("type=docker",) if load else ())))
    names = [parse_name(n) for n in (*tag, *(n for o in outputs for n in o.names))]
    if isinstance(subject, LabelSubject) and len(subject.labels) > 1 and (names or outputs):
        raise BuildError("bad-usage", "a name or an output is for one target, and here are several")
    request = BuildRequest(
        subject,
        parse_platforms(platform),
        parse_epoch(source_date_epoch, os.environ),
        parse_network(network),
        tuple(dict.fromkeys(names)),
        pairs("--label", label),
        pairs("--annotation", annotation),
        outputs,
        one_compression(outputs),
        jobs or len(os.sched_getaffinity(0)),
        no_cache,
        locked,
        not no_lock,
        offline,
        bundle,
        lending=parse_lending(secret, ssh, allow, os.environ),
        flags=flag,
        cache_from=tuple(parse_cache_from(text) for text in cache_from),
        cache_to=tuple(parse_cache_to(text) for text in cache_to),
    )
    return replace(request, access=access.to(request.hosts))


def _check_subject(subject: Subject, network: str, flag: tuple[str, ...]) -> None:
    """Refuse options that are for the other kind of subject."""
    if isinstance(subject, LabelSubject) and network != "default":
        raise BuildError("bad-usage", "--network is for Dockerfiles; a target says it in its BUILD.star file")
    if flag and not isinstance(subject, LabelSubject):
        raise BuildError("bad-usage", "--flag is for targets of BUILD.star files", hint="--build-arg")


def parse_beside(provenance: str | None, sbom: str | None) -> tuple[str, ...]:
    """`--provenance` (also buildx's `mode=...`) and `--sbom` (`spdx`, `cyclonedx`) as what is asked for."""
    found = []
    if provenance and provenance.lower() not in _OFF:
        if provenance.lower() not in (*_ON, "mode=min", "mode=max"):
            raise BuildError("bad-usage", f"--provenance={provenance}", hint="true or false")
        found.append("provenance")
    for form in (sbom or "").split(","):
        if form.lower() in ("", *_OFF):
            continue
        chosen = "spdx" if form.lower() in _ON else form.lower()
        if chosen not in ("spdx", "cyclonedx"):
            hint = "true, false, spdx or cyclonedx; no generator is run"
            raise BuildError("bad-usage", f"--sbom={sbom}", hint=hint)
        found.append(chosen)
    return tuple(dict.fromkeys(found))
