"""The parser that Lark makes of `dockerfile.lark`, kept as a table so that it is made once.

Lark takes some 40 ms to compute the tables.  They are plain data: they are kept
as MessagePack, never as a pickle, so that a cache that others can write to can
at worst make a parse fail.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, Protocol

from buildtool.digest import key_of

if TYPE_CHECKING:
    from lark import Lark


class ParseCache(Protocol):
    """Where what a parse costs time for is kept, under keys that name all that it depends on."""

    def get(self, key: str) -> bytes | None:
        """What was put under the key, if it is still there."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under the key."""
        ...


@functools.cache
def grammar_text() -> str:
    """The grammar, with a backslash as escape character."""
    with open(os.path.join(os.path.dirname(__file__), "dockerfile.lark"), encoding="utf-8") as file:
        return file.read()


def parser(escape: str, cache: ParseCache | None) -> Lark:
    """The parser for Dockerfiles whose escape character is `escape`."""
    if cache is None:
        return _build(escape)
    import lark

    key = str(key_of({"what": "dockerfile-table", "lark": lark.__version__, "grammar": _grammar(escape)}))
    kept = cache.get(key)
    loaded = None if kept is None else _load(kept)
    if loaded is None:
        loaded = _build(escape)
        cache.put(key, _dump(loaded))
    return loaded


def _grammar(escape: str) -> str:
    written = 'ESCAPE: "\\\\"'
    text = grammar_text()
    assert written in text
    return text if escape == "\\" else text.replace(written, f'ESCAPE: "{escape}"')


@functools.cache
def _build(escape: str) -> Lark:
    import lark

    return lark.Lark(_grammar(escape), parser="lalr", lexer="contextual", maybe_placeholders=False)


def _dump(made: Lark) -> bytes:
    import msgspec
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    data, memo = made.memo_serialize([TerminalDef, Rule])
    return msgspec.msgpack.encode(_within_64_bits((data, memo)))


def _within_64_bits(value: Any) -> Any:
    """The value with larger numbers cut: some Pythons say 2**64 for the width of an endless pattern."""
    if isinstance(value, dict):
        return {k: _within_64_bits(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_within_64_bits(v) for v in value]
    return min(value, 2**63 - 1) if isinstance(value, int) else value


def _load(kept: bytes) -> Lark | None:
    """The parser that `_dump` wrote, or None where it cannot be read."""
    import lark
    import msgspec

    try:
        data, memo = msgspec.msgpack.decode(kept, type=tuple[dict[str, Any], dict[int, Any]], strict=False)
        # What the parsers that Lark generates call; the public `load` reads a pickle.
        loaded: Lark = lark.Lark._load_from_dict(data, memo)  # type: ignore[no-untyped-call]
    except (msgspec.DecodeError, lark.exceptions.LarkError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return loaded
