"""Files of URLs that a build names: downloaded as they are now, so that they can be pinned."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from buildtool.address import public
from buildtool.archives.http import HttpError, Web
from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.lock.model import FilePin

Advance = Callable[[int, int | None], None]

_TRIES = 3
_PAUSE = 0.5
#: Bytes of the largest file that is taken from a URL.
LARGEST = 16 << 30
#: 9999-12-31, the last day that every date of ours can say.
_LAST = 253402300799


class Writer(Protocol):
    """One blob on its way in; `digest` and `size` hold at its end."""

    @property
    def digest(self) -> Digest: ...
    @property
    def size(self) -> int: ...
    def write(self, data: bytes) -> object:
        """Add bytes."""


class Blobs(Protocol):
    """What this needs of the store's blobs."""

    def writer(self, expect: Digest | None = None) -> AbstractContextManager[Writer]:
        """Writes one blob; raises BuildError `digest-mismatch` at its end for other bytes."""


def download(
    web: Web,
    blobs: Blobs,
    url: str,
    expect: Digest | None,
    advance: Advance,
    pause: Callable[[float], None] = time.sleep,
) -> FilePin:
    """Put the file among the blobs and say what it is.

    A transfer that breaks off begins anew: nobody knows yet whether the rest would
    be of the same file.  BuildError `download-failed`, and `checksum-mismatch` for
    another file than the expected one.
    """
    for number in range(1, _TRIES + 1):
        try:
            return _once(web, blobs, url, expect, advance)
        except HttpError as e:
            if not e.again or number == _TRIES:
                raise BuildError(
                    "download-failed",
                    f"{public(url)} could not be downloaded: {e}",
                    hint="check the address, the network and its proxies (http_proxy, https_proxy)",
                    exit_status=1,
                ) from e
            pause(max(e.wait, _PAUSE * 2 ** (number - 1)))
        except BuildError as e:
            if e.code != "digest-mismatch":
                raise
            raise BuildError(
                "checksum-mismatch",
                f"{public(url)} is another file than its checksum says: {e.message}",
                hint="if the file is meant to have changed, change --checksum",
                exit_status=1,
            ) from e
    raise AssertionError("the last try raises")


def _once(web: Web, blobs: Blobs, url: str, expect: Digest | None, advance: Advance) -> FilePin:
    done = 0
    with blobs.writer(expect) as out:

        def sink(chunk: bytes) -> None:
            nonlocal done
            out.write(chunk)
            done += len(chunk)
            advance(done, None)

        modified = web.get(url, sink, limit=LARGEST)
    return FilePin(out.digest, out.size, instant_of(modified))


def instant_of(modified: str) -> int:
    """The seconds of a Last-Modified header; 0 for none and for what is no date, as BuildKit has it."""
    from email.utils import parsedate_to_datetime

    try:
        return min(max(int(parsedate_to_datetime(modified).timestamp()), 0), _LAST)
    except (ValueError, TypeError, OverflowError):
        return 0
