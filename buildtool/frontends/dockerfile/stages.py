"""The stages of a Dockerfile: what each begins with, which needs which, and which a build needs.

A stage can be built on, and copy from, a stage that stands before it; a name that
two stages share means the later one.  A named context takes the place of a stage
of its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from buildtool.diag import BuildError, suggestion
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.expand import Expander
from buildtool.frontends.dockerfile.mounts import mounted_from
from buildtool.frontends.dockerfile.reference import context_name
from buildtool.frontends.dockerfile.request import Request
from buildtool.frontends.dockerfile.values import platform as parse_platform
from buildtool.graph.model import Platform


@dataclass(frozen=True, slots=True)
class Planned:
    """A stage before it is lowered: `parent` is the stage it is built on, `base` the name FROM has."""

    index: int
    name: str
    base: str
    parent: int | None
    platform: Platform | None
    node: tree.Stage

    @property
    def title(self) -> str:
        """How the stage is called in front of people."""
        return self.name or f"stage-{self.index}"


class Plan:
    """All the stages of a file, their names resolved."""

    def __init__(
        self, file: tree.File, request: Request, args: Mapping[str, str], expander: Expander
    ) -> None:
        self._file = file
        self._request = request
        self._overridden = {context_name(name) for name in request.contexts}
        self.stages: list[Planned] = []
        self._names: dict[str, int] = {}
        for index, node in enumerate(file.stages):
            planned = self._plan(index, node, args, expander)
            self.stages.append(planned)
            if planned.name:
                self._names[planned.name] = index
        self._check_circles()

    def _plan(self, index: int, node: tree.Stage, args: Mapping[str, str], expander: Expander) -> Planned:
        start = node.start
        name = start.alias.text.lower() if start.alias else ""
        at = start.base.at
        wanted = None
        try:
            base = expander.word(start.base.text, args)
            flag = start.flag("platform")
            if flag is not None and flag.value:
                at = flag.at
                wanted = parse_platform(expander.word(flag.value, args), self._request.build_platform)
        except BuildError as error:
            raise error.at(self._file.span(self._request.filename, at)) from None
        if not base:
            span = self._file.span(self._request.filename, start.base.at)
            raise BuildError("blank-base", f'the base name "{start.base.text}" expands to nothing', span=span)
        return Planned(index, name, base, self._names.get(base), wanted, node)

    # ------------------------------------------------------------ names

    def find(self, reference: str) -> int | None:
        """The stage that `--from` means by a number or a name, None where it is no stage."""
        if reference.isascii() and reference.isdigit():
            index = int(reference[:9])
            if index >= len(self.stages):
                raise BuildError(
                    "unknown-stage", f"there is no stage {reference}; the last is {len(self.stages) - 1}"
                )
            return index
        return self._names.get(reference.lower())

    def target(self) -> int:
        """The stage that is asked for."""
        wanted = self._request.target
        if not wanted:
            return len(self.stages) - 1
        found = self._names.get(wanted.lower())
        if found is None:
            hint = (
                suggestion(wanted.lower(), self._names)
                or f"stages are {', '.join(self._names) or 'not named here'}"
            )
            raise BuildError("unknown-target", f'there is no stage "{wanted}" to build', hint=hint)
        return found

    # ------------------------------------------------------------ needs

    def needed(self, target: int) -> list[int]:
        """The stages that the target needs, itself included, in the order of the file."""
        seen: set[int] = set()
        waiting = [target]
        while waiting:
            index = waiting.pop()
            if index not in seen:
                seen.add(index)
                waiting += self._needs(index)
        return sorted(seen)

    def _needs(self, index: int) -> dict[int, tree.Node]:
        """The stages that a stage refers to, each with the first instruction that does."""
        planned = self.stages[index]
        if planned.name in self._overridden:
            return {}
        needs: dict[int, tree.Node] = {}
        if planned.parent is not None:
            needs[planned.parent] = planned.node.start
        for node in planned.node.body:
            for reference in references(node):
                try:
                    found = self.find(reference)
                except BuildError as error:
                    flag = node.flag("from")
                    at = node.at if flag is None else flag.at
                    raise error.at(self._file.span(self._request.filename, at)) from None
                if found is not None:
                    needs.setdefault(found, node)
        return needs

    def _check_circles(self) -> None:
        """Refuse stages that need each other: an error that names the way round."""
        needs = [self._needs(s.index) for s in self.stages]
        done: set[int] = set()
        for first in range(len(needs)):
            path: list[int] = []
            waiting = [(first, False)]
            while waiting:
                index, left = waiting.pop()
                if left:
                    path.pop()
                    done.add(index)
                elif index in path:
                    raise self._circle([*path[path.index(index) :], index], needs)
                elif index not in done:
                    path.append(index)
                    waiting.append((index, True))
                    waiting += [(i, False) for i in reversed(needs[index])]

    def _circle(self, path: list[int], needs: list[dict[int, tree.Node]]) -> BuildError:
        way = " needs ".join(self.stages[i].title for i in path)
        place = needs[path[0]][path[1]].at
        span = self._file.span(self._request.filename, place)
        return BuildError("stage-circle", f"stages need each other: {way}", span=span)


def references(node: tree.Node) -> list[str]:
    """What an instruction names with `--from`, or in a mount's `from=`."""
    if isinstance(node, tree.Copy):
        value = node.value("from")
        return [value] if value else []
    if isinstance(node, tree.Run):
        # Unlike COPY --from, a mount knows stages by name only: a number is the name of an image.
        names = (mounted_from(flag.value or "") for flag in node.flags if flag.name == "mount")
        return [name for name in names if name and not name.isdigit()]
    return []
