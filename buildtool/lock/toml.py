"""A TOML document whose values know where they stand, so that a wrong one is shown with its line.

Values are looked for in the text only once something is wrong with them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from buildtool.diag import BuildError, Span, suggestion
from buildtool.digest import Digest, parse_digest

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a document is called, the prefix of its error codes, and what mends it."""

    title: str
    code: str
    mend: str


class Source:
    """The text of a document, by lines."""

    def __init__(self, kind: Kind, path: str, text: str) -> None:
        self.kind = kind
        self.path = path
        self._rows = text.split("\n")

    def span(self, line: int, column: int = 1) -> Span:
        """A line from `column` to its end."""
        line = min(line, len(self._rows))
        row = self._rows[line - 1].rstrip("\r")
        return Span(self.path, line, min(column, len(row) + 1), line, len(row) + 1, row)

    def refuse_conflict(self) -> None:
        """Raise for the first marker of a merge, if there is one: it explains whatever else is wrong."""
        for number, row in enumerate(self._rows, 1):
            if row.startswith(("<<<<<<< ", ">>>>>>> ", "||||||| ")):
                raise BuildError(
                    f"{self.kind.code}-conflict",
                    "a merge left its marker here",
                    span=self.span(number),
                    hint="take one side whole, or delete the file and build again",
                )

    def find(self, table: tuple[str, ...], key: str = "", item: str = "") -> Span:
        """The line of `item` in the array `key` of `table`, or the nearest place that exists."""
        best = 1
        inside, below = not table, False
        for number, row in enumerate(self._rows, 1):
            text = row.strip()
            if below:
                if text.startswith("]"):
                    break
                if _holds(text, item):
                    return self._whole(number)
            elif text.startswith("["):
                header = _header(text)
                inside = header == table
                if inside or (table and best == 1 and header[: len(table)] == table):
                    best = number
            elif inside and key and _assigns(text, key):
                best, below = number, True
                if not item or _holds(text, item):
                    break
        return self._whole(best)

    def _whole(self, number: int) -> Span:
        row = self._rows[number - 1]
        return self.span(number, len(row) - len(row.lstrip()) + 1)


def _header(row: str) -> tuple[str, ...]:
    import tomli

    try:
        tree: object = tomli.loads(row)
    except tomli.TOMLDecodeError:
        return ("?",)
    names: list[str] = []
    while isinstance(tree, dict) and tree:
        name, tree = next(iter(tree.items()))
        names.append(name)
    return tuple(names)


def _holds(row: str, item: str) -> bool:
    """Whether an item of an array, a string or not, stands in the row."""
    return f'"{item}"' in row or f"'{item}'" in row or row.strip("[], ") == item


def _assigns(row: str, key: str) -> bool:
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    return any(row.startswith(k) and row[len(k) :].lstrip().startswith("=") for k in (key, f'"{quoted}"'))


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a document: every way to get at a value checks its type."""

    source: Source
    names: tuple[str, ...]
    tree: Mapping[str, object]

    def fail(self, message: str, key: str = "", item: str = "", *, hint: str = "") -> NoReturn:
        """Raise `CODE-invalid` at a key, or at an item of the list there."""
        self.source.refuse_conflict()
        raise BuildError(
            f"{self.source.kind.code}-invalid",
            message,
            span=self.source.find(self.names, key, item),
            hint=hint or self.source.kind.mend,
        )

    def only(self, *known: str) -> None:
        """Refuse keys other than the known ones."""
        for key, value in self.tree.items():
            if key not in known:
                hint = suggestion(key, known)
                if isinstance(value, dict):
                    self.table(key).fail(f"{self._title} has no table {key!r}", hint=hint)
                self.fail(f"{self._title} has no {key!r}", key, hint=hint)

    def text(self, key: str) -> str:
        """A string that has to be there."""
        value = self.tree.get(key)
        if not isinstance(value, str):
            self.wrong(key, "a string")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings that has to be there."""
        value = self.tree.get(key)
        if not isinstance(value, list):
            self.wrong(key, "a list of strings")
        for item in value:
            if not isinstance(item, str):
                self.fail(f"{key!r} holds {item!r}, which is not a string", key, str(item))
        return tuple(value)

    def parsed(self, key: str, parse: Callable[[str], _T]) -> tuple[_T, ...]:
        """The strings of a list, each taken apart by `parse` (which raises ValueError or BuildError)."""
        found = []
        for item in self.texts(key):
            try:
                found.append(parse(item))
            except (BuildError, ValueError) as e:
                self.fail(e.message if isinstance(e, BuildError) else str(e), key, item)
        return tuple(found)

    def digest(self, key: str) -> Digest:
        """A digest that has to be there."""
        try:
            return parse_digest(self.text(key))
        except BuildError as e:
            if e.code != "bad-digest":
                raise
            self.fail(e.message, key, hint=e.hint)

    def table(self, key: str) -> "Table":
        """A table; an empty one if it is not there."""
        value = self.tree.get(key, {})
        if not isinstance(value, dict):
            self.wrong(key, "a table")
        return Table(self.source, (*self.names, key), value)

    def wrong(self, key: str, wanted: str) -> NoReturn:
        """Raise for a value that is missing or is not what was wanted."""
        if key not in self.tree:
            self.fail(f"{self._title} has no {key!r}")
        self.fail(f"{key!r} is not {wanted}", key)

    @property
    def _title(self) -> str:
        return f"[{'.'.join(self.names)}]" if self.names else self.source.kind.title


def parse(data: bytes, path: str, kind: Kind) -> Table:
    """The top table of a document; BuildError `CODE-syntax` or `CODE-conflict` with the line."""
    import tomli

    try:
        text = data.decode()
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise BuildError(
            f"{kind.code}-syntax", f"{kind.title} is not UTF-8 text", span=Span(path, line), hint=kind.mend
        ) from e
    source = Source(kind, path, text)
    try:
        return Table(source, (), tomli.loads(text))
    except tomli.TOMLDecodeError as e:
        source.refuse_conflict()
        raise BuildError(
            f"{kind.code}-syntax",
            f"{kind.title} is not TOML: {e.msg[:1].lower()}{e.msg[1:]}",
            span=source.span(e.lineno, e.colno),
            hint=kind.mend,
        ) from e
    except (RecursionError, ValueError) as e:
        # Nesting and numbers beyond what Python takes; tomli tells no line for them.
        raise BuildError(
            f"{kind.code}-syntax", f"{kind.title} is not TOML", span=source.span(1), hint=kind.mend
        ) from e
