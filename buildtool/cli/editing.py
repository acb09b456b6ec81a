"""A person's file with a new text: whole or not at all."""

import os

from buildtool.diag import BuildError


def replace_text(path: str, text: str) -> None:
    """Put a text in the place of a file's, which keeps its mode; a link stays one.  `unwritable`."""
    path = os.path.realpath(path)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "x", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), os.stat(path).st_mode & 0o7777)
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise BuildError("unwritable", f"cannot write {path}: {error.strerror}") from None
