"""Refusals: what a step asked for in vain, as the error that its user reads."""

from collections.abc import Iterable

from buildtool.diag import BuildError
from buildtool.network.settings import Refused

_MOST = 5


def problem(refused: Iterable[tuple[Refused, str]], *, process_failed: bool) -> BuildError | None:
    """The error for what was refused: the fatal ones, or all where the process failed; None for nothing."""
    found = [(r, code) for r, code in refused if r.fatal or process_failed]
    if not found:
        return None
    # What stands in the way of every build counts more than the weather.
    found.sort(key=lambda pair: not pair[0].fatal)
    (first, code), *others = found
    also = "".join(f"\n  {each.what}: {each.why}" for each, _ in others[:_MOST])
    if len(others) > _MOST:
        also += f"\n  and {len(others) - _MOST:,} more"
    message = f"{first.what} was refused: {first.why}"
    # In the message, since that is what travels between processes.
    return BuildError(code, f"{message}; so were{also}" if also else message, hint=first.hint, exit_status=1)
