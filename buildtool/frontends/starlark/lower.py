"""Lowering: declared targets become the graph, through the operations of `graph.stage.Stage`.

Every step of an image becomes the operation that the Dockerfile instruction of the
same meaning becomes, so both have one graph.  What other rooms know (Dockerfiles,
archives, images elsewhere) comes in through `Services`.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from buildtool.diag import BuildError, Span
from buildtool.digest import Digest
from buildtool.frontends.starlark import declared as d
from buildtool.frontends.starlark import steps as s
from buildtool.frontends.starlark.config import CONFIG_OPERATIONS, Asked
from buildtool.frontends.starlark.debian import lower_debian_root
from buildtool.frontends.starlark.filesteps import FileSteps, placed, title_of
from buildtool.frontends.starlark.gathering import Gathering
from buildtool.frontends.starlark.labels import Label, is_label, parse_label
from buildtool.frontends.starlark.packages import package_actions, read_text
from buildtool.frontends.starlark.workspace import Workspace
from buildtool.graph.model import (
    CopyAction,
    Image,
    Platform,
)
from buildtool.graph.stage import Stage, shell_argv
from buildtool.lock.debian import DebianPackage, DebianRequest
from buildtool.lock.model import FilePin
from buildtool.lock.npm import NodeArchive, NodePin
from buildtool.lock.pypi import PythonRequest, Wheel


class Services(Protocol):
    """What lowering needs of other rooms."""

    def dockerfile(
        self,
        path: str,
        folder: str,
        contexts: Mapping[str, Callable[[Platform], Image] | str],
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

    def python_packages(self, request: PythonRequest, span: Span | None) -> Sequence[Wheel]:
        """The wheels that answer a request, pinned."""

    def node_packages(self, archives: Sequence[NodeArchive], span: Span | None) -> Sequence[NodePin]:
        """What archives of an npm registry are, pinned, in their order."""

    def file(self, url: str, checksum: Digest | None) -> FilePin:
        """The file of a URL, pinned."""

    def commit(self, url: str, ref: str, checksum: str) -> str:
        """The commit of a ref of a git repository, pinned."""


class Lowering:
    """One walk over targets: each is lowered once a platform, however many others name it."""

    def __init__(self, workspace: Workspace, epoch: int, services: Services) -> None:
        self.workspace = workspace
        self.epoch = epoch
        self.services = services
        self._images: dict[tuple[Label, Platform], Image] = {}
        self._path: list[Label] = []
        self.gathering = Gathering(self)
        self.files = FileSteps(self)

    def image(
        self, label: Label, platform: Platform, span: Span | None = None, asking: str | None = None
    ) -> Image:
        """The image that a target is; `span` is where it is named, in package `asking` if in any.

        BuildError: `unknown-target` and its kin, `target-cycle` with the path,
        `not-an-image`, and what the services find.
        """
        target = self.workspace.target(label, span, platform=platform, asking=asking)
        if (label, platform) in self._images:
            return self._images[label, platform]
        self.enter(label, span)
        try:
            image = self._lowered(label, target, platform, span)
        finally:
            self.leave()
        self._images[label, platform] = image
        return image

    def _lowered(self, label: Label, target: d.Target, platform: Platform, span: Span | None) -> Image:
        asked = Asked(label, target)
        if isinstance(target, d.ImageTarget):
            return self._image_target(asked, target, platform)
        if isinstance(target, d.LayerLike):
            stage = self._layer(Stage.scratch(platform, self.epoch), label, target)
            return stage.image(origin=asked.origin(str(label)))
        if isinstance(target, d.FilesLike) and not isinstance(target, d.FilegroupTarget):
            return self._files_alone(asked, target, platform)
        if isinstance(target, d.DockerfileTarget):
            return self._dockerfile(asked, target, platform)
        if isinstance(target, d.DebianRootTarget):
            keyring = None if target.keyring is None else read_text(self, asked, target.keyring)
            return lower_debian_root(
                asked, target, platform, self.epoch, keyring, self.services.debian_packages
            )
        raise _no_image(asked, span)

    def enter(self, label: Label, span: Span | None) -> None:
        if label in self._path:
            circle = [*self._path[self._path.index(label) :], label]
            raise BuildError(
                "target-cycle", "targets need each other: " + " -> ".join(map(str, circle)), span=span
            )
        if len(self._path) >= 200:
            raise BuildError("targets-too-deep", "more than 200 targets need one another in a row", span=span)
        self._path.append(label)

    def leave(self) -> None:
        """The target that was entered last is done."""
        self._path.pop()

    def images(self, label: Label, platform: Platform) -> tuple[Image, ...]:
        """The images of a target: of an index() one a platform of its own, else the one for `platform`.

        Those of a push() are those that it pushes.
        """
        target = self.workspace.target(label, platform=platform)
        if isinstance(target, d.PushTarget):
            pushed = parse_label(target.image, label.package)
            span = Asked(label, target).span
            self.workspace.target(pushed, span, platform=platform, asking=label.package)
            return self.images(pushed, platform)
        if not isinstance(target, d.IndexTarget):
            return (self.image(label, platform),)
        asked = Asked(label, target)
        image = parse_label(target.image, label.package)
        return tuple(self.image(image, _platform(p), asked.span, label.package) for p in target.platforms)

    def pinned_file(self, url: str, span: Span | None) -> FilePin:
        """The file of a URL as the lock has it."""
        try:
            return self.services.file(url, None)
        except BuildError as e:
            raise e.at(span) from None

    def pinned_commit(self, url: str, ref: str, span: Span | None) -> str:
        """The commit of a ref as the lock has it."""
        try:
            return self.services.commit(url, ref, "")
        except BuildError as e:
            raise e.at(span) from None

    # ------------------------------------------------------------ kinds of targets

    def _image_target(self, asked: Asked, target: d.ImageTarget, platform: Platform) -> Image:
        image = self.stepped(asked, target.base, target.steps, platform)
        return replace(image, annotations=target.annotations)

    def _files_alone(self, asked: Asked, target: d.FilesLike, platform: Platform) -> Image:
        """An image that holds nothing but the files of a target, so that it can be built and looked at."""
        taken = self.gathering.files(asked, target, platform)
        action = CopyAction(taken.source, taken.paths, "/", wildcards=taken.wildcards)
        origin = asked.origin(f"files of {asked.label}")
        return Stage.scratch(platform, self.epoch).files(action, origin=origin).image(origin=origin)

    def stepped(
        self, asked: Asked, base: str | None, steps: Sequence[s.Step | str], platform: Platform
    ) -> Image:
        """The image that the steps of a target make over a base."""
        stage = Stage.scratch(platform, self.epoch)
        if base is not None:
            stage = Stage.of(self.named(base, asked, platform, asked.span), self.epoch)
        fresh_cmd = False
        for step in steps:
            try:
                if isinstance(step, s.Entrypoint):
                    stage = stage.entrypoint(_command(stage, step.command), keep_cmd=fresh_cmd)
                else:
                    stage = self._step(stage, step, asked)
            except BuildError as e:
                raise (e if isinstance(step, str) else placed(e, step)) from None
            fresh_cmd = fresh_cmd or isinstance(step, s.Cmd)
        return stage.image(origin=asked.origin(str(asked.label)))

    def _step(self, stage: Stage, step: s.Step | str, asked: Asked) -> Stage:
        if isinstance(step, str):
            label = parse_label(step, asked.label.package)
            layer = self.workspace.target(
                label, asked.span, platform=stage.platform, asking=asked.label.package
            )
            if not isinstance(layer, d.LayerLike):
                raise BuildError(
                    "not-a-layer", f"{label} is no layer(), so it is no step of an image", span=asked.span
                )
            return self._layer(stage, label, layer)
        origin = asked.origin(title_of(step), step)
        if isinstance(step, s.Together):
            return self.files.together(stage, step.steps, asked, origin)
        if isinstance(step, s.Copy | s.Files | s.Mkdir | s.Symlink | s.Join):
            return self.files.together(stage, (step,), asked, origin)
        if isinstance(step, s.Run):
            mounts = [self.files.mount(stage, m, asked, step) for m in step.mounts]
            # What is mounted over a folder comes after it, as with RUN.
            mounts.sort(key=lambda mount: mount.target)
            argv = _command(stage, step.command)
            args = tuple(sorted(step.env))
            return stage.run(argv, args=args, network=step.network, mounts=tuple(mounts), origin=origin)
        if isinstance(step, s.Workdir):
            return stage.workdir(step.path, origin=origin)
        return CONFIG_OPERATIONS[type(step)](stage, step)

    def _layer(self, stage: Stage, label: Label, target: d.LayerLike) -> Stage:
        asked = Asked(label, target)
        origin = asked.origin(f"layer {label}")
        if isinstance(target, d.LayerTarget):
            return self.files.together(stage, target.steps, asked, origin)
        return stage.files(*package_actions(self, asked, target, stage.platform), origin=origin)

    def _dockerfile(self, asked: Asked, target: d.DockerfileTarget, platform: Platform) -> Image:
        folder = self.workspace.folder(asked.label.package)
        contexts: dict[str, Callable[[Platform], Image] | str] = {}
        for name, context in target.contexts:
            if is_label(context) or "://" in context:
                if is_label(context):
                    # Looked up now: a target that is not there is an error, used or not.
                    self.named(context, asked, platform, asked.span)
                contexts[name] = partial(self.named, context, asked, span=asked.span)
            else:
                contexts[name] = os.path.normpath(os.path.join(folder, context))
        image = self.services.dockerfile(
            os.path.normpath(os.path.join(folder, target.dockerfile)),
            os.path.normpath(os.path.join(folder, target.context)),
            contexts,
            dict(target.build_args),
            target.stage,
            platform,
            self.epoch,
            asked.span,
        )
        return replace(image, origin=asked.origin(str(asked.label)))

    def named(self, name: str, asked: Asked, platform: Platform, span: Span | None) -> Image:
        """The image that a target names at `span`: a label, or the name of one elsewhere."""
        if is_label(name):
            package = asked.label.package
            return self.image(parse_label(name, package), platform, span, package)
        try:
            return self.services.base_image(name, platform, span)
        except BuildError as e:
            names = self.workspace.package(asked.label.package).names
            if not e.hint and name in names:
                e.hint = f'for the target of this package, write ":{name}"'
            raise e.at(span) from None


def _platform(text: str) -> Platform:
    system, architecture, *variant = text.split("/")
    return Platform(system, architecture, *variant)


def _no_image(asked: Asked, span: Span | None) -> BuildError:
    """The error where a target is built, or named, that is no image."""
    label, span = asked.label, span or asked.span
    if isinstance(asked.target, d.IndexTarget):
        return BuildError("not-an-image", f"{label} is several images, not one", span=span)
    if isinstance(asked.target, d.ImageTestTarget):
        return BuildError(
            "not-an-image",
            f"{label} is a test, not an image",
            span=span,
            hint=f"buildtool test {label} runs it",
        )
    if isinstance(asked.target, d.PushTarget):
        return BuildError("not-an-image", f"{label} pushes an image and is none itself", span=span)
    return BuildError("not-an-image", f"{label} is a group of files, not an image", span=span)


def _command(stage: Stage, command: str | Sequence[str]) -> tuple[str, ...]:
    return shell_argv(stage.config, command) if isinstance(command, str) else tuple(command)
