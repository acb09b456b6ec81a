"""Lowering: declared targets become the graph, through the operations of `graph.stage.Stage`.

Every step of an image becomes the operation that the Dockerfile instruction of the
same meaning becomes, so both have one graph.  What other rooms know (Dockerfiles,
archives, images elsewhere) comes in through `Services`.
"""

import os
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from buildtool.diag import BuildError, Note, Span
from buildtool.frontends.starlark import declared as d
from buildtool.frontends.starlark import steps as s
from buildtool.frontends.starlark.config import CONFIG_OPERATIONS, Asked
from buildtool.frontends.starlark.debian import lower_debian_root
from buildtool.frontends.starlark.labels import BUILD_FILE, Label, is_label, parse_label
from buildtool.frontends.starlark.workspace import Workspace, span_of_site
from buildtool.graph.model import (
    Action,
    CopyAction,
    Image,
    LiteralFile,
    LiteralSource,
    LocalSource,
    MakeFolderAction,
    MakeLinkAction,
    Origin,
    Owner,
    Platform,
    Step,
)
from buildtool.graph.mounts import BindMount, Mount, TmpfsMount
from buildtool.graph.stage import Stage, clean_path, shell_argv
from buildtool.lock.debian import DebianPackage, DebianRequest


class Services(Protocol):
    """What lowering needs of other rooms."""

    def dockerfile(
        self,
        path: str,
        folder: str,
        contexts: Mapping[str, Image | str],
        build_args: Mapping[str, str],
        target: str | None,
        platform: Platform,
        epoch: int,
        span: Span | None,
    ) -> Image:
        """The image of the Dockerfile at `path`, `folder` its context; named ones are images or folders."""

    def base_image(self, name: str, platform: Platform, span: Span | None) -> Image:
        """An image that exists elsewhere, by the name that FROM would take."""

    def debian_packages(self, request: DebianRequest, span: Span | None) -> Sequence[DebianPackage]:
        """The packages that answer a request, pinned, in the order they are unpacked in."""


class Lowering:
    """One walk over targets: each is lowered once a platform, however many others name it."""

    def __init__(self, workspace: Workspace, epoch: int, services: Services) -> None:
        self._workspace = workspace
        self._epoch = epoch
        self._services = services
        self._images: dict[tuple[Label, Platform], Image] = {}
        self._path: list[Label] = []

    def image(
        self, label: Label, platform: Platform, span: Span | None = None, asking: str | None = None
    ) -> Image:
        """The image that a target is; `span` is where it is named, in package `asking` if in any.

        BuildError: `unknown-target` and its kin, `target-cycle` with the path,
        `not-an-image`, and what the services find.
        """
        target = self._workspace.target(label, span, platform=platform, asking=asking)
        if (label, platform) in self._images:
            return self._images[label, platform]
        self._enter(label, span)
        try:
            image = self._lowered(label, target, platform, span)
        finally:
            self._path.pop()
        self._images[label, platform] = image
        return image

    def _lowered(self, label: Label, target: d.Target, platform: Platform, span: Span | None) -> Image:
        asked = Asked(label, target)
        if isinstance(target, d.ImageTarget):
            return self._image_target(asked, target, platform)
        if isinstance(target, d.LayerTarget):
            return self._layer(Stage.scratch(platform, self._epoch), label, target).image(
                origin=asked.origin(str(label))
            )
        if isinstance(target, d.DockerfileTarget):
            return self._dockerfile(asked, target, platform)
        if isinstance(target, d.DebianRootTarget):
            keyring = self._keyring(asked, target)
            return lower_debian_root(
                asked, target, platform, self._epoch, keyring, self._services.debian_packages
            )
        raise BuildError(
            "not-an-image", f"{label} is a group of files, not an image", span=span or asked.span
        )

    def _enter(self, label: Label, span: Span | None) -> None:
        if label in self._path:
            circle = [*self._path[self._path.index(label) :], label]
            raise BuildError(
                "target-cycle", "targets need each other: " + " -> ".join(map(str, circle)), span=span
            )
        if len(self._path) >= 200:
            raise BuildError("targets-too-deep", "more than 200 targets need one another in a row", span=span)
        self._path.append(label)

    # ------------------------------------------------------------ kinds of targets

    def _image_target(self, asked: Asked, target: d.ImageTarget, platform: Platform) -> Image:
        stage = Stage.scratch(platform, self._epoch)
        if target.base is not None:
            stage = Stage.of(self._named(target.base, asked, platform, asked.span), self._epoch)
        fresh_cmd = False
        for step in target.steps:
            try:
                if isinstance(step, s.Entrypoint):
                    stage = stage.entrypoint(_command(stage, step.command), keep_cmd=fresh_cmd)
                else:
                    stage = self._step(stage, step, asked)
            except BuildError as e:
                raise (e if isinstance(step, str) else _placed(e, step)) from None
            fresh_cmd = fresh_cmd or isinstance(step, s.Cmd)
        return stage.image(annotations=target.annotations, origin=asked.origin(str(asked.label)))

    def _step(self, stage: Stage, step: s.Step | str, asked: Asked) -> Stage:
        if isinstance(step, str):
            label = parse_label(step, asked.label.package)
            layer = self._workspace.target(
                label, asked.span, platform=stage.platform, asking=asked.label.package
            )
            if not isinstance(layer, d.LayerTarget):
                raise BuildError(
                    "not-a-layer", f"{label} is no layer(), so it is no step of an image", span=asked.span
                )
            return self._layer(stage, label, layer)
        origin = asked.origin(_title(step), step)
        if isinstance(step, s.Together):
            return self._together(stage, step.steps, asked, origin)
        if isinstance(step, s.Copy | s.Files | s.Mkdir | s.Symlink):
            return self._together(stage, (step,), asked, origin)
        if isinstance(step, s.Run):
            mounts = tuple(self._mount(stage, m, asked, step) for m in step.mounts)
            argv = _command(stage, step.command)
            return stage.run(argv, network=step.network, mounts=mounts, origin=origin)
        if isinstance(step, s.Workdir):
            return stage.workdir(step.path, origin=origin)
        return CONFIG_OPERATIONS[type(step)](stage, step)

    def _layer(self, stage: Stage, label: Label, target: d.LayerTarget) -> Stage:
        asked = Asked(label, target)
        return self._together(stage, target.steps, asked, asked.origin(f"layer {label}"))

    def _dockerfile(self, asked: Asked, target: d.DockerfileTarget, platform: Platform) -> Image:
        folder = self._workspace.folder(asked.label.package)
        contexts: dict[str, Image | str] = {}
        for name, context in target.contexts:
            if is_label(context) or "://" in context:
                contexts[name] = self._named(context, asked, platform, asked.span)
            else:
                contexts[name] = os.path.normpath(os.path.join(folder, context))
        image = self._services.dockerfile(
            os.path.normpath(os.path.join(folder, target.dockerfile)),
            os.path.normpath(os.path.join(folder, target.context)),
            contexts,
            dict(target.build_args),
            target.stage,
            platform,
            self._epoch,
            asked.span,
        )
        return replace(image, origin=asked.origin(str(asked.label)))

    def _keyring(self, asked: Asked, target: d.DebianRootTarget) -> bytes | None:
        if target.keyring is None:
            return None
        path = os.path.join(self._workspace.folder(asked.label.package), target.keyring)
        try:
            with open(path, "rb") as file:
                return file.read(1 << 20)
        except OSError as e:
            raise BuildError(
                "unreadable", f"the keyring {target.keyring} cannot be read: {e.strerror}", span=asked.span
            ) from None

    # ------------------------------------------------------------ files

    def _together(self, stage: Stage, steps: Sequence[s.FileStep], asked: Asked, origin: Origin) -> Stage:
        actions: list[Action] = []
        for step in steps:
            try:
                actions += self._actions(stage, step, asked, origin)
            except BuildError as e:
                raise _placed(e, step) from None
        return stage.files(*actions, origin=origin)

    def _actions(self, stage: Stage, step: s.FileStep, asked: Asked, origin: Origin) -> list[Action]:
        def here(path: str) -> str:
            return clean_path(posixpath.join(stage.config.working_dir or "/", path))

        owner = _owner(step.owner)
        if isinstance(step, s.Mkdir):
            return [MakeFolderAction(here(step.path), owner, int(step.mode, 8))]
        if isinstance(step, s.Symlink):
            return [MakeLinkAction(here(step.path), step.target, owner)]
        if isinstance(step, s.Files):
            return _literal(step, owner, here, origin)
        return [
            CopyAction(
                source=source,
                paths=paths,
                dest=_destination(here(step.dest), step.dest),
                owner=owner,
                mode=step.mode,
                exclude=step.exclude,
                parents=step.parents,
                unpack=step.unpack,
                link=step.link,
                wildcards=wildcards,
            )
            for source, paths, wildcards in self._sources(stage, step, asked, origin)
        ]

    def _sources(
        self, stage: Stage, step: s.Copy, asked: Asked, origin: Origin
    ) -> list[tuple[Step, tuple[str, ...], bool]]:
        """The trees that a copy takes paths from; whether the paths are patterns."""
        if step.from_ is not None:
            image = self._named(step.from_, asked, stage.platform, span_of_step(step, asked))
            if image.rootfs is None:
                raise BuildError("empty-image", f"{step.from_} has no files to copy")
            return [(image.rootfs, tuple(_inside(src, step.parents) for src in step.srcs), True)]
        own = tuple(_inside(src, step.parents) for src in step.srcs if not is_label(src))
        found: list[tuple[Step, tuple[str, ...], bool]] = []
        if own:
            found.append((self._local(asked.label.package, own, origin), own, True))
        for src in step.srcs:
            if is_label(src):
                label = parse_label(src, asked.label.package)
                groups: dict[str, list[str]] = {}
                self._group(label, asked.label.package, stage.platform, span_of_step(step, asked), groups)
                for package, paths in groups.items():
                    names = tuple(dict.fromkeys(paths))
                    found.append((self._local(package, names, origin), names, False))
        return found

    def _group(
        self, label: Label, asking: str, platform: Platform, span: Span | None, groups: dict[str, list[str]]
    ) -> None:
        """Collect the files of a group that package `asking` names, by package in the order of names."""
        self._enter(label, span)
        try:
            target = self._workspace.target(label, span, platform=platform, asking=asking)
            if not isinstance(target, d.FilegroupTarget):
                raise BuildError(
                    "not-files",
                    f"{label} is not a group of files",
                    span=span,
                    hint=f'to copy out of an image, say from_ = "{label}"',
                )
            asked = Asked(label, target)
            for src in target.srcs:
                if is_label(src):
                    inner = parse_label(src, label.package)
                    self._group(inner, label.package, platform, asked.span, groups)
                else:
                    groups.setdefault(label.package, []).append(_inside(src))
        finally:
            self._path.pop()

    def _local(self, package: str, paths: tuple[str, ...], origin: Origin) -> LocalSource:
        folder = self._workspace.folder(package)
        for path in paths:
            parts = path.split("/")
            for n in range(1, len(parts) + 1):
                inner = "/".join(parts[:n])
                if inner and os.path.exists(os.path.join(folder, inner, BUILD_FILE)):
                    other = f"{package}/{inner}" if package else inner
                    raise BuildError(
                        "crosses-package",
                        f"{path!r} is in another package, //{other}",
                        hint="declare a filegroup() there and name it here",
                    )
        include = tuple(sorted({path.replace("/./", "/") for path in paths}))
        return LocalSource(include=include, folder=folder, origin=origin)

    def _mount(self, stage: Stage, mount: s.BindMount | s.TmpfsMount, asked: Asked, step: s.Run) -> Mount:
        target = posixpath.join(stage.config.working_dir or "/", mount.target)
        if isinstance(mount, s.TmpfsMount):
            return TmpfsMount(target, mount.size)
        if is_label(mount.source):
            image = self._named(mount.source, asked, stage.platform, span_of_step(step, asked))
            if image.rootfs is None:
                raise BuildError("empty-image", f"{mount.source} has no files to mount")
            return BindMount(image.rootfs, target, mount.path, mount.read_only)
        source = _inside(mount.source)
        path = posixpath.join("/", source, mount.path.lstrip("/"))
        local = self._local(asked.label.package, (source,), asked.origin(_title(step), step))
        return BindMount(local, target, path.rstrip("/") or "/", mount.read_only)

    def _named(self, name: str, asked: Asked, platform: Platform, span: Span | None) -> Image:
        if is_label(name):
            package = asked.label.package
            return self.image(parse_label(name, package), platform, span, package)
        try:
            return self._services.base_image(name, platform, span)
        except BuildError as e:
            names = [t.name for t in self._workspace.package(asked.label.package).targets]
            if not e.hint and name in names:
                e.hint = f'for the target of this package, write ":{name}"'
            raise e.at(span) from None


def span_of_step(step: s.StepRecord, asked: Asked) -> Span | None:
    """Where a step was called for in the BUILD file, or where its target was."""
    return span_of_site(step.at[0]) if step.at else asked.span


def _placed(error: BuildError, step: s.StepRecord) -> BuildError:
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


def _inside(path: str, parents: bool = False) -> str:
    """A source path relative to its tree: `./a//b/` is `a/b`, `.` is all of it.

    With `parents`, `/./` stays: what stands before it is not kept.
    """
    if parents and "/./" in path:
        before, _, after = path.partition("/./")
        return f"{clean_path(before)[1:]}/./{clean_path(after)[1:]}".removeprefix("/./")
    return clean_path(path)[1:]


def _destination(full: str, written: str) -> str:
    """`full` with a slash at its end where the destination is written as a folder."""
    folder = written in (".", "..") or written.endswith(("/", "/.", "/.."))
    return f"{full}/" if folder and full != "/" else full


def _owner(text: str | None) -> Owner | None:
    if text is None:
        return None
    user, _, group = text.partition(":")
    return Owner(user, group)


def _command(stage: Stage, command: str | Sequence[str]) -> tuple[str, ...]:
    return shell_argv(stage.config, command) if isinstance(command, str) else tuple(command)


def _title(step: s.StepRecord) -> str:
    """How a step is called in front of people."""
    if isinstance(step, s.Run):
        text = step.command if isinstance(step.command, str) else " ".join(step.command)
        return "run " + text
    if isinstance(step, s.Copy):
        origin = f"{step.from_}: " if step.from_ else ""
        return f"{'extract' if step.unpack else 'copy'} {origin}{', '.join(step.srcs)} to {step.dest}"
    if isinstance(step, s.Files):
        return "files " + ", ".join(path for path, _ in step.files)
    if isinstance(step, s.Symlink):
        return f"symlink {step.path} to {step.target}"
    if isinstance(step, s.Mkdir | s.Workdir):
        return f"{step.__struct_config__.tag} {step.path}"
    return str(step.__struct_config__.tag)
