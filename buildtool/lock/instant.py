"""Instants as a lock spells them: RFC 3339, in UTC, whole seconds."""

import re
from datetime import UTC, datetime

_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def spell(instant: int) -> str:
    """`2026-07-11T10:16:37Z` for seconds since the epoch."""
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def parse(text: str) -> int:
    """The seconds since the epoch that `text` spells; ValueError for any other spelling."""
    if not _INSTANT.fullmatch(text):
        raise ValueError(f"{text!r} is not an instant")
    return int(datetime.fromisoformat(text).timestamp())
