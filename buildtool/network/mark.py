"""Our certificate as a step sees it, and the names that its files have there."""

from dataclasses import dataclass

#: Part of the names of all our files in a step.
NAME = b"buildtool-recorded-internet"
#: What OpenSSL finds the certificate by in a folder: the hash of its subject, which is everyone's.
HASH = b"e687c7ea.0"
TARGET = "/dev/.buildtool/authority.pem"


@dataclass(frozen=True, slots=True)
class Trust:
    """What a step needs in order to trust us.

    `lower` is a folder to put above the base's snapshots, in overlayfs form; `env` variables
    for programs that read no bundle of the system, to be set where the step does not set
    them; `file` the certificate, PEM, to be seen by the step at `target`.  `certificate` is
    the same in DER, `own` the paths in `lower` that the base does not have, `copies` those
    where it has the file without our certificate, `folders` those made for `own`, parents last.
    """

    lower: str
    env: tuple[tuple[str, str], ...]
    target: str
    file: bytes
    certificate: bytes
    own: tuple[bytes, ...]
    copies: tuple[bytes, ...]
    folders: tuple[bytes, ...]
