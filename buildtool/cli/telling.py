"""Telling of work that is no step of a plan: looking names up, pulling, pushing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from buildtool.diag import BuildError
from buildtool.executor.progress import Finished, Progress, StepInfo

#: Steps of the plan count from 0; what stands beside the plan has this number.
BESIDE_THE_PLAN = -1


class Told:
    """Work that is being told of; `size` are the bytes that it moved, None for what moves none."""

    def __init__(self, progress: Progress, step: StepInfo) -> None:
        self._progress = progress
        self._step = step
        self.size: int | None = None

    def download(self, done: int, total: int | None) -> None:
        """A download went on."""
        self._progress.advanced(self._step, "download", done, total)

    def upload(self, done: int, total: int | None) -> None:
        """An upload went on."""
        self._progress.advanced(self._step, "upload", done, total)


@contextmanager
def telling(progress: Progress, title: str, kind: str = "resolve") -> Iterator[Told]:
    """Show work as a step of its own."""
    step = StepInfo(BESIDE_THE_PLAN, kind, title)
    told = Told(progress, step)
    begun = time.monotonic()
    progress.started(step)
    try:
        yield told
    except BuildError as error:
        progress.failed(step, error)
        raise
    progress.finished(step, Finished(cached=False, seconds=time.monotonic() - begun, size=told.size))
