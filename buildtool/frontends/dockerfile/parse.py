"""Parsing: the bytes of a Dockerfile to its typed tree.

A tree depends on the bytes alone, so a cache keeps it by their digest, and a
build whose Dockerfile has not changed never loads a parser.
"""

from buildtool.diag import BuildError
from buildtool.digest import Plain, key_of
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.grammar import ParseCache, grammar_text

#: Moves when the same text gives another tree for another reason than the grammar.
TREE_VERSION = 1


def parse(text: bytes, filename: str, cache: ParseCache | None = None) -> tree.File:
    """The tree of a Dockerfile.

    Raises a located BuildError of exit status 2, or BuildErrors where several
    instructions are wrong.
    """
    key = ""
    if cache is not None:
        version: dict[str, Plain] = {"tree": TREE_VERSION, "grammar": grammar_text()}
        key = str(key_of({"what": "dockerfile", "version": version, "text": text}))
        kept = cache.get(key)
        found = None if kept is None else tree.decode(kept)
        if found is not None:
            return found
    made = _parse(text, filename, cache)
    if cache is not None:
        cache.put(key, tree.encode(made))
    return made


def _parse(text: bytes, filename: str, cache: ParseCache | None) -> tree.File:
    from lark.exceptions import UnexpectedInput

    from buildtool.frontends.dockerfile.grammar import parser
    from buildtool.frontends.dockerfile.source import read_source
    from buildtool.frontends.dockerfile.typed import typed

    source = read_source(text, filename)
    joined = "".join(f"{line.text}\n" for line in source.logical)
    try:
        parsed = parser(source.escape, cache).parse(joined)
    except UnexpectedInput as error:
        # The grammar takes every line (dockerfile.lark), so this is our mistake; it is shown all the same.
        line = source.logical[max(error.line, 1) - 1]
        place = line.place(0, len(line.text))
        raise BuildError("syntax", "this cannot be read as an instruction", span=source.span(place)) from None
    return typed(parsed, source)
