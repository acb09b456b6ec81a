r"""Source text to logical lines: what has to happen before a grammar can read a Dockerfile.

Three things depend on what came before and are done here, in one pass, a
physical line at a time:

- parser directives (`# escape=`) decide which character continues a line;
- comments go away and continued lines are joined, also around comments;
- a heredoc's body is set aside until its delimiter, so that none of it is read
  as an instruction.

A logical line remembers where each of its pieces stood, so that any range of it
can be shown in the file.
"""

from bisect import bisect_right

import msgspec

from buildtool.diag import BuildError, Span
from buildtool.frontends.dockerfile.expand import SPACES
from buildtool.frontends.dockerfile.heredoc import HeredocWord, heredoc_words
from buildtool.frontends.dockerfile.tree import Directive, Heredoc, Place, span_of

MAX_BYTES = 4 << 20
MAX_LINE = 65_535
MAX_INSTRUCTIONS = 50_000

DIRECTIVES = ("syntax", "escape", "check")


class Logical(msgspec.Struct):
    """One instruction's text without its line ends; `pieces` say where it stood."""

    text: str
    pieces: list[tuple[int, int, int]]  # offset in text, line, column
    heredocs: list[Heredoc] = []

    def place(self, start: int, end: int) -> Place:
        """The range of the file that `text[start:end]` came from."""
        line, column = self._position(start)
        end_line, end_column = self._position(max(start, end - 1))
        return Place(line, column, end_line, end_column + (end > start))

    def _position(self, offset: int) -> tuple[int, int]:
        at = bisect_right(self.pieces, offset, key=lambda p: p[0]) - 1
        begin, line, column = self.pieces[max(at, 0)]
        return line, column + offset - begin


class Source(msgspec.Struct):
    """A Dockerfile's physical lines, and what they make."""

    filename: str
    lines: list[str]
    escape: str = "\\"
    directives: list[Directive] = []
    logical: list[Logical] = []
    empty_continuations: list[Place] = []

    def span(self, place: Place) -> Span:
        return span_of(self.filename, self.lines, place)


def read_source(data: bytes, filename: str) -> Source:
    """The logical lines of a Dockerfile.

    Raises `dockerfile-too-large`, `line-too-long`, `bad-directive`,
    `unterminated-heredoc`, `invalid-utf8` and `empty-dockerfile`.
    """
    if len(data) > MAX_BYTES:
        raise BuildError("dockerfile-too-large", f"{filename} has more than {MAX_BYTES} bytes")
    raw = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if raw and not raw[-1]:
        raw.pop()
    # A comment may hold any bytes; an instruction that holds bytes which are no
    # UTF-8 is refused when it is found.
    bodies = [line.decode("utf-8", "surrogateescape") for line in raw]
    source = Source(filename, [body.rstrip("\r") for body in bodies])
    for number, line in enumerate(raw, 1):
        if len(line) > MAX_LINE:
            span = source.span(Place(number, 1, number, 2))
            raise BuildError("line-too-long", f"a line has more than {MAX_LINE} bytes", span=span)
    _Pass(source, bodies).run()
    if not source.logical:
        at = Place(max(len(raw), 1), 1, max(len(raw), 1), 2)
        raise BuildError("empty-dockerfile", f"{filename} has no instructions", span=source.span(at))
    return source


class _Pass:
    """The one pass over the physical lines; `at` is the index of the next one."""

    def __init__(self, source: Source, bodies: list[str]) -> None:
        self.source = source
        self.bodies = bodies
        self.at = 0
        self.heading = True

    def run(self) -> None:
        lines = self.source.lines
        while self.at < len(lines):
            line = lines[self.at]
            stripped = line.lstrip(SPACES)
            self.at += 1
            if stripped.startswith("#"):
                self.heading = self.heading and self._directive(stripped)
                continue
            self.heading = False
            if stripped:
                self._instruction(stripped, len(line) - len(stripped) + 1)
        if len(self.source.logical) > MAX_INSTRUCTIONS:
            place = self.source.logical[MAX_INSTRUCTIONS].place(0, 1)
            raise BuildError(
                "too-many-instructions",
                f"a Dockerfile has at most {MAX_INSTRUCTIONS} instructions",
                span=self.source.span(place),
            )

    # ------------------------------------------------------------ directives

    def _directive(self, line: str) -> bool:
        """Take a directive; false for an ordinary comment, after which there are none any more."""
        name, equals, value = line[1:].partition("=")
        name, value = name.strip(SPACES).lower(), value.strip(SPACES)
        if not equals or not value or name not in DIRECTIVES:
            return False
        column = self.source.lines[self.at - 1].find("#") + 1
        place = Place(self.at, column, self.at, len(self.source.lines[self.at - 1]) + 1)
        if any(d.name == name for d in self.source.directives):
            self._fail("bad-directive", f"the directive {name} is given twice", place)
        if name == "escape":
            if value not in ("\\", "`"):
                self._fail("bad-directive", f'the escape character is \\ or `, not "{value}"', place)
            self.source.escape = value
        self.source.directives.append(Directive(name=name, value=value, at=place))
        return True

    # ------------------------------------------------------------ instructions

    def _instruction(self, first: str, column: int) -> None:
        """Join an instruction's lines, then take the bodies of its heredocs."""
        parts: list[str] = []
        pieces: list[tuple[int, int, int]] = []
        size = 0
        text, goes_on = self._continued(first)
        while True:
            pieces.append((size, self.at, column))
            parts.append(text)
            size += len(text)
            following = self._next_line() if goes_on else None
            if following is None:
                break
            column = 1
            text, goes_on = self._continued(following)
        joined = "".join(parts)
        lead = len(joined) - len(joined.lstrip(SPACES))
        logical = Logical(joined.strip(SPACES), [(max(o - lead, 0), line, c) for o, line, c in pieces])
        if lead:
            logical.pieces[0] = (0, pieces[0][1], pieces[0][2] + lead)
        if not logical.text:
            return
        if not logical.text.isascii():
            self._check_utf8(logical)
        self.source.logical.append(logical)
        for word in heredoc_words(logical.text):
            logical.heredocs.append(self._heredoc(word, logical))

    def _next_line(self) -> str | None:
        """The next line of a continued instruction, comments and empty lines passed over."""
        lines = self.source.lines
        while self.at < len(lines):
            line = lines[self.at]
            self.at += 1
            stripped = line.lstrip(SPACES)
            if not stripped:
                self.source.empty_continuations.append(Place(self.at, 1, self.at, 2))
            elif not stripped.startswith("#"):
                return line
        return None

    def _continued(self, line: str) -> tuple[str, bool]:
        """The line without its continuation mark, and whether it had one; a doubled mark is none."""
        bare = line.rstrip(" \t")
        escape = self.source.escape
        if bare.endswith(escape) and not bare.endswith(escape * 2):
            return bare[:-1], True
        return line, False

    def _heredoc(self, word: HeredocWord, logical: Logical) -> Heredoc:
        start = self.at
        while self.at < len(self.bodies):
            line = self.source.lines[self.at]
            self.at += 1
            if (line.lstrip("\t") if word.chomp else line) == word.name:
                body = "".join(f"{b}\n" for b in self.bodies[start : self.at - 1])
                place = Place(start + 1, 1, self.at, len(line) + 1)
                if not body.isascii():
                    self._check_body(body, place)
                return Heredoc(name=word.name, body=body, expand=word.expand, chomp=word.chomp, at=place)
        at = max(logical.text.find(f"<<{'-' if word.chomp else ''}"), 0)
        place = logical.place(at, len(logical.text))
        self._fail("unterminated-heredoc", f'the heredoc is not ended by a line "{word.name}"', place)
        raise AssertionError

    # ------------------------------------------------------------ complaints

    def _check_utf8(self, logical: Logical) -> None:
        for n, c in enumerate(logical.text):
            if "\ud800" <= c <= "\udfff":
                self._fail("invalid-utf8", "the instruction is not valid UTF-8", logical.place(n, n + 1))

    def _check_body(self, body: str, place: Place) -> None:
        for n, line in enumerate(body.split("\n")):
            bad = [i for i, c in enumerate(line) if "\ud800" <= c <= "\udfff"]
            if bad:
                at = Place(place.line + n, bad[0] + 1, place.line + n, bad[0] + 2)
                self._fail("invalid-utf8", "the heredoc is not valid UTF-8", at)

    def _fail(self, code: str, message: str, place: Place) -> None:
        raise BuildError(code, message, span=self.source.span(place))
