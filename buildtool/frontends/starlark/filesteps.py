"""Steps that are about files: each becomes actions of one layer, or a mount of a process."""

import posixpath
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from buildtool.diag import BuildError, Note, Span
from buildtool.frontends.starlark import steps as s
from buildtool.frontends.starlark.config import Asked
from buildtool.frontends.starlark.gathering import Taken, inside
from buildtool.frontends.starlark.labels import is_label
from buildtool.frontends.starlark.workspace import span_of_site
from buildtool.graph.ignore import exclusions
from buildtool.graph.model import (
    Action,
    CopyAction,
    LiteralFile,
    LiteralSource,
    MakeFolderAction,
    MakeLinkAction,
    Origin,
    Owner,
)
from buildtool.graph.mounts import BindMount, Mount, TmpfsMount
from buildtool.graph.stage import Stage, clean_path
from buildtool.graph.unpacking import JoinAction

if TYPE_CHECKING:
    from buildtool.frontends.starlark.lower import Lowering


class FileSteps:
    """Lowers the file steps of the targets that a lowering walks over."""

    def __init__(self, lowering: "Lowering") -> None:
        self._lowering = lowering

    def together(self, stage: Stage, steps: Sequence[s.FileStep], asked: Asked, origin: Origin) -> Stage:
        """The stage with one layer more, which all of the steps make together."""
        actions: list[Action] = []
        for step in steps:
            try:
                actions += self._actions(stage, step, asked, origin)
            except BuildError as e:
                raise placed(e, step) from None
        return stage.files(*actions, origin=origin)

    def _actions(self, stage: Stage, step: s.FileStep, asked: Asked, origin: Origin) -> list[Action]:
        def here(path: str) -> str:
            return clean_path(posixpath.join(stage.config.working_dir or "/", path))

        owner = None if isinstance(step, s.Join) else _owner(step.owner)
        if isinstance(step, s.Mkdir):
            return [MakeFolderAction(here(step.path), owner, int(step.mode, 8))]
        if isinstance(step, s.Symlink):
            return [MakeLinkAction(here(step.path), step.target, owner)]
        if isinstance(step, s.Files):
            return _literal(step, owner, here, origin)
        if isinstance(step, s.Join):
            return self._join(stage, step, asked)
        return [
            CopyAction(
                source=source,
                paths=paths,
                dest=_destination(here(step.dest), step.dest),
                owner=owner,
                mode=step.mode,
                exclude=exclusions(step.exclude),
                parents=step.parents,
                unpack=step.unpack,
                link=step.link,
                wildcards=wildcards,
            )
            for source, paths, wildcards in self._sources(stage, step, asked)
        ]

    def _join(self, stage: Stage, step: s.Join, asked: Asked) -> list[Action]:
        taken = self._sources(stage, step, asked)
        if len(taken) != 1:
            raise BuildError("bad-argument", "join() takes files of one place: all of one label, or none")
        dest = clean_path(posixpath.join(stage.config.working_dir or "/", step.dest))
        return [JoinAction(taken[0].source, taken[0].paths, dest, int(step.mode, 8))]

    def _sources(self, stage: Stage, step: s.Copy | s.Join, asked: Asked) -> list[Taken]:
        """The trees that a copy takes paths from; whether the paths are patterns."""
        parents = isinstance(step, s.Copy) and step.parents
        if step.from_ is not None:
            image = self._lowering.named(step.from_, asked, stage.platform, span_of_step(step, asked))
            if image.rootfs is None:
                raise BuildError("empty-image", f"{step.from_} has no files to copy")
            return [Taken(image.rootfs, tuple(inside(src, parents) for src in step.srcs), True)]
        span = span_of_step(step, asked)
        return self._lowering.gathering.sources(step.srcs, asked, stage.platform, span, parents=parents)

    def mount(self, stage: Stage, mount: s.BindMount | s.TmpfsMount, asked: Asked, step: s.Run) -> Mount:
        """What a process sees at a path of its own."""
        target = clean_path(posixpath.join(stage.config.working_dir or "/", mount.target))
        if isinstance(mount, s.TmpfsMount):
            return TmpfsMount(target, mount.size)
        if is_label(mount.source):
            image = self._lowering.named(mount.source, asked, stage.platform, span_of_step(step, asked))
            if image.rootfs is None:
                raise BuildError("empty-image", f"{mount.source} has no files to mount")
            return BindMount(image.rootfs, target, mount.path, mount.read_only)
        source = inside(mount.source)
        path = posixpath.join("/", source, mount.path.lstrip("/"))
        local = self._lowering.gathering.local(
            asked.label.package, (source,), asked.origin(title_of(step), step)
        )
        return BindMount(local, target, path.rstrip("/") or "/", mount.read_only)


def span_of_step(step: s.StepRecord, asked: Asked) -> Span | None:
    """Where a step was called for in the BUILD file, or where its target was."""
    return span_of_site(step.at[0]) if step.at else asked.span


def placed(error: BuildError, step: s.StepRecord) -> BuildError:
    """The error at the step's place, with the rule that made the step."""
    if error.span is None and step.at:
        error.span = span_of_site(step.at[0])
    inner = [Note(f"the step is made in {site.function}()", span_of_site(site)) for site in step.at[1:]]
    if inner and not any(n.message == inner[0].message for n in error.notes):
        error.notes = (*error.notes, *inner)
    return error


def _literal(step: s.Files, owner: Owner | None, here: Callable[[str], str], origin: Origin) -> list[Action]:
    actions: list[Action] = []
    for path, text in step.files:
        dest = here(path)
        name = posixpath.basename(dest)
        source = LiteralSource((LiteralFile(name, text.encode(), int(step.mode, 8)),), origin=origin)
        actions.append(CopyAction(source=source, paths=(name,), dest=dest, owner=owner, wildcards=False))
    return actions


def _destination(full: str, written: str) -> str:
    """`full` with a slash at its end where the destination is written as a folder."""
    folder = written in (".", "..") or written.endswith(("/", "/.", "/.."))
    return f"{full}/" if folder and full != "/" else full


def _owner(text: str | None) -> Owner | None:
    if text is None:
        return None
    user, _, group = text.partition(":")
    return Owner(user, group)


def _shortened(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 4} more" if len(paths) > 4 else ""
    return ", ".join(paths[:4]) + more


def title_of(step: s.StepRecord) -> str:
    """How a step is called in front of people."""
    if isinstance(step, s.Run):
        text = step.command if isinstance(step.command, str) else " ".join(step.command)
        return step.title or "run " + text
    if isinstance(step, s.Copy):
        origin = f"{step.from_}: " if step.from_ else ""
        return f"{'extract' if step.unpack else 'copy'} {origin}{_shortened(step.srcs)} to {step.dest}"
    if isinstance(step, s.Files):
        return "files " + ", ".join(path for path, _ in step.files)
    if isinstance(step, s.Symlink):
        return f"symlink {step.path} to {step.target}"
    if isinstance(step, s.Mkdir | s.Workdir):
        return f"{step.__struct_config__.tag} {step.path}"
    return str(step.__struct_config__.tag)
