"""The entry of the command line, and the boundary where every error becomes a message and a status."""

import gc
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import click

from buildtool import __version__
from buildtool.cli.lazy import Lazy, LazyGroup
from buildtool.cli.streams import prepare, stop_writing
from buildtool.diag import BuildError

#: 1 and 2 come with a BuildError: a build that failed, an input that is wrong.
INTERRUPTED = 130
INTERNAL = 70

COMMANDS = {
    "build": Lazy("buildtool.cli.build", "Build an image from a Dockerfile or BUILD.star files."),
    "run": Lazy("buildtool.cli.run", "Run a command in an image."),
    "test": Lazy("buildtool.cli.test", "Run the tests of images that BUILD.star files declare."),
    "query": Lazy("buildtool.cli.query", "Find targets of BUILD.star files and what they need."),
    "lint": Lazy("buildtool.cli.lint", "Check Dockerfiles and BUILD.star files for mistakes."),
    "lock": Lazy("buildtool.cli.lock", "Pin what moves, let pins move, and say what changed."),
    "fmt": Lazy("buildtool.cli.fmt", "Format BUILD.star files and what they load."),
    "dockerfile": Lazy("buildtool.cli.dockerfile", "Show how a Dockerfile is read."),
    "graph": Lazy("buildtool.cli.graph", "Print the steps of a build as text, without building."),
    "explain": Lazy("buildtool.cli.explain", "Say why a target would be built again."),
    "init": Lazy("buildtool.cli.init", "Write a first BUILD.star, or one from a Dockerfile."),
    "login": Lazy("buildtool.cli.login", "Keep the login of a registry."),
    "logout": Lazy("buildtool.cli.logout", "Forget the login of a registry."),
    "pull": Lazy("buildtool.cli.pull", "Pull images from registries into the store."),
    "push": Lazy("buildtool.cli.push", "Push an image of the store, or a target, to a registry."),
    "tags": Lazy("buildtool.cli.tags", "List the tags of a repository in a registry."),
    "copy": Lazy("buildtool.cli.copy", "Copy an image between registries, layouts and archives."),
    "serve": Lazy("buildtool.cli.serve", "Serve the store as a registry for this machine."),
    "images": Lazy("buildtool.cli.images", "List the images of the store."),
    "tag": Lazy("buildtool.cli.tag", "Give an image of the store more names."),
    "rmi": Lazy("buildtool.cli.rmi", "Forget names of images, or delete images in registries."),
    "prune": Lazy("buildtool.cli.prune", "Remove what no image needs and no build used for a while."),
    "save": Lazy("buildtool.cli.save", "Write images of the store into an archive."),
    "load": Lazy("buildtool.cli.load", "Take images from an archive, or hand them to Docker or podman."),
    "export": Lazy("buildtool.cli.export", "Write the files of an image."),
    "diff": Lazy("buildtool.cli.diff", "Say where two images differ, and why."),
    "sbom": Lazy("buildtool.cli.sbom", "Print what is in an image: packages and files."),
    "attest": Lazy("buildtool.cli.attest", "Build an image again, and sign that it came out the same."),
    "keygen": Lazy("buildtool.cli.keygen", "Make a key to sign statements with."),
    "provenance": Lazy("buildtool.cli.provenance", "Print where an image comes from."),
    "verify": Lazy("buildtool.cli.verify", "Build again in another world, and compare."),
    "inspect": Lazy("buildtool.cli.inspect", "Show an image: its digest, layers and configuration."),
    "validate": Lazy("buildtool.cli.validate", "Work out every digest of an image again."),
}


#: How `--help` groups them.
SECTIONS = {
    "Build": ("build", "run", "test", "lock", "init"),
    "Look at builds": ("graph", "explain", "query", "lint", "fmt", "dockerfile"),
    "Images": ("images", "tag", "rmi", "prune", "inspect", "save", "load", "export"),
    "Registries": ("login", "logout", "pull", "push", "copy", "tags", "serve"),
    "Trust": ("verify", "diff", "validate", "attest", "keygen", "provenance", "sbom"),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="buildtool", message="%(prog)s %(version)s")
def group() -> None:
    """Builds OCI container images that are the same, bit for bit, on every machine."""


class Terminated(BaseException):
    """A signal asked the process to end; only this module may catch it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def main() -> NoReturn:
    """Run the command of `sys.argv`; never returns."""
    # The process is short and makes hardly a cycle, but a row for every file of a context:
    # looking for cycles at the usual rate takes a fifth of the time of a scan.
    gc.set_threshold(50_000, 20, 100)
    prepare()
    status = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        stop_writing()
    except BuildError as error:
        _tell(error)
        status = error.exit_status
    if status == INTERRUPTED:
        # Where the interrupt came while a class was made, CPython would end by the signal, with no status.
        os._exit(status)
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Carry the command out and return its exit status; whatever goes wrong is told on stderr."""
    asked: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)
    status = _run(arguments, asked)
    # Python drops what is raised in some places: a failure after that is the end that was asked for.
    return 128 + asked[0] if asked and status else status


def _run(arguments: list[str], asked: list[int]) -> int:
    try:
        status = group.main(arguments, prog_name="buildtool", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except BuildError as error:
        _tell(error)
        return error.exit_status
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return 2
    except click.UsageError as error:
        _tell(_usage(error))
        return 2
    except click.ClickException as error:
        _tell(BuildError("bad-usage", error.format_message()))
        return 2
    except Terminated as end:
        return 128 + end.number
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        stop_writing()
        return 128 + signal.SIGPIPE
    except Exception as error:
        if asked:
            return INTERRUPTED
        from buildtool.cli.crash import report

        _tell(report(error, arguments))
        return INTERNAL


def _tell(error: BuildError) -> None:
    from buildtool.cli.console import style_of
    from buildtool.diag import render

    try:
        print(render(error, style_of(sys.stderr)), file=sys.stderr, flush=True)
    except (BrokenPipeError, BuildError):
        # Standard error takes no more: the status alone can tell.
        stop_writing()


def _usage(error: click.UsageError) -> BuildError:
    path = error.ctx.command_path if error.ctx else "buildtool"
    return BuildError("bad-usage", error.format_message(), hint=f"{path} --help shows how it is called")
