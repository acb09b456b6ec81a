"""A network namespace with a way out: slirp4netns speaks TCP/IP for those inside, as an ordinary program.

    process ── tap0 10.0.2.100 ── slirp4netns ── sockets of this machine

It needs no privilege and no rule of a firewall.  Names are asked for at 10.0.2.3, which
answers as this machine's resolver; what listens on this machine's own loopback addresses is
not to be reached.
"""

import os
import shutil
import subprocess

from buildtool.diag import BuildError
from buildtool.sandbox.netns import Isolated

_PROGRAM = "slirp4netns"
#: slirp4netns(1): a large unit is what makes it fast; the sandbox is against what comes from outside.
_OPTIONS = ("--configure", "--mtu=65520", "--disable-host-loopback", "--enable-sandbox", "--enable-seccomp")


class Connected(Isolated):
    """A fresh network namespace with a way out; BuildError `no-namespaces`, `no-slirp4netns`."""

    def __init__(self) -> None:
        super().__init__()
        self._lifeline = -1
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def resolver(self) -> str:
        return "nameserver 10.0.2.3\n"

    def close(self) -> None:
        """Take the way out away, and let the namespace go."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
            self._process.wait()
        super().close()

    def _start(self) -> None:
        program = shutil.which(_PROGRAM)
        if program is None:
            raise BuildError(
                "no-slirp4netns",
                "the program slirp4netns is not installed, which gives a network of its own a way out",
                hint="install it, or use --network=host, where ports are the machine's",
                exit_status=1,
            )
        ready, ready_end = os.pipe()
        lifeline_end, self._lifeline = os.pipe()
        try:
            # It ends when nobody holds the other end of the lifeline any more.
            fds = (f"--ready-fd={ready_end}", f"--exit-fd={lifeline_end}")
            self._process = subprocess.Popen(
                (program, *_OPTIONS, *fds, "--netns-type=path", self.path, "tap0"),
                pass_fds=(ready_end, lifeline_end),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            os.close(ready)
            os.close(self._lifeline)
            self._lifeline = -1
            raise
        finally:
            os.close(ready_end)
            os.close(lifeline_end)
        with os.fdopen(ready, "rb") as told:
            if not told.read(1):
                raise BuildError(
                    "no-slirp4netns",
                    f"slirp4netns ended with status {self._process.wait()}: it cannot make a way out",
                    hint="it needs /dev/net/tun; --network=host needs nothing",
                    exit_status=1,
                )
