"""Refusals: what a step asked for in vain, as its user reads it."""

from collections.abc import Iterable

from buildtool.diag import BuildError
from buildtool.network.settings import Refused

_MOST = 5


def problem(refused: Iterable[tuple[Refused, str]]) -> BuildError | None:
    """The error for fatal refusals, each with its code; None without any."""
    found = [(each, code) for each, code in refused if each.fatal]
    if not found:
        return None
    (first, code), *others = found
    # In the message, since that is what travels between processes.
    message = f"{first.what} was refused: {first.why}"
    if others:
        message += "; so were" + _listed([each for each, _ in others])
    return BuildError(code, message, hint=first.hint, exit_status=1)


def explanation(refused: Iterable[tuple[Refused, str]]) -> str:
    """What others were refused, for a step that failed; empty without any."""
    found = [each for each, _ in refused if not each.fatal]
    if not found:
        return ""
    if len(found) == 1:
        return f"it was refused {found[0].what}: {found[0].why}"
    return "it was refused" + _listed(found)


def _listed(found: list[Refused]) -> str:
    rows = [f"\n    {each.what}: {each.why}" for each in found[:_MOST]]
    if len(found) > _MOST:
        rows.append(f"\n    and {len(found) - _MOST:,} more")
    return "".join(rows)
