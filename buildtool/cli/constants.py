"""The variables of a Dockerfile as constants of a BUILD.star: what an ARG says stands once, at the top.

While words are expanded a constant is a character of a private plane of Unicode; `written`
makes a text with such characters the expression that puts the constants in their places.
What an operator (`${v#p}`) does to a value is worked out now, since a constant cannot do it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from buildtool.diag import BuildError
from buildtool.frontends.dockerfile.expand import BODY, Expander, Style

_FIRST, _LAST = 0xF0000, 0xFFFFD
MARK = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")
_OPERATOR = re.compile(r"\$\{\w+[^\w}]")
_OPTIONAL = re.compile(r"\$\{(\w+):?[-+]")
_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")

#: A value that is written into the file: a text, words, or a text for each name.
Value: TypeAlias = str | Sequence[str] | Mapping[str, str]

#: What the platform that is built for says of itself.
_PLATFORM_ARGS = {
    "TARGETARCH": {"linux/amd64": "amd64", "linux/arm64": "arm64"},
    "TARGETPLATFORM": {"linux/amd64": "linux/amd64", "linux/arm64": "linux/arm64"},
}


class NoEquivalentError(Exception):
    """Why an instruction has no step."""


@dataclass(frozen=True, slots=True)
class _Constant:
    name: str
    value: str | None
    row: str
    needs: tuple[str, ...] = ()


@dataclass(slots=True)
class Constants:
    """The constants of one file, in the order in which they were made."""

    made: dict[str, _Constant] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def make(self, name: str, value: str) -> str:
        """A constant's mark; the value itself where another one has the name, or it is no name for one."""
        return self._make(name.upper(), self.known(value), self._text(value), self._names(value))

    def of_platform(self) -> dict[str, str]:
        """The arguments that a build has by itself, by name: what the platform decides is a mark."""
        marks = {
            name: self._make(name, None, f"select({self.written(values)})")
            for name, values in _PLATFORM_ARGS.items()
        }
        return {**marks, "TARGETOS": "linux"}

    def _make(self, name: str, value: str | None, expression: str, needs: Sequence[str] = ()) -> str:
        row = f"{name} = {expression}"
        for mark, other in self.made.items():
            if other.row == row:
                return mark
        taken = any(c.name == name for c in self.made.values())
        if value is not None and (taken or not value or not _NAME.fullmatch(name)):
            return value
        mark = chr(_FIRST + len(self.made))
        self.made[mark] = _Constant(name, value, row, tuple(needs))
        return mark

    def known(self, text: str) -> str:
        """The text with the values of its constants."""
        return MARK.sub(lambda found: self._value(found[0]), text)

    def settled(self, text: str) -> str:
        """As `known`, or nothing where that is not known."""
        try:
            return self.known(text)
        except NoEquivalentError:
            return ""

    def _value(self, mark: str) -> str:
        constant = self.made[mark]
        if constant.value is None:
            raise NoEquivalentError(f"it changes {constant.name}, which the platform decides")
        return constant.value

    def written(self, value: Value) -> str:
        """The value as an expression; the constants in it are used from now on."""
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{self.written(k)}: {self.written(v)}" for k, v in value.items()) + "}"
        if not isinstance(value, str):
            return "[" + ", ".join(map(self.written, value)) + "]"
        self.used.update(self._names(value))
        return self._text(value)

    def _names(self, text: str) -> list[str]:
        return [self.made[mark].name for mark in MARK.findall(text)]

    def _text(self, value: str) -> str:
        names = self._names(value)
        if not names:
            return json.dumps(value, ensure_ascii=False)
        if MARK.fullmatch(value):
            return names[0]
        template = json.dumps(MARK.sub("%s", value.replace("%", "%%")), ensure_ascii=False)
        return f"{template} % " + (names[0] if len(names) == 1 else f"({', '.join(names)})")

    def rows(self) -> list[str]:
        """The assignments of the constants that are used, by the file or by one another."""
        rows = []
        wanted = set(self.used)
        for constant in reversed(self.made.values()):
            if constant.name in wanted:
                wanted.update(constant.needs)
                rows.append(constant.row)
        return rows[::-1]


class _Known(dict[str, str]):
    """Variables by name; one that is not among them may be the base's."""

    def __init__(self, values: Mapping[str, str], unset: set[str]) -> None:
        super().__init__(values)
        self._unset = unset

    def get(self, name: str, default: object = None) -> str | None:  # type: ignore[override]
        if name in self or name in self._unset:
            return super().get(name)
        raise NoEquivalentError(f"nothing here says what {name or '$'} is")


@dataclass(slots=True)
class Variables:
    """What the words of one stage expand to: values with marks of constants in them.

    `env` is what ENV set, `args` the arguments in force, `unset` those without a value.
    """

    constants: Constants
    escape: str = "\\"
    env: dict[str, str] = field(default_factory=dict)
    args: dict[str, str] = field(default_factory=dict)
    unset: set[str] = field(default_factory=set)

    def word(self, text: str) -> str:
        """A word, expanded."""
        return self._expanded(text, Style(escape=self.escape))

    def body(self, text: str) -> str:
        """The text of a heredoc, expanded."""
        return self._expanded(text, BODY)

    def _expanded(self, text: str, style: Style) -> str:
        values = {**self.env, **self.args}
        # What has a word for the case that it is not set is taken to be not set by a base.
        unset = self.unset | set(_OPTIONAL.findall(text)) - {"PATH"}
        if _OPERATOR.search(text):
            values = {name: self.constants.known(value) for name, value in values.items() if name in text}
        try:
            return Expander(style).word(text, _Known(values, unset))
        except BuildError as error:
            raise NoEquivalentError(error.message) from None

    def inherit(self, base: "Variables") -> None:
        """Begin with what a stage left, whose image's environment wins over its arguments."""
        self.env.update(base.env)
        self.args.update((name, value) for name, value in base.args.items() if name not in base.env)
        self.unset.update(base.unset)

    def set_arg(self, name: str, value: str) -> None:
        self.args[name] = self.constants.make(name, value)
        self.unset.discard(name)

    def set_env(self, name: str, value: str) -> None:
        self.env[name] = value
        self.args.pop(name, None)
        self.unset.discard(name)

    def forget(self, name: str) -> None:
        """The variable has a value that is not known here."""
        self.env.pop(name, None)
        self.args.pop(name, None)
        self.unset.discard(name)
