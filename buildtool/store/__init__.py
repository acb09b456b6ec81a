"""The store: blobs, snapshots and results, kept in one folder that any number of processes share.

    STORE/                      0700: images may be private, snapshots hold set-user-id files
      oci-layout                this folder is an OCI image layout (image-spec, "image-layout")
      index.json                the refs: name -> manifest; replaced whole, under a lock on `lock`
      blobs/sha256/<hex>        content, named by its SHA-256; written once, never changed
      index.sqlite              results, layer blobs; rebuildable, so disposable
      snapshots/<boot>/         unpacked layers of this boot of the machine; disposable
        <chain hex>/fs/         one layer in overlayfs upper form, on top of the chain below it
        l/<16 hex>              short links to `../<chain hex>/fs`, for overlay mount options
      caches/<hex>-<n>/fs/      content of cache mounts; in no key and no layer, so disposable
      tmp/<random>/             one folder a process, which holds a lock on it while it lives
      lock                      flock, held for moments: refs and collection exclude each other
      alive                     flock, shared by every open store; who has it alone may collect all

What is written before what (a state on the right is only reached over the left):

    blob      tmp file -> fsync -> rename to blobs/ -> fsync of the folder   "stored"
    result    its blobs stored -> row committed                              "known"
    ref       manifest and all it names stored -> index.json replaced        "named"
    snapshot  staged in tmp/ -> rename to snapshots/<boot>/                  "trusted in this boot"

Hence, whatever point a process is killed or the power is lost at:

- A blob under its name is complete, or (after a disk's own fault) is found wrong by
  the first read of each process, removed, and reported as `corrupt-blob`: a miss,
  that the next build heals.
- A row may name a blob that has gone; readers of rows look whether the blob is there.
- A snapshot was complete when it was renamed, and it is not trusted after a reboot.
- What a dead process left in tmp/ is removed by `sweep`, which every `collect` does:
  a folder there whose lock can be taken has no owner.

Collection beside running builds: a blob, a snapshot or a result in use has its *use
stamp* refreshed when it is more than `GRANULARITY` old (a file's mtime, a column of
the index).  `collect` only takes what was not used for at least `SAFE_AGE`, under
the exclusive form of the lock that refreshing takes, so a build cannot lose what it
has just looked up.
"""

from buildtool.store.blobs import Blobs, BlobWriter
from buildtool.store.folder import Store
from buildtool.store.results import Results
from buildtool.store.snapshots import Snapshots, Staged, chain_id

__all__ = ["BlobWriter", "Blobs", "Results", "Snapshots", "Staged", "Store", "chain_id"]
