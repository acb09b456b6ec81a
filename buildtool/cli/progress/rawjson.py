"""The view for programs: one JSON object a line, in the form of BuildKit's `--progress=rawjson`.

Each object is a SolveStatus: lists of `vertexes`, `statuses`, `logs` and `warnings`, each
left out where it is empty.  Our last object has a `result` besides, which readers of
BuildKit's form skip.
"""

import base64
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from buildtool.cli.progress.view import Summary, View
from buildtool.cli.progress.wording import Names
from buildtool.diag import BuildError, Warned
from buildtool.digest import sha256
from buildtool.executor.api import BuiltIndex
from buildtool.executor.progress import Finished, StepInfo


def rfc3339(instant: float) -> str:
    """An instant in seconds as RFC 3339 with milliseconds, in UTC."""
    whole, part = divmod(round(instant * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{part:03d}Z"


class RawJson(View):
    """Writes what happens as it happens; nothing is kept back or shortened."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.time) -> None:
        super().__init__(out)
        self._clock = clock
        self._names = Names()
        self._begun: dict[int, str] = {}

    def planned(self, steps: Sequence[StepInfo]) -> None:
        self._names.plan(steps)
        self._write(vertexes=[self._vertex(s) for s in steps])

    def started(self, step: StepInfo) -> None:
        self._begun[step.number] = self._now()
        self._write(vertexes=[self._vertex(step)])

    def output(self, step: StepInfo, data: bytes) -> None:
        text = base64.b64encode(data).decode()
        self._write(logs=[{"vertex": _id(step), "stream": 1, "data": text, "timestamp": self._now()}])

    def advanced(self, step: StepInfo, phase: str, done: int, total: int | None) -> None:
        status: dict[str, Any] = {"id": phase, "vertex": _id(step), "current": done, "timestamp": self._now()}
        if total is not None:
            status["total"] = total
            if done >= total:
                status["completed"] = status["timestamp"]
        self._write(statuses=[status])

    def finished(self, step: StepInfo, how: Finished) -> None:
        self._begun.setdefault(step.number, self._now())
        vertex = self._vertex(step) | {"completed": self._now()}
        if how.cached:
            vertex["cached"] = True
        self._write(vertexes=[vertex])

    def failed(self, step: StepInfo, error: BuildError) -> None:
        self._begun.setdefault(step.number, self._now())
        vertex = self._vertex(step) | {"completed": self._now(), "error": str(error)}
        self._write(vertexes=[vertex])

    def warned(self, warning: Warned) -> None:
        short = base64.b64encode(f"{warning.code}: {warning.message}".encode()).decode()
        entry: dict[str, Any] = {"level": 1, "short": short}
        if warning.span:
            place = {"line": warning.span.line, "character": warning.span.column - 1}
            entry["sourceInfo"] = {"filename": warning.span.file}
            entry["range"] = [{"start": place, "end": place}]
        self._write(warnings=[entry])

    def summary(self, summary: Summary) -> None:
        images = [
            {
                **({"target": target} if target else {}),
                "digest": str(image.manifest),
                "config": str(image.config),
                "platform": str(image.platform),
                "hermetic": image.hermetic,
                "layers": [
                    {"digest": str(y.digest), "diffID": str(y.diff_id), "size": y.size, "title": y.title}
                    for y in image.layers
                ],
            }
            for target, result in summary.results
            for image in result.images
        ]
        found = [str(result.digest) for _, result in summary.results if isinstance(result, BuiltIndex)]
        indexes = {"indexes": found} if found else {}
        self._write(
            result={
                "images": images,
                **indexes,
                "names": list(summary.names),
                "written": list(summary.written),
                "executed": summary.executed,
                "cached": summary.cached,
                "seconds": round(summary.seconds, 3),
            }
        )

    def _vertex(self, step: StepInfo) -> dict[str, Any]:
        vertex: dict[str, Any] = {"digest": _id(step), "name": self._names.of(step)}
        if step.number in self._begun:
            vertex["started"] = self._begun[step.number]
        return vertex

    def _now(self) -> str:
        return rfc3339(self._clock())

    def _write(self, **record: Any) -> None:
        self.out.write(json.dumps(record, ensure_ascii=True, separators=(",", ":")) + "\n")
        self.out.flush()


def _id(step: StepInfo) -> str:
    """A name for the step in the form of a digest, which readers expect; unique within the build."""
    if step.number < 0:
        return sha256(step.title.encode())
    return f"sha256:{step.number + 1:064x}"
