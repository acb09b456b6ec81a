"""The grammar as it is used: the table that `tools/grammar.py` computed from `dockerfile.lark`.

Lark takes 40 ms to compute the table and twice that to be imported, so neither
happens when a Dockerfile is read: the table lies beside the grammar, and a test
holds the two together (decision 160).
"""

import functools
import os


@functools.cache
def table_bytes() -> bytes:
    """The table, a JSON document of `lalr.Table`."""
    with open(os.path.join(os.path.dirname(__file__), "dockerfile.table.json"), "rb") as file:
        return file.read()
