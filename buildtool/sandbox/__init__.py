"""The sandbox: one hermetic process over a root filesystem, in an OCI runtime."""
