"""The grammar as it is used: the table that Lark computed from `dockerfile.lark`, kept beside it.

Lark takes 40 ms to compute the table and twice that to be imported, so neither
happens when a Dockerfile is read, unless the grammar is another than the table's
(decision 160).
"""

import functools
import os
from hashlib import sha256

GRAMMAR, TABLE = "dockerfile.lark", "dockerfile.table.json"


@functools.cache
def table_bytes() -> bytes:
    """The table, a JSON document of `lalr.Table`."""
    grammar, kept = read(GRAMMAR), read(TABLE)
    if f'"source": "{sha256(grammar).hexdigest()}"'.encode() in kept[:100]:
        return kept
    from buildtool.frontends.dockerfile.computed import table

    return table(grammar.decode()).encode()


def read(name: str) -> bytes:
    """A file of this folder."""
    with open(os.path.join(os.path.dirname(__file__), name), "rb") as file:
        return file.read()
