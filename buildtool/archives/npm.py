"""Archives of an npm registry: downloaded once to hold them against their integrity."""

import base64
import hashlib
from collections.abc import Sequence

from buildtool.archives.fetch import HttpFetcher
from buildtool.diag import BuildError
from buildtool.digest import Digest
from buildtool.lock.npm import NodeArchive, NodePin

_LARGEST = 1 << 30
#: Downloads that go on at once.
_SIDE_BY_SIDE = 8


def bring(http: HttpFetcher, archives: Sequence[NodeArchive]) -> list[NodePin]:
    """Put archives among the blobs; what each is, in their order.

    BuildError `download-failed`, or `integrity-mismatch` where one is not what
    package-lock.json says.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as threads:
        return list(threads.map(lambda archive: _one(http, archive), archives))


def _one(http: HttpFetcher, archive: NodeArchive) -> NodePin:
    data = http.document((archive.place,), archive.place, _LARGEST)
    algorithm, _, wanted = archive.integrity.partition("-")
    found = base64.b64encode(hashlib.new(algorithm, data).digest()).decode("ascii")
    if found != wanted:
        raise BuildError(
            "integrity-mismatch",
            f"{archive.place} is not what package-lock.json says: {algorithm}-{found}",
            hint="the registry serves another archive than when the lock was made",
            exit_status=1,
        )
    digest = Digest("sha256:" + hashlib.sha256(data).hexdigest())
    with http.blobs.writer(digest) as blob:
        blob.write(data)
    return NodePin(archive, len(data), digest)
