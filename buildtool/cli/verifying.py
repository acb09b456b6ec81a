"""What `verify` does for a subject: builds on a bench, and the verdict in words."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from buildtool.cli.progress.wording import printable
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

#: Rows of a failed build that are shown.
_ROWS = 12


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


def against(work: Work, path: str) -> "Claim":
    """The claim of a digest list about the subject; BuildError `not-listed`."""
    digests = listed.read(path)
    called = listed.relative(name_of(work), path)
    if called not in digests:
        known = ", ".join(list(digests)[:5])
        raise BuildError("not-listed", f"{path} has no digest of {called}", hint=f"it has {known}")
    return Claim(name_of(work), work, (digests[called],), path)


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

    def holds(self, found: Verdict) -> bool:
        """Whether it does, by what was found."""
        return found.elsewhere is None and self.wanted in (None, found.here.digests)


def one(claim: Claim, how: How, *, record: str = "", platform: Platform | None = None) -> int:
    """Verify one claim, tell the verdict, and return the exit status."""
    rounds = how.rounds if how.rounds is not None else int(claim.wanted is None)
    with Bench(claim.work) as bench:
        found = verify(bench, how.possible, rounds, how.bisect, _tell)
        if found.here.status:
            click.echo(found.here.said, err=True, nl=False)
            return found.here.status
        if how.form == "json":
            _print_json(claim, found, how, rounds)
        else:
            click.echo("\n".join(printable(row) for row in _rows(claim, found, how, rounds)))
    if record and claim.holds(found):
        _record(record, claim.name, found.here.digests, platform)
    return 0 if claim.holds(found) else 1


def _record(path: str, name: str, digests: Sequence[Digest], platform: Platform | None) -> None:
    """Add a digest to a list, or begin one."""
    from buildtool.oci.export import write_whole

    if len(digests) != 1:
        raise BuildError("bad-usage", f"--record is for one result at a time, and {name} has {len(digests)}")
    known = listed.read(path) if os.path.exists(path) else {}
    text = listed.written({**known, listed.relative(name, path): digests[0]}, str(platform))

    def write_to(sink: BinaryIO) -> None:
        sink.write(text)

    write_whole(path, write_to)


def _tell(what: str) -> None:
    click.echo(f"{what} ...", err=True)


def _rows(claim: Claim, found: Verdict, how: How, rounds: int) -> list[str]:
    from buildtool.cli.console import style_of

    style = style_of(sys.stdout)
    same = claim.holds(found)
    said = "is reproducible" if same else "is not reproducible"
    if claim.wanted is not None and found.elsewhere is None:
        said = f"is what {claim.source} says" if same else f"is not what {claim.source} says"
    rows = [f"{style.bold}{claim.name} {said}{style.reset}"]
    if same:
        rows += [_row("digest", str(digest)) for digest in found.here.digests]
    else:
        rows += _differing(claim, found)
    rows.append(_row("builds", str(found.asked)))
    if rounds:
        rows.append(_row("perturbed", " ".join(p.name for p in how.possible)))
        rows += [_row("left out", f"{p.name}: {why}") for p in how.perturbations if (why := p.missing())]
    return rows


def _row(title: str, text: str) -> str:
    return f"  {title:<10} {text}"


def _differing(claim: Claim, found: Verdict) -> list[str]:
    rows = [_row("here", str(digest)) for digest in found.here.digests]
    elsewhere = found.elsewhere
    if elsewhere is None:
        rows += [_row("wanted", str(digest)) for digest in claim.wanted or ()]
        return rows + [_row("because", row) for row in claim.why(found.here)]
    if elsewhere.status:
        rows.append(_row("elsewhere", f"the build fails, with status {elsewhere.status}"))
        rows += [f"  | {row}" for row in elsewhere.said.splitlines()[-_ROWS:]]
    rows += [_row("elsewhere", str(digest)) for digest in elsewhere.digests]
    if found.unsteady:
        rows.append(_row("because", "two builds differ with nothing perturbed"))
    for cause in found.causes:
        names = " and ".join(p.name for p in cause)
        rows.append(_row("because", f"{names} ({', '.join(p.says for p in cause)})"))
    return rows


def _print_json(claim: Claim, found: Verdict, how: How, rounds: int) -> None:
    import json

    same = claim.holds(found)
    document: dict[str, Any] = {
        "subject": claim.name,
        "same": same,
        "here": list(found.here.digests),
        "elsewhere": _side(found.elsewhere),
        "wanted": None if claim.wanted is None else list(claim.wanted),
        "reasons": [] if same or found.elsewhere else claim.why(found.here),
        "causes": [[p.name for p in cause] for cause in found.causes],
        "unsteady": found.unsteady,
        "builds": found.asked,
        "perturbed": [p.name for p in how.possible] if rounds else [],
        "left-out": {p.name: why for p in how.perturbations if (why := p.missing())},
    }
    click.echo(json.dumps(document, indent=2))


def _side(outcome: "Outcome | None") -> dict[str, Any] | None:
    if outcome is None:
        return None
    return {"status": outcome.status, "digests": list(outcome.digests), "said": outcome.said}
