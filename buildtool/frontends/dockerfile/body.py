"""One stage while it is lowered: the image that grows, and the variables in force."""

from dataclasses import dataclass, field
from typing import TypeVar

from buildtool.address import shown
from buildtool.diag import BuildError, Span
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.expand import BODY, Budget, Expander, Style
from buildtool.frontends.dockerfile.request import Request
from buildtool.frontends.dockerfile.tree import Place
from buildtool.graph.ignore import IgnoreMatcher
from buildtool.graph.model import LocalSource, Origin
from buildtool.graph.stage import Stage

_LONGEST_TITLE = 80
_N = TypeVar("_N")


class Shared:
    """What the stages of one build have in common."""

    def __init__(self, file: tree.File, request: Request) -> None:
        self.file = file
        self.request = request
        self.budget = Budget()
        self.expander = Expander(Style(escape=file.escape), self.budget)
        self.bodies = Expander(BODY, self.budget)
        self._ignores: dict[tuple[str, ...], IgnoreMatcher] = {}
        self._locals: dict[tuple[str, tuple[str, ...], tuple[str, ...]], LocalSource] = {}

    def span(self, place: Place) -> Span:
        return self.file.span(self.request.filename, place)

    def leaves_out(self, path: str, ignore: tuple[str, ...]) -> bool:
        """Whether patterns leave out all that is at a path; where they have exceptions, nobody knows."""
        if not ignore or any(pattern.startswith("!") for pattern in ignore):
            return False
        matcher = self._ignores.get(ignore)
        if matcher is None:
            matcher = self._ignores[ignore] = IgnoreMatcher(ignore)
        return matcher.matches(path)

    def local(
        self, folder: str, include: tuple[str, ...], ignore: tuple[str, ...], origin: Origin
    ) -> LocalSource:
        """Files of a folder, one step for all who ask for the same."""
        key = (folder, include, ignore)
        found = self._locals.get(key)
        if found is None:
            found = self._locals[key] = LocalSource(include, ignore, folder, origin)
        return found


@dataclass(slots=True)
class Body:
    """A stage in the making.

    `args` are the build arguments in force, except those that ENV has overridden
    since; `env` is what variables expand to: the config's environment and `args`.
    """

    shared: Shared
    name: str
    stage: Stage
    args: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    has_cmd: bool = False
    trigger_of: Place | None = None

    def __post_init__(self) -> None:
        config = dict(self.stage.config.env)
        self.args = {name: value for name, value in self.args.items() if name not in config}
        self.env = {**config, **self.args}

    # ------------------------------------------------------------ variables

    def word(self, text: str, at: Place) -> str:
        """The text that stands at a place, with its variables expanded."""
        try:
            return self.shared.expander.word(text, self.env)
        except BuildError as error:
            raise error.at(self.span(at)) from None

    def set_env(self, pairs: tuple[tuple[str, str], ...]) -> None:
        self.stage = self.stage.env(*pairs)
        for name, value in pairs:
            self.env[name] = value
            self.args.pop(name, None)

    def set_arg(self, name: str, value: str) -> None:
        """An argument wins over the environment of the same name, for as long as the build lasts."""
        self.args[name] = self.env[name] = value

    # ------------------------------------------------------------ places

    def span(self, place: Place) -> Span:
        """Where something stands; what an ONBUILD trigger has stands at the FROM that fires it."""
        return self.shared.span(self.trigger_of or place)

    def origin(self, node: tree.Instruction) -> Origin:
        """How a step is called: the instruction's text, shortened."""
        text = shown(" ".join(node.text.split()))
        title = text if len(text) <= _LONGEST_TITLE else text[: _LONGEST_TITLE - 3] + "..."
        return Origin(title, self.span(node.at), self.name)

    def refuse(self, what: str, place: Place) -> BuildError:
        """The error for a part of the language that has its place in the tree but not in the graph yet."""
        return BuildError("not-supported-yet", f"{what} is not supported yet", span=self.span(place))
