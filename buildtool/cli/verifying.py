"""What `verify` and `attest` do for a claim: builds on a bench, and a verdict."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TextIO

import click

from buildtool.cli.console import style_of
from buildtool.cli.request import BuildRequest, DockerfileSubject, is_label
from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.graph.model import Platform
from buildtool.lock.model import FILE_NAME
from buildtool.verify import listed
from buildtool.verify.building import Bench, Work
from buildtool.verify.perturb import Perturbation
from buildtool.verify.twice import Verdict, verify

if TYPE_CHECKING:
    from buildtool.verify.building import Outcome


@dataclass(frozen=True, slots=True)
class How:
    """How to verify; `rounds` None means one, or none where there are digests to compare with."""

    perturbations: tuple[Perturbation, ...]
    rounds: int | None
    bisect: bool
    form: str

    @property
    def possible(self) -> tuple[Perturbation, ...]:
        """The perturbations that this machine can do."""
        return tuple(p for p in self.perturbations if not p.missing())


def listing(perturbations: Sequence[Perturbation]) -> str:
    """The perturbations, a row each, and why some are not to be had here."""
    rows = []
    for p in perturbations:
        why = p.missing()
        rows.append(f"{p.name:<12} {p.says}" + (f"  (not here: {why})" if why else ""))
    return "\n".join(rows) + "\n"


# ---------------------------------------------------------------- what is built


def work_of(request: BuildRequest, arguments: tuple[str, ...]) -> Work:
    """The work that a request is; BuildError `bad-usage` for what cannot be read twice."""
    subject = request.subject
    cwd = os.getcwd()
    if not isinstance(subject, DockerfileSubject):
        from buildtool.frontends.starlark.workspace import Workspace

        with Workspace.open(subject.folder, platform=request.platforms[0]) as workspace:
            root = workspace.root
        return Work(arguments, cwd, root, labels=subject.labels, lock=os.path.join(root, FILE_NAME))
    if "-" in (subject.context, subject.file):
        raise BuildError("bad-usage", "standard input can be read once, and this builds twice")
    if not os.path.isdir(subject.context):
        return Work(arguments, cwd, context=subject.context, dockerfile=subject.file)
    folder = os.path.realpath(subject.context)
    beside = os.path.dirname(os.path.abspath(subject.file)) if subject.file else folder
    lock = os.path.join(beside, FILE_NAME)
    return Work(arguments, cwd, folder, subject.context, subject.file, lock=lock)


def name_of(work: Work) -> str:
    """What the work is called in front of people."""
    return " ".join(work.labels) or work.dockerfile or work.context


def all_of(path: str, arguments: tuple[str, ...], how: How) -> int:
    """Verify all that a digest list names, or what a lock is the lock of."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.basename(path) == FILE_NAME:
        workspace = os.path.exists(os.path.join(folder, "BUILD.star"))
        work = _work_in(folder, "//..." if workspace else ".", arguments)
        return one(Claim(name_of(work), work), how)
    status = 0
    for name, digest in listed.read(path).items():
        work = _work_in(folder, name, arguments)
        status = max(status, one(Claim(name, work, (digest,), path), how))
    return status


def listed_in(path: str, name: str) -> tuple[Digest, ...]:
    """What a digest list says of a subject; BuildError `not-listed`."""
    digests = listed.read(path)
    called = listed.relative(name, path)
    if called not in digests:
        known = ", ".join(list(digests)[:5])
        raise BuildError("not-listed", f"{path} has no digest of {called}", hint=f"it has {known}")
    return (digests[called],)


def _work_in(folder: str, name: str, arguments: tuple[str, ...]) -> Work:
    lock = os.path.join(folder, FILE_NAME)
    if is_label(name):
        from buildtool.frontends.starlark.workspace import Workspace

        with Workspace.open(folder) as workspace:
            root = workspace.root
        return Work(arguments, folder, root, labels=(name,), lock=os.path.join(root, FILE_NAME))
    context = os.path.join(folder, name)
    file = ""
    if os.path.isfile(context):
        context, file = os.path.dirname(context), context
    lock = os.path.join(context, FILE_NAME)
    return Work(arguments, folder, os.path.realpath(context), context, file, lock=lock)


# ---------------------------------------------------------------- verdicts


@dataclass(frozen=True, slots=True)
class Claim:
    """What is to be verified: that `work` comes to the same everywhere, or to `wanted`, as `source` says.

    `why` explains a result that is another one than wanted, in rows.
    """

    name: str
    work: Work
    wanted: tuple[Digest, ...] | None = None
    source: str = ""
    why: Callable[["Outcome"], list[str]] = lambda outcome: []
    platform: Platform | None = None

    def holds(self, found: Verdict) -> bool:
        """Whether it does, by what was found."""
        return found.elsewhere is None and self.wanted in (None, found.here.digests)


def examined(claim: Claim, how: How, rounds: int, stream: TextIO) -> Verdict:
    """Build as often as it takes, and tell the verdict on a stream; of a build that fails, what it said."""
    from buildtool.cli.verdicts import as_json, as_text

    with Bench(claim.work) as bench:
        found = verify(bench, how.possible, rounds, how.bisect, _tell)
        if found.here.status:
            click.echo(found.here.said, err=True, nl=False)
        elif how.form == "json":
            click.echo(as_json(claim, found, how, rounds), file=stream)
        else:
            click.echo(as_text(claim, found, how, rounds, style_of(stream)), file=stream, nl=False)
    return found


def one(claim: Claim, how: How, *, record: str = "") -> int:
    """Verify one claim, tell the verdict, and return the exit status."""
    rounds = how.rounds if how.rounds is not None else int(claim.wanted is None)
    found = examined(claim, how, rounds, sys.stdout)
    if found.here.status:
        return found.here.status
    if record and claim.holds(found):
        _record(record, claim, found.here.digests)
    return 0 if claim.holds(found) else 1


def _record(path: str, claim: Claim, digests: Sequence[Digest]) -> None:
    """Add a digest to a list, or begin one."""
    from buildtool.oci.export import write_whole

    if len(digests) != 1:
        raise BuildError("bad-usage", f"--record is for one result, and {claim.name} has {len(digests)}")
    known = listed.read(path) if os.path.exists(path) else {}
    called = listed.relative(claim.name, path)
    text = listed.written({**known, called: digests[0]}, str(claim.platform))

    def write_to(sink: BinaryIO) -> None:
        sink.write(text)

    write_whole(path, write_to)


def _tell(what: str) -> None:
    click.echo(f"{what} ...", err=True)
