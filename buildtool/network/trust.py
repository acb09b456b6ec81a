"""Trust: a step takes our certificate for one of its authorities, and its layer never shows it.

What a step does in a world that trusts us it does over a layer of ours above its base,
with copies of the base's bundles of certificates to which ours is appended; what it wrote
is then compared with the base as it is.
"""

from dataclasses import dataclass

from buildtool.layers.tree import Stack, XattrPrefix


@dataclass(frozen=True, slots=True)
class Trust:
    """What a step needs in order to trust us.

    `lower` is a folder to put above the base's snapshots, in overlayfs form; `env` variables
    for programs that read no bundle of the system, to be set where the step does not set
    them; `file` the certificate, PEM, to be seen by the step at `target`.
    """

    lower: str
    env: tuple[tuple[str, str], ...]
    target: str
    file: bytes


def inject(authority: str, base: Stack, folder: str) -> Trust:
    """Make the layer of trust for a base in `folder`, which is empty.

    `authority` is the folder of the user's certificate authority (`Settings.authority`).
    """
    raise NotImplementedError


def remove(trust: Trust, upper: str, base: Stack, xattr_prefix: XattrPrefix) -> None:
    """Take every trace of the certificate out of what a step wrote; to be called before `finish`.

    `upper` is the unmounted upper folder, `base` the stack without the layer of trust.
    BuildError `certificate-in-layer`, naming the file, where a trace cannot be taken out.
    """
    raise NotImplementedError
