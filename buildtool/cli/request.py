"""What the user asked to be built, read from flags and environment and checked."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast, get_args

from buildtool.cli.access import Access
from buildtool.cli.cachespecs import CacheSpec
from buildtool.cli.contexts import is_elsewhere
from buildtool.cli.lending import Lending
from buildtool.cli.names import parse_name
from buildtool.cli.outputs import Output
from buildtool.diag import BuildError
from buildtool.graph.model import Network, Platform
from buildtool.reference import Reference

#: 1980-01-01T00:00:00Z, which every archive format can write down.
DEFAULT_EPOCH = 315532800
#: The last second of the year 9999: later ones do not fit an RFC 3339 date.
LAST_EPOCH = 253402300799
#: What the place of a named context begins with that is an image of a registry.
_CONTEXT = "docker-image://"


@dataclass(frozen=True, slots=True)
class DockerfileSubject:
    """A Dockerfile with its context, a folder, `-` (standard input), or an address.

    `file` is empty for CONTEXT/Dockerfile and `-` for standard input.
    """

    context: str
    file: str = ""
    target: str = ""
    build_args: tuple[tuple[str, str], ...] = ()
    contexts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LabelSubject:
    """Targets of BUILD.star files, as labels written in the folder `folder`."""

    labels: tuple[str, ...]
    folder: str


Subject: TypeAlias = DockerfileSubject | LabelSubject


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """All that a build depends on, and where its result goes; `epoch` in seconds.

    `bundles` are folders to take what is missing from.  `update` are patterns of pins to
    find anew, `prune` drops those that nothing asks for.
    `beside` says what is told about an image next to it: `provenance`, `spdx`, `cyclonedx`.
    """

    subject: Subject
    platforms: tuple[Platform, ...]
    epoch: int = DEFAULT_EPOCH
    network: Network = "default"
    names: tuple[Reference, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    outputs: tuple[Output, ...] = ()
    compression: str = "gzip"
    jobs: int = 1
    no_cache: bool = False
    locked: bool = False
    use_lock: bool = True
    offline: bool = False
    bundles: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    prune: bool = False
    lending: Lending = Lending()
    flags: tuple[str, ...] = ()
    cache_from: tuple[CacheSpec, ...] = ()
    cache_to: tuple[CacheSpec, ...] = ()
    beside: tuple[str, ...] = ()
    access: Access = Access()
    pull: bool = False

    @property
    def pushes(self) -> bool:
        """Whether the result goes to registries."""
        return any(output.push for output in self.outputs)

    @property
    def push_names(self) -> tuple[Reference, ...]:
        """The names under which the result goes to registries: an output's own, else all."""
        pushed = [o for o in self.outputs if o.push]
        return tuple(dict.fromkeys(n for o in pushed for n in map(parse_name, o.names))) or (
            self.names if pushed else ()
        )

    @property
    def hosts(self) -> Iterator[str]:
        """The registries that the command line names: those pushed to, else those of caches and contexts.

        Those of base images are not among them: a Dockerfile names them.
        """
        pushed = [name.host for name in self.push_names]
        return iter(pushed) if pushed else map(_host, self._named)

    @property
    def _named(self) -> Iterator[str]:
        for spec in (*self.cache_to, *self.cache_from):
            if spec.kind == "registry":
                yield spec.place
        if isinstance(self.subject, DockerfileSubject):
            for place in dict(self.subject.contexts).values():
                if place.startswith(_CONTEXT):
                    yield place.removeprefix(_CONTEXT)


def _host(name: str) -> str:
    from buildtool.registry.reference import parse_reference

    return parse_reference(name).host


def is_label(text: str) -> bool:
    """Whether an argument of the command line names a target rather than a folder."""
    return text.startswith(("//", ":", "@"))


def parse_subject(
    arguments: tuple[str, ...],
    *,
    file: str,
    target: str,
    build_args: tuple[str, ...],
    contexts: tuple[str, ...],
) -> Subject:
    """A context folder, or labels; never both."""
    if not arguments:
        raise BuildError(
            "bad-usage",
            "nothing to build: name the folder of the build context, or targets",
            hint="for example: buildtool build .    or: buildtool build //app:image",
        )
    labels = [a for a in arguments if is_label(a)]
    if labels:
        return _labels(arguments, labels, file, target, build_args, contexts)
    if len(arguments) > 1:
        raise BuildError("bad-usage", f"one build context at a time, not {len(arguments)}")
    context = arguments[0]
    if not os.path.isdir(context) and not is_elsewhere(context):
        what = "is not a folder" if os.path.exists(context) else "does not exist"
        raise BuildError("no-context", f"the build context {context!r} {what}")
    return DockerfileSubject(
        context,
        file,
        target,
        pairs("--build-arg", build_args, environment=os.environ),
        pairs("--build-context", contexts),
    )


def _labels(
    arguments: tuple[str, ...],
    labels: list[str],
    file: str,
    target: str,
    build_args: tuple[str, ...],
    contexts: tuple[str, ...],
) -> LabelSubject:
    if len(labels) < len(arguments):
        other = next(a for a in arguments if not is_label(a))
        raise BuildError("bad-usage", f"{other!r} is no label, and labels and folders do not mix")
    flags = {"--file": file, "--target": target, "--build-arg": build_args, "--build-context": contexts}
    for flag, value in flags.items():
        if value:
            raise BuildError(
                "bad-usage", f"{flag} is for Dockerfiles; a target says this in its BUILD.star file"
            )
    return LabelSubject(arguments, os.getcwd())


def pairs(
    flag: str, values: Iterable[str], *, environment: Mapping[str, str] | None = None
) -> tuple[tuple[str, str], ...]:
    """`KEY=VALUE` each; a bare `KEY` takes its value from the environment where one is given, as docker does.

    The last value of a key counts.
    """
    found: dict[str, str] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not key or (not equals and environment is None):
            raise BuildError("bad-usage", f"{flag} {text!r} is not KEY=VALUE")
        if equals:
            found[key] = value
        elif environment is not None and key in environment:
            found[key] = environment[key]
    return tuple(found.items())


def parse_epoch(flag: str | None, environment: Mapping[str, str]) -> int:
    """The flag, else SOURCE_DATE_EPOCH (reproducible-builds.org), else 1980-01-01T00:00:00Z."""
    text, where = (flag, "--source-date-epoch") if flag else (environment.get("SOURCE_DATE_EPOCH", ""), "")
    if not text:
        return DEFAULT_EPOCH
    where = where or "SOURCE_DATE_EPOCH"
    digits = text.isascii() and text.isdigit() and len(text) <= 12
    if not digits or int(text) > LAST_EPOCH:
        raise BuildError(
            "bad-epoch",
            f"{where} is {text!r}, which is not a number of seconds since 1970-01-01T00:00:00Z",
        )
    return int(text)


def parse_network(text: str) -> Network:
    """`default` (recorded where a step needs it), `none`, or `host`."""
    if text not in get_args(Network):
        raise BuildError("bad-usage", f"--network is not {text!r}", hint="it is default, none or host")
    return cast(Network, text)
