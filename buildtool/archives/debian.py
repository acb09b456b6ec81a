"""Debian's archive: from a request to pinned packages, trusting nothing but signatures and hashes."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from buildtool.archives.choose import choose
from buildtool.archives.fetch import HttpFetcher
from buildtool.archives.keys import debian_keyring
from buildtool.archives.packages import Universe
from buildtool.archives.release import IndexFile, Release, check_release, parse_release
from buildtool.archives.signature import signed_text
from buildtool.diag import BuildError, suggestion
from buildtool.digest import hex_of, sha256
from buildtool.lock.debian import DebianRequest, archive_of
from buildtool.lock.model import DebianPins, ReleasePin, pins_of

_LARGEST_RELEASE = 8 << 20
_LARGEST_INDEX = 1 << 30
_COMPRESSIONS = (".xz", ".gz")


@dataclass(frozen=True, slots=True)
class _Suite:
    """A suite whose release was checked."""

    name: str
    release: Release
    pin: ReleasePin


class DebianArchive:
    """A `lock.resolve.Resolver` over HTTP.  `now` gives the present in seconds, for expiry."""

    def __init__(
        self,
        fetcher: HttpFetcher,
        keyring: Callable[[], bytes] = debian_keyring,
        now: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        self._fetcher = fetcher
        self._keyring = keyring
        self._now = now

    def debian(self, request: DebianRequest) -> DebianPins:
        """Choose packages from the suites as they are now.

        BuildError: `download-failed`, `unsigned`, `bad-signature`, `wrong-suite`,
        `release-expired`, `no-such-component`, `no-such-package`,
        `debian-unresolvable`, ...
        """
        from concurrent.futures import ThreadPoolExecutor

        keys = self._keyring() if request.keyring is None else request.keyring
        with ThreadPoolExecutor(max_workers=4) as threads:
            suites = list(threads.map(lambda name: self._suite(name, keys), request.suites))
            wanted = [(s, c) for s in suites for c in request.components]
            indexes = threads.map(lambda pair: self._index(pair[0], pair[1], request.architecture), wanted)
            universe = Universe()
            for (suite, _), index in zip(wanted, indexes, strict=True):
                universe.add(index, suite.pin.archive, automatic=suite.release.automatic)
        return pins_of(request, tuple(s.pin for s in suites), choose(universe, request))

    def _suite(self, name: str, keys: bytes) -> _Suite:
        archive = archive_of(name)
        title = f"{archive}: dists/{name}/InRelease"
        message = self._fetcher.document(
            (f"{archive}:dists/{name}/InRelease",), f"the release file of {name}", _LARGEST_RELEASE
        )
        release = parse_release(signed_text(message, keys, title), title)
        strict = self._fetcher.mirrors.check_valid_until
        check_release(release, name, title, self._now(), check_valid_until=strict)
        return _Suite(name, release, ReleasePin(archive, name, release.date, sha256(message)))

    def _index(self, suite: _Suite, component: str, architecture: str) -> bytes:
        """The `Packages` file of a component, unpacked."""
        _check_offered("component", component, suite.release.components, suite.name)
        _check_offered("architecture", architecture, suite.release.architectures, suite.name)
        base = f"{component}/binary-{architecture}/Packages"
        for suffix in _COMPRESSIONS:
            packed = suite.release.files.get(base + suffix)
            if packed is not None:
                plain = suite.release.files.get(base)
                data = self._packed(suite, base + suffix, packed)
                return _unpacked(data, suffix, plain.size if plain else _LARGEST_INDEX)
        raise BuildError(
            "no-package-index", f"{suite.name} lists no {base}.xz or .gz with a SHA-256 hash", exit_status=1
        )

    def _packed(self, suite: _Suite, path: str, packed: IndexFile) -> bytes:
        folder = f"{suite.pin.archive}:dists/{suite.name}"
        urls = [f"{folder}/{path}"]
        if suite.release.by_hash:
            # While a mirror is being updated, only this name is sure to fit the release file.
            urls.insert(0, f"{folder}/{path.rpartition('/')[0]}/by-hash/SHA256/{hex_of(packed.digest)}")
        if packed.size > _LARGEST_INDEX:
            raise BuildError("no-package-index", f"{path} of {suite.name} is too large", exit_status=1)
        self._fetcher.fetch_blob(packed.digest, packed.size, urls, f"{path} of {suite.name}")
        return self._fetcher.blobs.read(packed.digest, _LARGEST_INDEX)


def _check_offered(kind: str, name: str, offered: tuple[str, ...], suite: str) -> None:
    if offered and name not in offered:
        raise BuildError(
            f"no-such-{kind}",
            f"{suite} has no {kind} {name}",
            hint=suggestion(name, offered) or f"it has {', '.join(offered)}",
        )


def _unpacked(data: bytes, suffix: str, limit: int) -> bytes:
    """The unpacked index, of at most `limit` bytes; BuildError `bad-package-index`."""
    try:
        if suffix == ".xz":
            import lzma

            xz = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=512 << 20)
            out, ended = xz.decompress(data, limit + 1), xz.eof
        else:
            import zlib

            gzip = zlib.decompressobj(wbits=31)
            out, ended = gzip.decompress(data, limit + 1), gzip.eof
    except Exception as e:
        raise BuildError("bad-package-index", f"an index cannot be unpacked: {e}", exit_status=1) from e
    if len(out) > limit or not ended:
        raise BuildError("bad-package-index", "an index is cut off or larger than announced", exit_status=1)
    return out
