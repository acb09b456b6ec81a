"""Plain tar archives that this tool wrote, read where they lie: entries, and where the bytes of each are."""

from collections.abc import Iterator

from buildtool.layers.entry import Content, Entry, FileSlice, Kind

_XATTR = "SCHILY.xattr."


def entries_in(path: str) -> Iterator[tuple[Entry, Content]]:
    """The entries of an archive in its order.  It is one of ours: of a stranger's, use `tarread`."""
    import tarfile

    with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as archive:
        kinds = {
            tarfile.REGTYPE: Kind.FILE,
            tarfile.LNKTYPE: Kind.HARDLINK,
            tarfile.SYMTYPE: Kind.SYMLINK,
            tarfile.CHRTYPE: Kind.CHAR,
            tarfile.BLKTYPE: Kind.BLOCK,
            tarfile.DIRTYPE: Kind.DIR,
            tarfile.FIFOTYPE: Kind.FIFO,
        }
        for member in archive:
            kind = kinds[member.type]
            size = member.size if kind is Kind.FILE else 0
            xattrs = (
                (_bytes(name.removeprefix(_XATTR)), _bytes(value))
                for name, value in member.pax_headers.items()
                if name.startswith(_XATTR)
            )
            entry = Entry(
                _bytes(member.name),
                kind,
                member.mode,
                member.uid,
                member.gid,
                int(member.mtime),
                size,
                _bytes(member.linkname),
                member.devmajor,
                member.devminor,
                tuple(sorted(xattrs)),
            )
            yield entry, FileSlice(path, member.offset_data, size) if kind is Kind.FILE else None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
