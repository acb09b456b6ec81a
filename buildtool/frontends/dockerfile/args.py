"""Build arguments: the predefined ones, the automatic ones, and those before the first FROM."""

from collections.abc import Mapping

from buildtool.diag import BuildError, Warned, suggestion
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.expand import Expander
from buildtool.frontends.dockerfile.request import Request

#: Docker's predefined arguments: they can be given without being declared.
PREDEFINED = frozenset(
    name
    for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (proxy, proxy.lower())
)

#: The host name that a step sees.
HOSTNAME_ARG = "BUILDKIT_SANDBOX_HOSTNAME"
DEFAULT_HOSTNAME = "buildkitsandbox"


def automatic(file: tree.File, request: Request) -> dict[str, str]:
    """The arguments that a build has by itself; `--build-arg` wins over them."""
    last = file.stages[-1].start.alias
    args: dict[str, str] = {}
    for role, platform in (("BUILD", request.build_platform), ("TARGET", request.platform)):
        args[f"{role}PLATFORM"] = str(platform)
        args[f"{role}OS"] = platform.os
        args[f"{role}OSVERSION"] = ""
        args[f"{role}ARCH"] = platform.architecture
        args[f"{role}VARIANT"] = platform.variant
    args["TARGETSTAGE"] = request.target or (last.text.lower() if last else "default")
    return {name: request.build_args.get(name, value) for name, value in args.items()}


def proxies(request: Request) -> tuple[tuple[str, str], ...]:
    """The predefined proxy arguments that were given, in both cases of letters, as BuildKit has them."""
    given = {name.lower(): value for name, value in request.build_args.items() if name in PREDEFINED}
    return tuple(
        (spelled, value) for name, value in sorted(given.items()) for spelled in (name.upper(), name)
    )


def global_args(file: tree.File, request: Request, expander: Expander) -> dict[str, str]:
    """The arguments that FROM sees, and that ARG without a value takes in a stage."""
    args = automatic(file, request)
    for node in file.preamble:
        for pair in node.pairs:
            if pair.name in request.build_args:
                args[pair.name] = request.build_args[pair.name]
            elif pair.value is not None:
                try:
                    args[pair.name] = expander.word(pair.value, args)
                except BuildError as error:
                    raise error.at(file.span(request.filename, pair.at)) from None
    return args


def unused(file: tree.File, request: Request) -> list[Warned]:
    """A warning for each build argument that nothing declares."""
    declared = {pair.name for node in file.preamble for pair in node.pairs}
    for stage in file.stages:
        for node in stage.body:
            if isinstance(node, tree.Arg):
                declared.update(pair.name for pair in node.pairs)
            elif isinstance(node, tree.Onbuild):
                # A trigger can declare it where it runs.
                declared.update(node.trigger.replace("=", " ").split())
    return [
        Warned(
            "unused-build-arg", f"no ARG declares the build argument {name}", None, suggestion(name, declared)
        )
        for name in sorted(_wanted(request.build_args) - declared)
    ]


def _wanted(build_args: Mapping[str, str]) -> set[str]:
    automatic_names = {f"{role}{part}" for role in ("BUILD", "TARGET") for part in _PLATFORM_PARTS}
    known = PREDEFINED | automatic_names | {"SOURCE_DATE_EPOCH", "TARGETSTAGE"}
    return {name for name in build_args if name not in known and not name.startswith("BUILDKIT_")}


_PLATFORM_PARTS = ("PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT")
