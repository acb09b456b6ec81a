"""Folders made on the way to a destination."""

from buildtool.diag import BuildError
from buildtool.layers.draft import LayerDraft
from buildtool.layers.entry import Entry, Kind, display, parent_of


def make_folders(draft: LayerDraft, path: bytes, uid: int, gid: int, mode: int, epoch: int) -> bytes:
    """Make the folder at `path` and those above it; the real path, links followed.

    What is there already stays as it is.  BuildError `not-a-folder` where something
    else is in the way.
    """
    real = draft.resolve(path.strip(b"/"))
    missing = []
    folder = real
    while folder:
        there = draft.lookup(folder)
        if there is not None:
            if there.kind is not Kind.DIR:
                raise BuildError(
                    "not-a-folder",
                    f"{display(folder)} is a {there.kind} and cannot become a folder",
                    exit_status=1,
                )
            break
        missing.append(folder)
        folder = parent_of(folder)
    for folder in reversed(missing):
        draft.add(Entry(folder, Kind.DIR, mode, uid, gid, epoch))
    return real
