"""What the rules look at: the tree, and what lowering found out on its way through the stages.

BuildKit checks some things in the whole file, as it is written, and others only in
the stages that a build reaches, since they depend on the base image and on the
variables in force.  `Record` is what lowering notes of these.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from buildtool.diag import BuildError
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.args import global_args
from buildtool.frontends.dockerfile.body import Body
from buildtool.frontends.dockerfile.expand import Expander, Style
from buildtool.frontends.dockerfile.request import Request
from buildtool.frontends.dockerfile.tree import Place
from buildtool.graph.model import Image, Platform


@dataclass(frozen=True, slots=True)
class Saw:
    """An instruction that was lowered.

    `unset` are the variables that it used and nothing had set, `known` the names that
    were set (only where `unset` is not empty).  `words` are the values of WORKDIR,
    EXPOSE, COPY and ADD, expanded.  `shell` is whether a SHELL was in force.
    """

    node: tree.Node
    at: Place
    trigger: bool
    unset: frozenset[str] = frozenset()
    known: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    shell: bool = False


@dataclass(slots=True)
class Began:
    """A stage that was lowered: what it is built on, and its instructions, triggers first."""

    parent: int | None
    name: str = ""
    wanted: Platform | None = None
    image: Image | None = None
    saw: list[Saw] = field(default_factory=list)


class Record:
    """What lowering notes; stages by their index."""

    def __init__(self) -> None:
        self.stages: dict[int, Began] = {}

    def began(self, index: int, parent: int | None, body: Body) -> None:
        """A stage begins, with nothing or with the files of another one."""
        self.stages.setdefault(index, Began(None)).parent = parent
        _taken(body)

    def resolved(self, index: int, name: str, wanted: Platform, image: Image) -> None:
        """What a stage will begin with: an image that was found by its name, for a platform."""
        began = self.stages.setdefault(index, Began(None))
        began.name, began.wanted, began.image = name, wanted, image

    def saw(self, index: int, node: tree.Node, body: Body) -> None:
        """An instruction of a stage was lowered."""
        unset = _taken(body)
        self.stages[index].saw.append(
            Saw(
                node,
                body.trigger_of or node.at,
                body.trigger_of is not None,
                unset,
                tuple(body.env) if unset else (),
                _words(node, body),
                bool(body.stage.config.shell),
            )
        )


def _taken(body: Body) -> frozenset[str]:
    """The names that were not set since this was last asked."""
    expander, bodies = body.shared.expander.unset, body.shared.bodies.unset
    if not expander and not bodies:
        return frozenset()
    found = frozenset(expander | bodies)
    expander.clear()
    bodies.clear()
    return found


def _words(node: tree.Node, body: Body) -> tuple[str, ...]:
    if isinstance(node, tree.Workdir):
        found = [node.path]
    elif isinstance(node, tree.Copy | tree.Add):
        found = list(node.sources)
    elif isinstance(node, tree.Expose):
        found = list(node.ports)
    else:
        return ()
    quiet = Expander(body.shared.expander.style, body.shared.budget)
    return tuple(quiet.word(word.text, body.env) if "$" in word.text else word.text for word in found)


@dataclass(frozen=True, slots=True)
class Expanded:
    """A word of FROM: what it comes to, and which variables it used that are set, and which that are not."""

    word: str
    at: Place
    value: str
    matched: frozenset[str]
    unset: frozenset[str]


@dataclass(frozen=True, slots=True)
class StageFacts:
    """A FROM and what follows it; `began` is None where the stage was not lowered.

    `base` and `platform` are None where they cannot be expanded (or are not there).
    """

    index: int
    node: tree.Stage
    name: str
    base: Expanded | None
    platform: Expanded | None
    began: Began | None

    @property
    def title(self) -> str:
        """How the stage is called in front of people."""
        return self.name or f"stage-{self.index}"


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a rule can ask; `unknown` are the names of base images that could not be looked at.

    `global_names` are the arguments that FROM can use, those without a value included.
    `pinned` are the URLs and the git refs (`URL#REF`) that the lock holds.
    """

    file: tree.File
    request: Request
    stages: tuple[StageFacts, ...]
    arguments: Mapping[str, str]
    global_names: frozenset[str]
    unknown: frozenset[str] = frozenset()
    pinned: frozenset[str] = frozenset()

    def nodes(self) -> Iterator[tree.Node]:
        """Every instruction as it stands in the file, except what stands before the first FROM."""
        for stage in self.file.stages:
            yield stage.start
            yield from stage.body

    def find(self, at: Place, pattern: str) -> Place:
        """Where the pattern first matches within a place; the place itself where it does not."""
        compiled = re.compile(pattern)
        for number in range(at.line, min(at.end_line, len(self.file.lines)) + 1):
            line = self.file.lines[number - 1]
            match = compiled.search(line, at.column - 1 if number == at.line else 0)
            if match and not (number > at.line and line.lstrip().startswith("#")):
                return Place(number, match.start() + 1, number, match.end() + 1)
        return at

    def lineage(self, stage: StageFacts) -> list[StageFacts]:
        """The stages that this one is built on, the first of them first, itself last."""
        chain = [stage]
        while chain[-1].began is not None and chain[-1].began.parent is not None:
            chain.append(self.stages[chain[-1].began.parent])
        return chain[::-1]

    def known_base(self, stage: StageFacts) -> bool:
        """Whether what the stage begins with could be looked at."""
        first = self.lineage(stage)[0].began
        return first is None or first.name not in self.unknown


def facts_of(
    file: tree.File,
    request: Request,
    record: Record,
    unknown: frozenset[str] = frozenset(),
    pinned: frozenset[str] = frozenset(),
) -> Facts:
    """The facts of a file, of which some stages were lowered."""
    expander = Expander(Style(escape=file.escape))
    try:
        arguments = global_args(file, request, expander)
    except BuildError:
        arguments = {}
    declared = {pair.name for node in file.preamble for pair in node.pairs}
    stages = tuple(_stage(i, s, file.escape, arguments, record) for i, s in enumerate(file.stages))
    return Facts(file, request, stages, arguments, frozenset(declared | set(arguments)), unknown, pinned)


def _stage(
    index: int, node: tree.Stage, escape: str, arguments: Mapping[str, str], record: Record
) -> StageFacts:
    start = node.start
    name = start.alias.text.lower() if start.alias else ""
    flag = start.flag("platform")
    platform = expanded(flag.value or "", flag.at, escape, arguments) if flag else None
    base = expanded(start.base.text, start.base.at, escape, arguments)
    return StageFacts(index, node, name, base, platform, record.stages.get(index))


def expanded(word: str, at: Place, escape: str, arguments: Mapping[str, str]) -> Expanded | None:
    """A word of FROM expanded; None where it cannot be."""
    looked = _Looked(arguments)
    expander = Expander(Style(escape=escape))
    try:
        value = expander.word(word, looked)
    except BuildError:
        return None
    return Expanded(word, at, value, frozenset(looked.matched), frozenset(expander.unset))


class _Looked(dict[str, str]):
    """Variables that note which of them were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.matched: set[str] = set()

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        if name in self:
            self.matched.add(name)
        return super().get(name, default)
