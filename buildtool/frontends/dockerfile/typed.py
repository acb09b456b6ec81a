"""The parser's tree to the typed tree: what the arguments of each instruction have to be.

Every instruction is checked by itself, so that one run finds all the mistakes of
a file.  Nothing is expanded here: a check of what a variable may bring is the
lowering's.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import TypedDict

from buildtool.diag import BuildError, BuildErrors, suggestion
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.expand import SPACES
from buildtool.frontends.dockerfile.flags import check_flags, read_flag
from buildtool.frontends.dockerfile.heredoc import heredoc_word
from buildtool.frontends.dockerfile.lalr import Token, Tree
from buildtool.frontends.dockerfile.source import Logical, Source
from buildtool.frontends.dockerfile.tree import Command, Flag, Pair, Place, Word

MAX_STAGES = 1_000
MAX_ERRORS = 20

INSTRUCTIONS = (
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
    *("MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
)

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")


def typed(parsed: list[Token | Tree], source: Source) -> tree.File:
    """The typed tree; BuildError, or BuildErrors for several, where instructions are not right."""
    errors: list[BuildError] = []
    nodes: list[tree.Node] = []
    for found, logical in zip(parsed, source.logical, strict=True):
        assert isinstance(found, Tree)
        line = _Line(found, logical, source)
        try:
            nodes.append(line.node())
        except BuildError as error:
            errors.append(error.at(source.span(line.whole)))
    if not errors:
        try:
            return _file(nodes, source)
        except BuildError as error:
            errors.append(error)
    raise errors[0] if len(errors) == 1 else BuildErrors(errors[:MAX_ERRORS])


def _file(nodes: list[tree.Node], source: Source) -> tree.File:
    """The instructions put into stages."""
    preamble: list[tree.Arg] = []
    stages: list[tuple[tree.From, list[tree.Node]]] = []
    for node in nodes:
        if isinstance(node, tree.From):
            stages.append((node, []))
        elif stages:
            stages[-1][1].append(node)
        elif isinstance(node, tree.Arg):
            preamble.append(node)
        else:
            raise BuildError(
                "no-stage",
                f"{node.name} stands before the first FROM",
                span=source.span(node.at),
                hint="only ARG can stand before FROM",
            )
    if not stages:
        raise BuildError("no-stage", "there is no FROM", span=source.span(nodes[-1].at))
    if len(stages) > MAX_STAGES:
        place = stages[MAX_STAGES][0].at
        raise BuildError("too-many-stages", f"at most {MAX_STAGES} stages", span=source.span(place))
    return tree.File(
        escape=source.escape,
        lines=tuple(tree.printable(line) for line in source.lines),
        directives=tuple(source.directives),
        empty_continuations=tuple(source.empty_continuations),
        preamble=tuple(preamble),
        stages=tuple(tree.Stage(start, tuple(body)) for start, body in stages),
    )


class _Common(TypedDict):
    """The fields that every instruction has."""

    at: Place
    text: str
    flags: tuple[Flag, ...]


class _Line:
    """One instruction: its tokens, and where they stand."""

    def __init__(self, found: Tree, logical: Logical, source: Source) -> None:
        self.kind = found.name
        self.tokens = [t for t in found.children if isinstance(t, Token)]
        self.logical = logical
        self.source = source
        self.name = self.kind.upper()
        self.flags: tuple[Flag, ...] = ()
        self.arguments: list[Token] = []

    @property
    def whole(self) -> Place:
        return self.logical.place(0, len(self.logical.text))

    def node(self) -> tree.Node:
        if self.kind == "unknown":
            raise self._unknown()
        flags = [read_flag(t.text, self._place(t)) for t in self.tokens if t.kind == "FLAG"]
        self.arguments = [t for t in self.tokens if t.kind != "FLAG"]
        if self.arguments and self.arguments[0].kind == "WORDS":
            self.arguments = list(_split(self.arguments[0]))
        self.flags = tuple(flags)
        if not self._ignores_flags():
            check_flags(self.name, self.flags, self.source.span)
        make: Callable[[], tree.Node] = getattr(self, f"_{self.kind}")
        return make()

    def _ignores_flags(self) -> bool:
        """BuildKit never looks at the flags of these, so that any will do."""
        if self.kind == "healthcheck":
            return bool(self.arguments) and self.arguments[0].text.upper() == "NONE"
        return self.kind in ("arg", "stopsignal")

    def _unknown(self) -> BuildError:
        word = self.tokens[0].text
        return BuildError(
            "unknown-instruction",
            f'unknown instruction "{word}"',
            span=self.source.span(self._place(self.tokens[0])),
            hint=suggestion(word.upper(), INSTRUCTIONS) or f"instructions are {', '.join(INSTRUCTIONS)}",
        )

    # ------------------------------------------------------------ pieces

    def _place(self, token: Token) -> Place:
        return self.logical.place(token.column, token.column + len(token.text))

    def _word(self, token: Token) -> Word:
        return Word(token.text, self._place(token))

    def _fail(self, code: str, message: str, at: Place | None = None, hint: str = "") -> BuildError:
        return BuildError(code, message, span=self.source.span(at or self.whole), hint=hint)

    def _words(self) -> list[Word]:
        """The arguments as words; those of a JSON array all stand where the array stands."""
        if not self.arguments:
            return []
        first = self.arguments[0]
        if first.kind == "JSON":
            found = _json(first.text)
            if found is not None:
                return [Word(text, self._place(first)) for text in found]
            return [self._word(token) for token in _split(first)]
        self._not_json(self.logical.text[first.column :], first)
        return [self._word(t) for t in self.arguments]

    def _not_json(self, text: str, token: Token) -> None:
        """Refuse an array of other things than strings, which is no shell form either."""
        if not text.startswith("["):
            return
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return
        if isinstance(value, list):
            raise self._fail(
                "json-not-strings", "a JSON form is an array of strings only", self._place(token)
            )

    def _command(self, arguments: list[Token]) -> Command:
        if not arguments:
            return Command("shell", ())
        found = _json(arguments[0].text) if arguments[0].kind == "JSON" else None
        if found is not None:
            return Command("exec", found)
        self._not_json(arguments[0].text, arguments[0])
        return Command("shell", (arguments[0].text,))

    def _one(self) -> Word:
        """The rest of the line, which is one argument."""
        if not self.arguments:
            raise self._fail("missing-argument", f"{self.name} needs an argument")
        return self._word(self.arguments[0])

    def _pairs(self, *, default: bool) -> tuple[Pair, ...]:
        """`NAME=value` words; with `default` the value can be missing."""
        if not self.arguments:
            raise self._fail("missing-argument", f"{self.name} needs at least one argument")
        return tuple(self._pair(t, default) for t in self.arguments)

    def _pair(self, token: Token, default: bool) -> Pair:
        text, place = self._without_last_escape(token.text), self._place(token)
        name, equals, value = text.partition("=")
        if not equals and not default:
            raise self._fail("missing-equals", f'"{text}" has no "="', place, f"write {self.name} NAME=value")
        if not name:
            raise self._fail("blank-name", f"{self.name} with an empty name", place)
        return Pair(name, value if equals else None, place)

    def _without_last_escape(self, text: str) -> str:
        """An escape as the very last character of a line escapes nothing and is dropped."""
        escape = self.source.escape
        ending = len(text) - len(text.rstrip(escape))
        return text[:-1] if ending % 2 and self.logical.text.endswith(text) else text

    def _old_or_pairs(self) -> tuple[Pair, ...]:
        """ENV and LABEL: the form with `=`, or the old one, which the first word tells."""
        if not self.arguments or "=" in self.arguments[0].text:
            return self._pairs(default=False)
        start = self.arguments[0].column
        text = self.logical.text[start:]
        parts = re.split(r"[\t\v\f\r ]+", text, maxsplit=1)
        if len(parts) < 2:
            place = self._place(self.arguments[0])
            hint = f"write {self.name} {text}=value"
            raise self._fail("missing-value", f"{self.name} needs a name and a value", place, hint)
        return (Pair(parts[0], parts[1], self.logical.place(start, start + len(text)), old=True),)

    def _sources(self) -> tuple[tuple[Word, ...], Word]:
        words = self._words()
        if len(words) < 2:
            raise self._fail("missing-argument", f"{self.name} needs at least one source and a destination")
        if self.logical.heredocs and heredoc_word(words[-1].text):
            raise self._fail("heredoc-destination", "a heredoc cannot be the destination", words[-1].at)
        return tuple(words[:-1]), words[-1]

    # ------------------------------------------------------------ instructions

    def _from(self) -> tree.From:
        words = [self._word(t) for t in self.arguments]
        alias = None
        if len(words) == 3 and words[1].text.lower() == "as":
            alias = words[2]
            if not _STAGE_NAME.fullmatch(alias.text.lower()):
                hint = "a stage's name begins with a letter and has letters, digits, - _ . only"
                raise self._fail("bad-stage-name", f'"{alias.text}" cannot name a stage', alias.at, hint)
        elif len(words) != 1:
            at = words[1].at if len(words) > 1 else None
            raise self._fail("bad-from", "FROM takes one argument, or three", at, "write FROM image AS name")
        return tree.From(base=words[0], alias=alias, **self._common())

    def _common(self) -> _Common:
        return {"at": self.whole, "text": self.logical.text, "flags": self.flags}

    def _arg(self) -> tree.Arg:
        return tree.Arg(pairs=self._pairs(default=True), **self._common())

    def _env(self) -> tree.Env:
        return tree.Env(pairs=self._old_or_pairs(), **self._common())

    def _label(self) -> tree.Label:
        return tree.Label(pairs=self._old_or_pairs(), **self._common())

    def _add(self) -> tree.Add:
        sources, dest = self._sources()
        heredocs = tuple(self.logical.heredocs)
        return tree.Add(sources=sources, dest=dest, heredocs=heredocs, **self._common())

    def _copy(self) -> tree.Copy:
        sources, dest = self._sources()
        heredocs = tuple(self.logical.heredocs)
        return tree.Copy(sources=sources, dest=dest, heredocs=heredocs, **self._common())

    def _run(self) -> tree.Run:
        heredocs = tuple(self.logical.heredocs)
        return tree.Run(command=self._command(self.arguments), heredocs=heredocs, **self._common())

    def _cmd(self) -> tree.Cmd:
        return tree.Cmd(command=self._command(self.arguments), **self._common())

    def _entrypoint(self) -> tree.Entrypoint:
        return tree.Entrypoint(command=self._command(self.arguments), **self._common())

    def _shell(self) -> tree.Shell:
        command = self._command(self.arguments)
        if command.form != "exec" and command.words:
            hint = 'write SHELL ["/bin/sh", "-c"]'
            raise self._fail("shell-not-json", "SHELL takes the JSON form only", hint=hint)
        if not command.words:
            raise self._fail("missing-argument", "SHELL needs at least one argument")
        return tree.Shell(command=command, **self._common())

    def _healthcheck(self) -> tree.Healthcheck:
        if not self.arguments:
            raise self._fail("missing-argument", "HEALTHCHECK needs CMD and a command, or NONE")
        kind = self._word(self.arguments[0])
        command = self._command(self.arguments[1:])
        if kind.text.upper() == "NONE":
            if command.words:
                raise self._fail("bad-healthcheck", "HEALTHCHECK NONE takes nothing else")
            return tree.Healthcheck(command=None, **self._common())
        if kind.text.upper() != "CMD":
            message = f'"{kind.text}" is no kind of HEALTHCHECK'
            raise self._fail("bad-healthcheck", message, kind.at, "write HEALTHCHECK CMD command")
        if not command.words:
            raise self._fail("missing-argument", "HEALTHCHECK CMD needs a command", kind.at)
        return tree.Healthcheck(command=command, **self._common())

    def _expose(self) -> tree.Expose:
        if not self.arguments:
            raise self._fail("missing-argument", "EXPOSE needs at least one port")
        return tree.Expose(ports=tuple(self._word(t) for t in self.arguments), **self._common())

    def _volume(self) -> tree.Volume:
        words = [Word(word.text.strip(SPACES), word.at) for word in self._words()]
        if not words:
            raise self._fail("missing-argument", "VOLUME needs at least one path")
        for word in words:
            if not word.text:
                raise self._fail("blank-name", "VOLUME with an empty path", word.at)
        return tree.Volume(paths=tuple(words), **self._common())

    def _workdir(self) -> tree.Workdir:
        return tree.Workdir(path=self._one(), **self._common())

    def _user(self) -> tree.User:
        return tree.User(user=self._one(), **self._common())

    def _stopsignal(self) -> tree.Stopsignal:
        return tree.Stopsignal(signal=self._one(), **self._common())

    def _maintainer(self) -> tree.Maintainer:
        return tree.Maintainer(who=self._one(), **self._common())

    def _onbuild(self) -> tree.Onbuild:
        if not self.arguments:
            raise self._fail("missing-argument", "ONBUILD needs an instruction")
        token = self.arguments[0]
        word = re.split(r"\s", token.text, maxsplit=1)[0]
        if word.startswith("--"):
            place = self.logical.place(token.column, token.column + len(word))
            check_flags("ONBUILD", (read_flag(word, place),), self.source.span)
        if word.upper() in ("ONBUILD", "FROM", "MAINTAINER"):
            place = self.logical.place(token.column, token.column + len(word))
            raise self._fail("bad-trigger", f"{word.upper()} cannot be an ONBUILD trigger", place)
        trigger = "".join([token.text, *(f"\n{h.body}{h.name}" for h in self.logical.heredocs)])
        return tree.Onbuild(trigger=trigger, **self._common())


def _split(words: Token) -> Iterator[Token]:
    """The words of one token, each where it stands."""
    for match in re.finditer(r"[^ \t\v\f\r]+", words.text):
        yield Token("WORD", match[0], words.column + match.start())


def _json(text: str) -> tuple[str, ...] | None:
    """The strings of an array; None for what only looks like one, as `["c:\\dir"]`: BuildKit's text.

    A lone surrogate, which no UTF-8 can hold, becomes U+FFFD as in Go.
    """
    try:
        items = json.loads(text)
    except ValueError:
        return None
    return tuple("".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in item) for item in items)
