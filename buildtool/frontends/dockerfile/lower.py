"""Lowering: the tree of a Dockerfile to the graph of the image that is asked for.

Only the stages that the target needs are lowered, each through the operations of
`graph.stage`; a stage that nothing needs is not looked at beyond its syntax.
"""

from dataclasses import replace

from buildtool.diag import BuildError, BuildErrors, Note, Span, suggestion
from buildtool.frontends.dockerfile import instructions, tree
from buildtool.frontends.dockerfile.args import global_args, unused
from buildtool.frontends.dockerfile.body import Body, Shared
from buildtool.frontends.dockerfile.copying import copy
from buildtool.frontends.dockerfile.lint.facts import Record
from buildtool.frontends.dockerfile.lint.run import check_build
from buildtool.frontends.dockerfile.parse import ParseCache, parse
from buildtool.frontends.dockerfile.reference import context_name, familiar
from buildtool.frontends.dockerfile.request import (
    Bases,
    FolderContext,
    ImageContext,
    Lowered,
    NamedContext,
    Request,
)
from buildtool.frontends.dockerfile.running import run
from buildtool.frontends.dockerfile.stages import Plan, Planned
from buildtool.graph.model import CopyAction, Image, LiteralSource, Origin, Platform, Step
from buildtool.graph.stage import Stage

SCRATCH = "scratch"


def lower(file: tree.File, request: Request, bases: Bases, cache: ParseCache | None = None) -> Lowered:
    """The image that the request asks for.

    Raises a located BuildError; BuildErrors where several stages have one.  `cache`
    serves the ONBUILD triggers of base images, which are parsed too.
    """
    lowering = _Lowering(file, request, bases, cache)
    image = lowering.target()
    return Lowered(image, (*unused(file, request), *check_build(file, request, lowering.record)))


def survey(
    file: tree.File, request: Request, bases: Bases, record: Record, cache: ParseCache | None = None
) -> None:
    """Lower for the sake of what `record` takes down: all the stages, or what the request's target needs.

    Raises as `lower` does, after all stages that can be lowered are.
    """
    lowering = _Lowering(file, request, bases, cache, record)
    lowering.reach(lowering.plan.target() if request.target else None)


class _Lowering:
    def __init__(
        self,
        file: tree.File,
        request: Request,
        bases: Bases,
        cache: ParseCache | None,
        record: Record | None = None,
    ) -> None:
        self.file = file
        self.request = request
        self.bases = bases
        self.cache = cache
        self.record = record or Record()
        self.shared = Shared(file, request)
        self.globals = global_args(file, request, self.shared.expander)
        self.plan = Plan(file, request, self.globals, self.shared.expander)
        self.context_names = {context_name(name): name for name in request.contexts}
        self.done: dict[int, Body] = {}

    def target(self) -> Image:
        target = self.plan.target()
        self.reach(target)
        return self.done[target].stage.image(origin=self._origin(self.plan.stages[target]))

    def reach(self, target: int | None) -> None:
        """Lower a stage and all that it needs, or all stages; errors of independent stages add up."""
        errors: list[BuildError] = []
        failed: set[int] = set()
        for index in range(len(self.plan.stages)) if target is None else self.plan.needed(target):
            if index in self.done:
                continue
            if failed & set(self.plan.needed(index)):
                failed.add(index)
                continue
            try:
                self.done[index] = self._stage(self.plan.stages[index])
            except BuildError as error:
                failed.add(index)
                errors.append(error)
        if errors:
            raise errors[0] if len(errors) == 1 else BuildErrors(errors)

    def _origin(self, planned: Planned) -> Origin:
        start = planned.node.start
        return Origin(" ".join(start.text.split()), self.shared.span(start.at), planned.title)

    # ------------------------------------------------------------ stages

    def _stage(self, planned: Planned) -> Body:
        override = self._context(planned.name) if planned.name else None
        if override is not None:
            return Body(self.shared, planned.title, self._context_stage(override, planned))
        body, triggers = self._begin(planned)
        self.record.began(planned.index, planned.parent, body)
        self._triggers(body, planned, triggers)
        body.trigger_of = None
        for node in planned.node.body:
            self._instruction(body, planned, node)
        return body

    def _begin(self, planned: Planned) -> tuple[Body, tuple[str, ...]]:
        """The stage as FROM makes it, and the triggers that fire."""
        if planned.parent is not None:
            parent = self.done[planned.parent]
            image = parent.stage.image()
            stage = self._configured(Stage.of(image, self.request.epoch))
            return Body(self.shared, planned.title, stage, dict(parent.args)), image.config.on_build
        if planned.base == SCRATCH:
            return Body(self.shared, planned.title, self._scratch()), ()
        at = self.shared.span(planned.node.start.base.at)
        try:
            context = self._context(familiar(planned.base))
            if isinstance(context, FolderContext):
                return Body(self.shared, planned.title, self._context_stage(context, planned)), ()
            image = self._image(planned.base, planned.platform, at)
        except BuildError as error:
            raise error.at(at) from None
        self._resolved(planned, image)
        stage = self._configured(Stage.of(image, self.request.epoch))
        return Body(self.shared, planned.title, stage), image.config.on_build

    def _scratch(self) -> Stage:
        return self._configured(Stage.scratch(self.request.platform, self.request.epoch))

    def _configured(self, stage: Stage) -> Stage:
        return replace(
            stage,
            finishers=self.request.finishers,
            frozen=self.request.frozen,
            scope=self.request.scope,
        )

    def _context(self, name: str) -> NamedContext | None:
        """The named context of that name; one that nothing names is never asked for."""
        found = self.context_names.get(name)
        return None if found is None else self.request.contexts[found]

    def _context_stage(self, context: NamedContext, planned: Planned) -> Stage:
        """A stage that is a named context: an image, or a folder's files in one layer."""
        if isinstance(context, ImageContext):
            image = context.on(planned.platform or self.request.platform)
            return self._configured(Stage.of(image, self.request.epoch))
        origin = self._origin(planned)
        source = self.shared.local(context.folder, ("",), context.ignore, origin)
        return self._scratch().files(CopyAction(source, ("",), "/"), origin=origin)

    def _image(self, name: str, platform: Platform | None, at: Span) -> Image:
        """An image by its name: a named context's, or what the bases know."""
        context = self._context(familiar(name))
        wanted = platform or self.request.platform
        if isinstance(context, ImageContext):
            return context.on(wanted)
        try:
            return self.bases.resolve(name, wanted, at)
        except BuildError as error:
            # A name that is nearly a stage's is more likely that stage than an image.
            near = suggestion(name.lower(), (stage.name for stage in self.plan.stages if stage.name))
            error.hint = near or error.hint
            raise

    def _resolved(self, planned: Planned, image: Image) -> None:
        """Note the image that a stage begins with, unless a named context says what it is."""
        if self._context(familiar(planned.base)) is None:
            wanted = planned.platform or self.request.platform
            self.record.resolved(planned.index, planned.base, wanted, image)

    # ------------------------------------------------------------ instructions

    def _triggers(self, body: Body, planned: Planned, triggers: tuple[str, ...]) -> None:
        """Lower the ONBUILD triggers of the base, as if they stood behind FROM."""
        start = planned.node.start
        for trigger in triggers:
            body.trigger_of = start.at
            try:
                wrapped = parse(
                    f"FROM {SCRATCH}\n{trigger}".encode("utf-8", "replace"), "ONBUILD", self.cache
                )
            except BuildError as error:
                note = Note(f"in the ONBUILD trigger {trigger}")
                span = self.shared.span(start.at)
                raise BuildError(
                    error.code, error.message, span=span, hint=error.hint, notes=[note]
                ) from None
            for node in wrapped.stages[0].body:
                self._instruction(body, planned, node)

    def _instruction(self, body: Body, planned: Planned, node: tree.Node) -> None:
        try:
            if isinstance(node, tree.Copy | tree.Add):
                copy(body, node, self._source(node, planned), self.bases)
            elif isinstance(node, tree.Run):
                run(body, node, lambda name, at: self._named(name, planned, at, numbers=False))
            elif isinstance(node, tree.Arg):
                instructions.arg(body, node, self.globals)
            else:
                instructions.config(body, node)
        except BuildError as error:
            raise error.at(body.span(node.at)) from None
        self.record.saw(planned.index, node, body)

    def _main_context(self) -> Step | FolderContext:
        return self.request.files or FolderContext(self.request.folder, self.request.ignore)

    def _source(self, node: tree.Copy | tree.Add, planned: Planned) -> Step | FolderContext:
        """What COPY --from names: a stage before this one, a named context, or an image; else the context."""
        flag = node.flag("from")
        if flag is None or not flag.value:
            return self._main_context()
        name = flag.value
        if "$" in name:
            raise BuildError(
                "from-not-expanded",
                "--from does not expand variables",
                span=self.shared.span(flag.at),
                hint="name a stage with FROM, which sees the ARGs before the first FROM, and copy from that",
            )
        try:
            return self._named(name, planned, flag.at, numbers=True)
        except BuildError as error:
            raise error.at(self.shared.span(flag.at)) from None

    def _named(self, name: str, planned: Planned, at: tree.Place, *, numbers: bool) -> Step | FolderContext:
        """The files that a name means; stages are also known by their `numbers`, except to mounts."""
        if not name:
            return self._main_context()
        index = None if name.isdigit() and not numbers else self.plan.find(name)
        if index is not None:
            return _files_of(self._earlier(index, planned, name).stage.rootfs)
        if name == SCRATCH:
            return LiteralSource(())
        context = self._context(context_name(name))
        if isinstance(context, FolderContext):
            return context
        return _files_of(self._image(name, None, self.shared.span(at)).rootfs)

    def _earlier(self, index: int, planned: Planned, name: str) -> Body:
        if index >= planned.index:
            raise BuildError(
                "later-stage",
                f'"{name}" is built after {planned.title}, so its files cannot be used here',
                hint="move its FROM before this stage",
            )
        if index not in self.done:
            # A trigger of a base image is the first to name it.
            self.reach(index)
        return self.done[index]


def _files_of(rootfs: Step | None) -> Step:
    """The files of a stage or image, which may have none."""
    return LiteralSource(()) if rootfs is None else rootfs
