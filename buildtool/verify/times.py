"""Times as programs write them: how each encoding looks in text, and the instant that it means."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_DAYS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
_DATE = r"(?:19|20)\d\d-(?:0\d|1[0-2])-(?:[0-2]\d|3[01])"

YEAR = 31_557_600
#: Instants that a build of today may have: from 2001-09-09 (when they got ten digits) to 2100.
EARLIEST = 1_000_000_000
LATEST = 4_102_444_800


@dataclass(frozen=True, slots=True)
class Encoding:
    """A way to write a time; `read` gives seconds since 1970 (UTC where no zone is said), or None.

    Numbers might mean something else: two of them are times only if they lie `within` so many seconds.
    """

    name: str
    pattern: re.Pattern[str]
    read: Callable[[str], float | None]
    within: float = 0


def _iso(text: str) -> float | None:
    text = re.sub(r" +", "T", text.strip().replace(",", "."), count=1)
    return _aware(lambda: datetime.fromisoformat(text.replace(" ", "")))


def _mail(text: str) -> float | None:
    return _aware(lambda: parsedate_to_datetime(text))


def _form(*forms: str) -> Callable[[str], float | None]:
    def read(text: str) -> float | None:
        flat = " ".join(text.split())
        for form in forms:
            found = _aware(lambda form=form: datetime.strptime(flat, form))  # type: ignore[misc]  # noqa: DTZ007
            if found is not None:
                return found
        return None

    return read


def _ctime(text: str) -> float | None:
    # `date` writes a zone between the time and the year; only those without a shift are known by name.
    words = text.split()
    return _form("%a %b %d %H:%M:%S %Y", "%a %d %b %Y %H:%M:%S")(" ".join(_without_zone(words)))


def _without_zone(words: list[str]) -> list[str]:
    kept = [
        w for w in words if w not in ("AM", "PM") and not re.fullmatch(r"[A-Z]{2,5}|[+-]\d\d(?:\d\d)?", w)
    ]
    if any(w == "PM" for w in words):
        return [f"{int(w[:2]) % 12 + 12:02}{w[2:]}" if re.fullmatch(_CLOCK, w) else w for w in kept]
    return kept


def _number(text: str) -> float | None:
    digits, _, rest = text.partition(".")
    scale = {10: 1, 13: 1e3, 16: 1e6, 19: 1e9}.get(len(digits))
    if scale is None:
        return None
    seconds = int(digits) / scale + (float(f"0.{rest}") if rest else 0)
    return seconds if EARLIEST <= seconds < LATEST else None


def _hex(text: str) -> float | None:
    seconds = int(text, 16)
    return float(seconds) if EARLIEST <= seconds < LATEST else None


def _aware(make: Callable[[], datetime]) -> float | None:
    try:
        found = make()
        return found.replace(tzinfo=found.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _encoding(name: str, pattern: str, read: Callable[[str], float | None], *, within: float = 0) -> Encoding:
    return Encoding(name, re.compile(pattern), read, within)


_ZONE = r"(?:Z|[+-]\d\d:?\d\d)"
_NAMED_ZONE = r"(?: (?:[A-Z]{2,5}|[+-]\d\d(?:\d\d)?))"
_FRACTION = r"(?:[.,]\d{1,9})?"
_HOUR = r"(?:[01]\d|2[0-3])"
_COMPACT = rf"20\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])[T_-]?{_HOUR}[0-5]\d(?:[0-5]\d)?Z?"

#: The most telling first: what an earlier one takes, a later one does not see.
ENCODINGS = (
    _encoding("RFC 3339", rf"\b{_DATE}[Tt]{_CLOCK}{_FRACTION}{_ZONE}?", _iso),
    _encoding("the log format of dpkg and apt", rf"\b{_DATE}  ?{_CLOCK}{_FRACTION}(?: ?{_ZONE})?", _iso),
    _encoding(
        "an HTTP or mail date",
        rf"\b(?:{_DAYS}), \d\d? (?:{_MONTHS}) \d{{4}} {_CLOCK} (?:GMT|UTC|[+-]\d{{4}})",
        _mail,
    ),
    _encoding(
        "ctime",
        rf"\b(?:{_DAYS}) (?:{_MONTHS}) [ \d]\d {_CLOCK}(?: [AP]M)?{_NAMED_ZONE}? \d{{4}}",
        _ctime,
    ),
    _encoding(
        "date(1)",
        rf"\b(?:{_DAYS}) [ \d]\d (?:{_MONTHS}) \d{{4}} {_CLOCK}(?: [AP]M)?{_NAMED_ZONE}?",
        _ctime,
    ),
    _encoding(
        "__DATE__ and __TIME__",
        rf"\b(?:{_MONTHS}) [ \d]\d \d{{4}}(?:[ ,\x00-]+{_CLOCK})?",
        _form("%b %d %Y %H:%M:%S", "%b %d %Y"),
    ),
    _encoding("syslog", rf"\b(?:{_MONTHS}) [ \d]\d {_CLOCK}", _form("%b %d %H:%M:%S")),
    _encoding("ls -l", rf"\b(?:{_MONTHS}) [ \d]\d {_HOUR}:[0-5]\d", _form("%b %d %H:%M")),
    _encoding(
        "the common log format",
        rf"\b\d\d/(?:{_MONTHS})/\d{{4}}:{_CLOCK}(?: [+-]\d{{4}})?",
        _form("%d/%b/%Y:%H:%M:%S %z", "%d/%b/%Y:%H:%M:%S"),
    ),
    _encoding(
        "digits of date and time",
        rf"(?<!\d){_COMPACT}(?!\d)",
        _form(
            *(f"%Y%m%d{between}%H%M{rest}" for between in ("", "T", "-", "_") for rest in ("%S", "%SZ", ""))
        ),
    ),
    _encoding(
        "a date with slashes",
        rf"\b(?:\d{{4}}/\d\d/\d\d|\d\d/\d\d/\d{{2,4}}),? {_CLOCK}",
        _form("%Y/%m/%d %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%m/%d/%y %H:%M:%S", "%d/%m/%Y %H:%M:%S"),
    ),
    _encoding("a date", rf"\b{_DATE}\b", _iso),
    _encoding("a time of day", rf"\b{_CLOCK}(?:\.\d{{1,9}})?\b", _form("%H:%M:%S", "%H:%M:%S.%f")),
    _encoding(
        "seconds since 1970 in decimal",
        r"(?<![\d.])\d{10}(?:\d{3}|\d{6}|\d{9}|\.\d{1,9})?(?!\d)",
        _number,
        within=10 * YEAR,
    ),
    _encoding(
        "seconds since 1970 in hexadecimal",
        r"(?<![0-9A-Za-z])(?:0x)?[3-9a-fA-F][0-9a-fA-F]{7}(?![0-9A-Za-z])",
        _hex,
        within=YEAR,
    ),
)


def shown(seconds: float) -> str:
    """An instant as people read it: `2026-08-01 12:00:01 UTC`."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
