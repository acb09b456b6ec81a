"""Parsing: the bytes of a Dockerfile to its typed tree.

A tree depends on the bytes alone, so a cache keeps it by their digest, and a
build whose Dockerfile has not changed loads no parser.
"""

from typing import Protocol

from buildtool.diag import BuildError
from buildtool.digest import Plain, key_of
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.grammar import table_bytes

#: Moves when the same text gives another tree for another reason than the grammar.
TREE_VERSION = 2


class ParseCache(Protocol):
    """Where trees are kept, under keys that name all that they depend on."""

    def get(self, key: str) -> bytes | None:
        """What was put under the key, if it is still there."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under the key."""
        ...


def parse(text: bytes, filename: str, cache: ParseCache | None = None) -> tree.File:
    """The tree of a Dockerfile.

    Raises a located BuildError of exit status 2, or BuildErrors where several
    instructions are wrong.
    """
    key = ""
    if cache is not None:
        version: dict[str, Plain] = {"tree": TREE_VERSION, "table": table_bytes()}
        key = str(key_of({"what": "dockerfile", "version": version, "text": text}))
        kept = cache.get(key)
        found = None if kept is None else tree.decode(kept)
        if found is not None:
            return found
    made = _parse(text, filename)
    if cache is not None:
        cache.put(key, tree.encode(made))
    return made


def _parse(text: bytes, filename: str) -> tree.File:
    from buildtool.frontends.dockerfile.lalr import Parser, Unreadable
    from buildtool.frontends.dockerfile.source import read_source
    from buildtool.frontends.dockerfile.typed import typed

    source = read_source(text, filename)
    joined = "".join(f"{line.text}\n" for line in source.logical)
    try:
        parsed = Parser.of(table_bytes(), source.escape).parse(joined)
    except Unreadable as error:
        # The grammar takes every line (dockerfile.lark), so this is our mistake; it is shown all the same.
        line = source.logical[joined.count("\n", 0, error.offset)]
        place = line.place(0, len(line.text))
        raise BuildError("syntax", "this cannot be read as an instruction", span=source.span(place)) from None
    return typed(parsed, source)
