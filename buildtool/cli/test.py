"""`buildtool test`: the image_test() targets of a workspace, built and run."""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from buildtool.cli.access import Access, access_options
from buildtool.cli.platforms import parse_platform
from buildtool.cli.request import BuildRequest, LabelSubject, parse_epoch
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError, render

if TYPE_CHECKING:
    from buildtool.digest import Digest
    from buildtool.frontends.starlark.declared import ImageTestTarget
    from buildtool.frontends.starlark.labels import Label
    from buildtool.store import Store

#: Rows of a failed test's output that are shown, and bytes of any output that are kept.
_ROWS = 30
_MOST_OUTPUT = 16 << 20


@dataclass(frozen=True, slots=True)
class _Case:
    """A test, and the label of its image."""

    label: "Label"
    target: "ImageTestTarget"
    image: "Label"


@click.command("test", cls=SwitchCommand)
@click.argument("labels", nargs=-1, required=True, metavar="LABEL...")
@click.option("--flag", multiple=True, metavar="NAME=VALUE", help="A flag that select() asks about.")
@click.option("--platform", default="", metavar="OS/ARCH", help="The platform of the images.")
@click.option("--locked", is_flag=True, help="Fail if the lock would change.")
@access_options
def command(
    labels: tuple[str, ...], flag: tuple[str, ...], platform: str, locked: bool, access: Access
) -> int:
    """Build images and run their tests.

    LABEL is a target or a pattern such as //...; what is no image_test() is passed over. The
    exit status is 1 if a test fails.
    """
    wanted = parse_platform(platform)
    request = BuildRequest(
        LabelSubject(labels, os.getcwd()),
        (wanted,),
        parse_epoch(None, os.environ),
        jobs=len(os.sched_getaffinity(0)),
        locked=locked,
        flags=flag,
        access=access.to(()),
    )
    cases = _cases(request)
    if not cases:
        raise BuildError("no-tests", f"there is no image_test() in {' '.join(labels)}")
    manifests = _built(request, list(dict.fromkeys(case.image for case in cases)))
    from buildtool.store import Store

    with Store.open() as store:
        failed = sum(not _passes(case, manifests[case.image], store, platform) for case in cases)
    click.echo(f"{len(cases) - failed} of {len(cases)} tests passed")
    return 1 if failed else 0


def _cases(request: BuildRequest) -> list[_Case]:
    from buildtool.frontends.starlark.declared import ImageTestTarget
    from buildtool.frontends.starlark.labels import Label, parse_label
    from buildtool.frontends.starlark.workspace import Workspace, span_of_site

    assert isinstance(request.subject, LabelSubject)
    found: dict[Label, _Case] = {}
    opened = Workspace.open(request.subject.folder, flags=request.flags, platform=request.platforms[0])
    with opened as workspace:
        for text in request.subject.labels:
            for label in workspace.targets(text):
                target = workspace.target(label)
                if isinstance(target, ImageTestTarget):
                    image = parse_label(target.image, label.package)
                    workspace.target(image, span_of_site(target.at[0]), asking=label.package)
                    found[label] = _Case(label, target, image)
    return list(found.values())


def _built(request: BuildRequest, images: "Sequence[Label]") -> "dict[Label, Digest]":
    from buildtool.cli.progress.choose import choose
    from buildtool.cli.session import Session

    assert isinstance(request.subject, LabelSubject)
    subject = LabelSubject(tuple(str(image) for image in images), request.subject.folder)
    with choose("auto") as view, Session(replace(request, subject=subject), view) as session:
        built = session.build().images
    if len(built) != len(images):
        raise BuildError("not-an-image", "a test is of one image, not of an index")
    return {label: image.manifest for label, image in zip(images, built, strict=True)}


def _passes(case: _Case, manifest: "Digest", store: "Store", platform: str) -> bool:
    """Run one test, and say how it went."""
    begun = time.monotonic()
    output = bytearray()
    try:
        status = _run(case, manifest, store, platform, output)
        problems = _problems(case.target, status, output.decode("utf-8", "replace"))
    except BuildError as error:
        problems = [render(error)]
    verdict = "FAIL" if problems else "PASS"
    click.echo(f"{verdict} {case.label} ({time.monotonic() - begun:.1f}s)")
    for problem in problems:
        click.echo(f"  {problem}")
    if problems:
        rows = output.decode("utf-8", "replace").splitlines()[-_ROWS:]
        click.echo("".join(f"  | {row}\n" for row in rows), nl=False)
    sys.stdout.flush()
    return not problems


def _run(case: _Case, manifest: "Digest", store: "Store", platform: str, output: bytearray) -> int:
    from buildtool.cli.chosen import image_of, layers_of
    from buildtool.cli.places import Place
    from buildtool.executor.launch import launch

    def keep(data: bytes) -> None:
        if len(output) < _MOST_OUTPUT:
            output.extend(data)

    image = image_of(Place("", digest=manifest), store, platform)
    env = tuple({**dict(image.config.env), **dict(case.target.env)}.items())
    return launch(
        store,
        layers_of(image, store),
        replace(image.config, env=env),
        image.platform,
        case.target.command,
        keep,
        runtime=os.environ.get("BUILDTOOL_RUNTIME") or None,
        network="none",
        timeout=case.target.timeout,
    )


def _problems(target: "ImageTestTarget", status: int, output: str) -> list[str]:
    """What was not as expected."""
    found = [] if status == target.status else [f"exit status {status}, not {target.status}"]
    found += [f"the output does not hold {text!r}" for text in target.output if text not in output]
    found += [f"the output holds {text!r}" for text in target.not_output if text in output]
    return found
