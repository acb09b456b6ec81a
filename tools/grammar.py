"""Writes the parser's table beside `dockerfile.lark` (`make grammar`), to be run when that has changed."""

from pathlib import Path

from buildtool.frontends.dockerfile import computed, grammar

FOLDER = Path(grammar.__file__).parent

if __name__ == "__main__":
    (FOLDER / grammar.TABLE).write_text(computed.table((FOLDER / grammar.GRAMMAR).read_text()))
