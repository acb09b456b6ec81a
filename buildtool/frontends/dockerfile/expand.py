r"""Variables in a Dockerfile's words: `$v`, `${v}` and the operators on it, quotes and escapes.

The rules are those of BuildKit's word processor, which differ from a shell's in
places: an unset variable is empty, a backslash inside double quotes escapes only
a quote, a dollar and itself, and there is no command substitution.

====================  =====================================================
`${v-w}` `${v:-w}`    w where v is unset (`:` unset or empty)
`${v+w}` `${v:+w}`    w where v is set (`:` and not empty)
`${v?w}` `${v:?w}`    an error, w its text, where v is unset (`:` or empty)
`${v#p}` `${v##p}`    v without the shortest (longest) prefix that p matches
`${v%p}` `${v%%p}`    v without the shortest (longest) suffix that p matches
`${v/p/r}` `${v//p/r}`  v with the first (every) longest match of p replaced
====================  =====================================================
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from buildtool.diag import BuildError
from buildtool.frontends.dockerfile.pattern import Pattern

#: The longest result of one word, in characters, and the deepest nesting of `${}`.
MAX_RESULT = 1 << 20
MAX_DEPTH = 40

#: What Unicode calls a space, and nothing else that Python strips.
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))

_SPECIAL = frozenset("@*#?-$!")


class Style(NamedTuple):
    """How a text is read: which character escapes, and what of it stays as written."""

    escape: str = "\\"
    raw_quotes: bool = False
    raw_escapes: bool = False
    keep_unset: bool = False
    quotes: bool = True


#: A word.
PLAIN = Style()
#: A heredoc's body: quotes mean nothing, and the escape is a backslash whatever the directive says.
BODY = Style(quotes=False)


class Budget:
    """What one Dockerfile may spend: characters made and compared, or as good as made."""

    def __init__(self, left: int = 1 << 26) -> None:
        self.left = left

    def spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise BuildError("expansion-too-large", "the variables and lists of this file come to too much")


class Expander:
    """Expands words against an environment; `unset` collects the names that it did not have.

    Raises `bad-substitution`, `variable-required` and `expansion-too-large`,
    without a place: the caller knows it.
    """

    def __init__(self, style: Style = PLAIN, budget: Budget | None = None) -> None:
        self.style = style
        self.budget = budget or Budget()
        self.unset: set[str] = set()
        self._active = re.compile(f"[$'\"{re.escape(style.escape)}]")

    def word(self, text: str, env: Mapping[str, str]) -> str:
        """The text with its variables replaced, quotes and escapes resolved."""
        if not self._active.search(text):
            return text
        return _Reader(text, env, self).until("")

    def words(self, text: str, env: Mapping[str, str]) -> list[str]:
        """As `word`, split at the spaces that are not quoted; spaces that a variable brings split too."""
        reader = _Reader(text, env, self, splits=True)
        reader.until("")
        return reader.words()


def _bad(message: str) -> BuildError:
    return BuildError("bad-substitution", message)


class _Reader:
    """One pass over a text, left to right."""

    def __init__(
        self, text: str, env: Mapping[str, str], expander: Expander, *, splits: bool = False
    ) -> None:
        self.text = text
        self.at = 0
        self.env = env
        self.style = expander.style
        self.budget = expander.budget
        self.unset = expander.unset
        self.depth = 0
        self.splits = splits
        self.raw_escapes = expander.style.raw_escapes
        self._words: list[str] = []
        self._word: list[str] | None = None

    # ------------------------------------------------------------ words

    def words(self) -> list[str]:
        self._end_word()
        return self._words

    def _end_word(self) -> None:
        if self._word is not None and any(self._word):
            self._words.append("".join(self._word))
            self._word = None

    def _split(self, text: str) -> None:
        """Add unquoted text to the words."""
        for c in text:
            if c in SPACES:
                self._end_word()
            else:
                self._join(c)

    def _join(self, text: str) -> None:
        """Add quoted or escaped text to the words: its spaces split nothing."""
        if self._word is None:
            self._word = []
        self._word.append(text)

    # ------------------------------------------------------------ characters

    def until(self, stop: str) -> str:
        """Everything up to `stop` (consumed), or to the end of the text where `stop` is empty."""
        text, style = self.text, self.style
        top = self.depth == 0
        splits = top and self.splits
        out: list[str] = []
        size = 0
        while self.at < len(text):
            c = text[self.at]
            if c == stop:
                self.at += 1
                self.budget.spend(size)
                return "".join(out)
            if c == "$":
                piece = self._dollar()
                join = self._split
            elif style.quotes and c in "'\"":
                piece = self._single() if c == "'" else self._double()
                join = self._join
            elif c == style.escape:
                piece = self._escaped()
                join = self._join
            elif c == "<" and top:
                piece = self._angle()
                join = self._join if len(piece) > 1 else self._split
            else:
                self.at += 1
                piece = c
                join = self._split
            out.append(piece)
            size += len(piece)
            if size > MAX_RESULT:
                raise BuildError(
                    "expansion-too-large", f"a word expands to more than {MAX_RESULT} characters"
                )
            if splits:
                join(piece)
        if stop:
            raise _bad(f'syntax error: missing "{stop}"')
        self.budget.spend(size)
        return "".join(out)

    def _escaped(self) -> str:
        kept = self.text[self.at] if self.raw_escapes else ""
        taken = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        return kept + taken

    def _angle(self) -> str:
        """`<`, or `<<` with the spaces behind it, which belong to a heredoc's word."""
        end = self.at + 1
        if self.text[end : end + 1] == "<":
            end += 1
            while self.text[end : end + 1] in (" ", "\t", "\r", "\v", "\f"):
                end += 1
        piece, self.at = self.text[self.at : end], end
        return piece

    def _single(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise _bad("a single quote is not closed")
        piece = self.text[self.at + 1 : end]
        self.at = end + 1
        return f"'{piece}'" if self.style.raw_quotes else piece

    def _double(self) -> str:
        text, escape = self.text, self.style.escape
        out = ['"'] if self.style.raw_quotes else []
        self.at += 1
        while self.at < len(text):
            c = text[self.at]
            if c == "$":
                out.append(self._dollar())
                continue
            self.at += 1
            if c == '"':
                if self.style.raw_quotes:
                    out.append(c)
                return "".join(out)
            if c == escape:
                if self.raw_escapes:
                    out.append(c)
                following = text[self.at : self.at + 1]
                if not following:
                    break
                if following in ('"', "$", escape):
                    c = following
                    self.at += 1
            out.append(c)
        raise _bad("a double quote is not closed")

    # ------------------------------------------------------------ variables

    def _dollar(self) -> str:
        start = self.at
        self.at += 1
        if self.text[self.at : self.at + 1] != "{":
            name = self._name()
            if not name:
                return "$"
            value = self._value(name)
            return self.text[start : self.at] if value is None and self.style.keep_unset else value or ""
        self.at += 1
        if self.text[self.at : self.at + 1] in ("", "{", "}", ":"):
            raise _bad("syntax error: bad substitution")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise BuildError("expansion-too-large", f"substitutions are nested more than {MAX_DEPTH} deep")
        result = self._braces(start)
        self.depth -= 1
        return result

    def _braces(self, start: int) -> str:
        name = self._name()
        operator = self._take()
        if operator == "}":
            value = self._value(name)
            return self.text[start : self.at] if value is None and self.style.keep_unset else value or ""
        if operator == "/":
            return self._replaced(name, start)
        null = operator == ":"
        kind = self._take() if null else operator
        if not kind:
            raise _bad('syntax error: missing "}"')
        if kind not in "+-?#%" or (null and kind in "#%"):
            shown = f":{kind}" if null else kind
            raise _bad(f"unsupported modifier ({shown}) in substitution")
        word = self._nested("}", raw=kind in "#%")
        value = self._value(name)
        if value is None and self.style.keep_unset:
            return self.text[start : self.at]
        if kind in "#%":
            self._match(word, value)
        return _apply(kind, null, name, value, word)

    def _replaced(self, name: str, start: int) -> str:
        every = self.text[self.at : self.at + 1] == "/"
        self.at += every
        pattern = self._nested("/", raw=True)
        replacement = self._nested("}", raw=True)
        value = self._value(name)
        if value is None and self.style.keep_unset:
            return self.text[start : self.at]
        self._match(pattern, value)
        return _replace(Pattern(pattern), value or "", replacement, every)

    def _nested(self, stop: str, *, raw: bool) -> str:
        before, self.raw_escapes = self.raw_escapes, raw
        word = self.until(stop)
        self.raw_escapes = before
        return word

    def _match(self, pattern: str, value: str | None) -> None:
        """Account for a match, whose cost is at most the product of both lengths."""
        self.budget.spend(len(pattern) * len(value or ""))

    def _take(self) -> str:
        c = self.text[self.at : self.at + 1]
        self.at += 1
        return c

    def _name(self) -> str:
        """Letters, digits and underscores; a number; or one special parameter, which is never set."""
        text, start = self.text, self.at
        first = text[start : start + 1]
        if first in _SPECIAL and first:
            self.at += 1
        elif first.isdecimal():
            while self.at < len(text) and text[self.at].isdecimal():
                self.at += 1
        else:
            while self.at < len(text) and _is_named(text[self.at]):
                self.at += 1
        return text[start : self.at]

    def _value(self, name: str) -> str | None:
        value = self.env.get(name)
        if value is None:
            self.unset.add(name)
        return value


def _is_named(c: str) -> bool:
    return c == "_" or c.isalpha() or c.isdecimal()


def _apply(kind: str, null: bool, name: str, value: str | None, word: str) -> str:
    absent = value is None or (null and value == "")
    if kind == "-":
        return word if absent else value or ""
    if kind == "+":
        return "" if absent else word
    if kind == "?":
        if absent:
            state = "unset" if value is None else "empty"
            raise BuildError("variable-required", f"{name}: {word or f'is not allowed to be {state}'}")
        return value or ""
    longest = word.startswith(kind)
    pattern = Pattern(word[longest:])
    text = value or ""
    if kind == "#":
        end = pattern.prefix(text, longest=longest)
        return text if end is None else text[end:]
    end = pattern.reversed().prefix(text[::-1], longest=longest)
    return text if end is None else text[: len(text) - end]


#: `$$`, and the names that Go's regular expressions put groups in the place of.
_TEMPLATE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")


def _filled(replacement: str, match: str) -> str:
    """What `//` replaces with: BuildKit hands it to Go as a template, in which `$0` is the match."""
    if "$" not in replacement:
        return replacement
    return _TEMPLATE.sub(lambda m: m[1] or (match if (m[2] or m[3]) == "0" else ""), replacement)


def _replace(pattern: Pattern, value: str, replacement: str, every: bool) -> str:
    out: list[str] = []
    done = 0
    for start, end in pattern.find(value):
        out += (value[done:start], _filled(replacement, value[start:end]) if every else replacement)
        done = end
        if not every:
            break
    result = "".join([*out, value[done:]])
    if len(result) > MAX_RESULT:
        raise BuildError("expansion-too-large", f"a word expands to more than {MAX_RESULT} characters")
    return result
