"""The steps of an image that change its config alone, and what stands behind an origin."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from buildtool.diag import Span
from buildtool.frontends.starlark import declared as d
from buildtool.frontends.starlark import steps as s
from buildtool.frontends.starlark.labels import Label
from buildtool.frontends.starlark.workspace import span_of_site
from buildtool.graph.model import Healthcheck, Origin
from buildtool.graph.stage import Stage, shell_argv

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """The target that is being lowered."""

    label: Label
    target: d.TargetRecord

    @property
    def span(self) -> Span | None:
        """Where the BUILD file declares the target."""
        return span_of_site(self.target.at[0]) if self.target.at else None

    def origin(self, title: str, step: s.StepRecord | None = None) -> Origin:
        """Where a step of the target was written down: in the BUILD file, whatever rule made it."""
        span = span_of_site(step.at[0]) if step is not None and step.at else self.span
        return Origin(title, span, str(self.label))


def _cmd(stage: Stage, step: s.Cmd) -> Stage:
    return stage.cmd(_command(stage, step.command))


def _healthcheck(stage: Stage, step: s.Healthcheck) -> Stage:
    if step.command is None:
        return stage.healthcheck(Healthcheck(("NONE",)))
    test: tuple[str, ...]
    if isinstance(step.command, str):
        test = ("CMD-SHELL", step.command)
    else:
        test = ("CMD", *step.command)
    return stage.healthcheck(
        Healthcheck(
            test,
            interval=nanoseconds(step.interval),
            timeout=nanoseconds(step.timeout),
            start_period=nanoseconds(step.start_period),
            start_interval=nanoseconds(step.start_interval),
            retries=step.retries,
        )
    )


def _expose(stage: Stage, step: s.Expose) -> Stage:
    return stage.expose(*dict.fromkeys(p for port in step.ports for p in _ports(port)))


def _ports(text: str) -> list[str]:
    """`80` is `80/tcp`; a range is each of its ports."""
    numbers, _, protocol = text.partition("/")
    first, _, last = numbers.partition("-")
    return [f"{n}/{protocol or 'tcp'}" for n in range(int(first), int(last or first) + 1)]


def _command(stage: Stage, command: str | tuple[str, ...]) -> tuple[str, ...]:
    return shell_argv(stage.config, command) if isinstance(command, str) else command


def nanoseconds(text: str) -> int:
    """The duration that `1m30s` is."""
    total = 0.0
    for number, unit in re.findall(r"([0-9.]+)(ns|us|ms|s|m|h)", text):
        total += float(number) * _NANOSECONDS[unit]
    return round(total)


#: What a step of each of these kinds does to a stage.
CONFIG_OPERATIONS: dict[type, Callable[[Stage, Any], Stage]] = {
    s.Env: lambda stage, step: stage.env(*step.values),
    s.Label: lambda stage, step: stage.label(*step.values),
    s.User: lambda stage, step: stage.user(step.name),
    s.Expose: _expose,
    s.Volume: lambda stage, step: stage.volume(*step.paths),
    s.Cmd: _cmd,
    s.Shell: lambda stage, step: stage.shell(step.argv),
    s.StopSignal: lambda stage, step: stage.stop_signal(step.signal),
    s.Healthcheck: _healthcheck,
}
