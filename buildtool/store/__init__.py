"""The store: blobs, snapshots and results of finished steps, shared by any number of processes."""
