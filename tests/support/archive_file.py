"""An archive of images as a file, as the command line writes it."""

from collections.abc import Sequence

from buildtool.oci.archive import write_archive
from buildtool.oci.export import Export, write_whole
from buildtool.store import Blobs


def write_archive_file(path: str, exports: Sequence[Export], blobs: Blobs, *, docker: bool = False) -> None:
    write_whole(path, lambda out: write_archive(out, exports, blobs, docker=docker))
