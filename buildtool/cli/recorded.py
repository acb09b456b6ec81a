"""The internet of a build's steps: what the lock knows of it, and how this machine reaches it."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from buildtool.lock.exchanges import Exchange, RunPins
from buildtool.lock.resolve import Pins
from buildtool.network.settings import Settings

if TYPE_CHECKING:
    from buildtool.archives.mirrors import Mirrors


class Internet:
    """An `executor.api.Recorded`; `mirrors` are looked for when a step first needs them.

    `authority` is the folder of the user's certificate authority.
    """

    def __init__(self, pins: Pins, mirrors: "Callable[[], Mirrors]", authority: str, offline: bool) -> None:
        self._pins = pins
        self._mirrors = mirrors
        self._authority = authority
        self._offline = offline

    def recording(self, step: str) -> RunPins | None:
        """The recording of the step with this action key."""
        return self._pins.recording(step)

    def known(self, place: str) -> tuple[Exchange, ...]:
        """What a step called `place` need not ask of the outside."""
        return self._pins.known(place)

    def may_record(self, place: str) -> None:
        """BuildError `lock-outdated` if no recording of the step called `place` may be added."""
        self._pins.may_record(place)

    def record(self, place: str, pins: RunPins) -> None:
        """The step called `place` is done, and exchanged this with the internet."""
        self._pins.record(place, pins)

    def settings(self) -> Settings:
        """How a step reaches the outside: by the machine's mirrors and proxies, if at all."""
        from buildtool.archives.routes import routes
        from buildtool.proxy import environment_proxies

        mirrors, proxies = self._mirrors(), environment_proxies(os.environ)
        return Settings(
            clock=0,
            strict=True,
            known=(),
            authority=self._authority,
            offline=self._offline,
            routes=routes(mirrors),
            proxies=tuple({**mirrors.proxies, **proxies.by_scheme}.items()),
            exempt=proxies.exempt,
        )
