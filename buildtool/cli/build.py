"""`buildtool build`: from a Dockerfile or targets to images, with everything that is written about them."""

import time
from dataclasses import replace
from typing import Any

import click

from buildtool.cli.access import access_options
from buildtool.cli.options import not_yet_options, parse_beside, request_of, subject_options
from buildtool.cli.request import DockerfileSubject
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError

_MODES = ("auto", "plain", "tty", "rawjson", "quiet")


@click.command("build", cls=SwitchCommand)
@subject_options
@click.option("-t", "--tag", multiple=True, metavar="NAME", help="A name for the image.")
@click.option(
    "-o",
    "--output",
    multiple=True,
    metavar="SPEC",
    help="Where to write: type=oci,dest=FILE.tar; type=oci,dest=DIR,tar=false; type=docker,dest=FILE.tar;"
    " with compression=gzip or zstd; type=registry,name=NAME."
    " Or the files: type=local,dest=DIR; type=tar,dest=FILE.tar."
    " [default: the store alone]",
)
@click.option("--load", is_flag=True, help="Hand the image to docker, podman or containerd.")
@click.option("--iidfile", default="", metavar="FILE", help="Write the digest of the image to a file.")
@click.option(
    "--metadata-file", default="", metavar="FILE", help="Write what is known of the result as JSON."
)
@click.option(
    "--progress",
    type=click.Choice(_MODES),
    default="auto",
    metavar="MODE",
    help="How progress is shown: auto, plain, tty, rawjson, quiet.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but the digest.")
@click.option(
    "--cache-from",
    multiple=True,
    metavar="SPEC",
    help="A cache to take results from: type=local,src=DIR; type=registry,ref=NAME; or a NAME.",
)
@click.option(
    "--cache-to",
    multiple=True,
    metavar="SPEC",
    help="A cache to write: type=local,dest=DIR; type=registry,ref=NAME; type=inline; with mode=max for"
    " all steps.",
)
@click.option("--no-cache", is_flag=True, help="Carry every step out again.")
@click.option("--check", is_flag=True, help="Check the Dockerfile and build nothing.")
@click.option(
    "--provenance", is_flag=False, flag_value="true", metavar="BOOL", help="Put provenance beside outputs."
)
@click.option(
    "--sbom",
    is_flag=False,
    flag_value="true",
    metavar="FORMAT",
    help="Put a bill of materials beside outputs: spdx, cyclonedx.",
)
@click.option("--pull", is_flag=True, help="Look up base images anew.")
@click.option("--push", is_flag=True, help="Push the image under its names.")
@access_options
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Steps at once. [default: CPUs]")
@not_yet_options
def command(
    *,
    iidfile: str,
    metadata_file: str,
    progress: str,
    quiet: bool,
    check: bool,
    pull: bool,
    push: bool,
    provenance: str | None,
    sbom: str | None,
    **options: Any,
) -> int:
    """Build an image.

    CONTEXT is the folder of files that a Dockerfile may copy, or - for a tar archive or a Dockerfile on
    standard input, or the URL of a git repository (https://HOST/PATH.git#REF:FOLDER) or of a tar
    archive. A LABEL such as //app:image or
    :image names a target of a BUILD.star file. The result is kept in the store under its names,
    and written wherever --output says.
    """
    begun = time.monotonic()
    if push:
        options["output"] += ("type=registry",)
    request = replace(
        request_of(**options),
        beside=parse_beside(provenance, sbom),
        pull=pull,
    )
    if request.pushes and not request.push_names and isinstance(request.subject, DockerfileSubject):
        raise BuildError("bad-usage", "there is no name to push the image to", hint="-t HOST/PATH:TAG")
    if quiet and progress not in ("auto", "quiet"):
        raise BuildError("bad-usage", f"--quiet and --progress={progress} contradict each other")
    if check:
        from buildtool.cli.checking import check_request

        return check_request(request)
    from buildtool.cli.progress.choose import choose
    from buildtool.cli.progress.view import Summary
    from buildtool.cli.report import write_iidfile, write_metadata
    from buildtool.cli.session import Session

    with choose("quiet" if quiet else progress) as view, Session(request, view) as session:
        built = session.build()
        written = session.write(built)
        pushed = session.push(built)
        if iidfile:
            write_iidfile(iidfile, built)
        if metadata_file:
            write_metadata(metadata_file, session.named(built), request)
        seconds = time.monotonic() - begun
        names = tuple(n.short for n in request.names)
        view.summary(
            Summary(session.named(built), names, written, built.executed, built.cached, seconds, pushed)
        )
    return 0
