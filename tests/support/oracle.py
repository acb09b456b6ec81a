"""The oracle as it was written: where a checkout lost symbolic links, they are links again.

`oracle-links.txt` names them, relative to the oracle's `cases`.  A checkout that
cannot hold links has a file with the link's target in the place of each.
"""

import os
import shutil
from pathlib import Path

LINKS = Path(__file__).with_name("oracle-links.txt")


def restored(oracle: Path, into: Path) -> Path:
    """Copy the oracle's folder to `into`, which must not exist, and make the lost links; returns `into`."""
    shutil.copytree(oracle, into, symlinks=True)
    for name in LINKS.read_text().split():
        path = into / "cases" / name
        if path.is_file() and not path.is_symlink():
            target = path.read_bytes()
            path.unlink()
            os.symlink(target, os.fsencode(path))
    return into
