"""Marks: what the machine leaves in a text, each with its form and the cause that it stands for.

A mark explains a pair of texts where its values differ, if the texts are equal once
those values are taken out.  The most telling marks come first.  The texts are strangers':
what a form repeats before it has found anything is bounded, so that no text takes long.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from buildtool.verify.clues import Clues, near
from buildtool.verify.model import Confidence, Finding
from buildtool.verify.times import EARLIEST, ENCODINGS, LATEST, YEAR, Encoding

CERTAIN, LIKELY, POSSIBLE = Confidence.CERTAIN, Confidence.LIKELY, Confidence.POSSIBLE

#: Of two differing values: what they stand for, or None if this mark has nothing to say.
Judge = Callable[[str, str, Clues], Finding | None]


@dataclass(frozen=True, slots=True)
class Mark:
    """A form; the last group that took part in a match is the value, without groups all of it."""

    pattern: re.Pattern[str]
    judge: Judge


def quoted(first: str, second: str) -> str:
    """Two values side by side, cut where they are long."""
    return f"{_cut(first)} / {_cut(second)}"


def _cut(text: str, most: int = 60) -> str:
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    return '"' + text.replace('"', '\\"') + '"' if text.isprintable() else ascii(text)


# ---------------------------------------------------------------- times


def time_finding(
    encoding: str, one: float, two: float, values: str, clues: Clues, *, within: float = 0
) -> Finding | None:
    """What two instants say, written in an encoding; None where numbers need not be times at all."""
    places = near(one, clues.first), near(two, clues.second)
    apart = abs(one - two)
    if all(places):
        return Finding("embedded-time", f"{values}, {encoding}: {places[0]}", CERTAIN)
    if within and apart > within:
        return None
    confidence = POSSIBLE if within and apart > YEAR else LIKELY
    return Finding("embedded-time", f"{values}, {encoding}", confidence)


def _judge_time(encoding: Encoding) -> Judge:
    def judge(a: str, b: str, clues: Clues) -> Finding | None:
        one, two = encoding.read(a), encoding.read(b)
        if one is None or two is None:
            return None
        values = quoted(a, b)
        if not encoding.within and _zones_differ(a, b, one, two):
            return Finding("time-zone", f"{values}, {encoding.name}", CERTAIN if one == two else LIKELY)
        return time_finding(encoding.name, one, two, values, clues, within=encoding.within)

    return judge


def _zones_differ(a: str, b: str, one: float, two: float) -> bool:
    """Whether two times are the same but for their zones, which are multiples of a quarter of an hour."""
    if one == two:
        return True
    apart = abs(one - two)
    return ":" in a and ":" in b and apart % 900 == 0 and apart <= 26 * 3600


_TIMES = [(bool(e.within), Mark(e.pattern, _judge_time(e))) for e in ENCODINGS]

# ---------------------------------------------------------------- values of a known meaning


def _mark(pattern: str, cause: str, what: str, confidence: Confidence = LIKELY) -> Mark:
    def judge(a: str, b: str, clues: Clues) -> Finding:
        return Finding(cause, f"{quoted(a, b)}, {what}", confidence)

    return Mark(re.compile(pattern), judge)


def _keyed(words: str, value: str, cause: str, what: str, confidence: Confidence = LIKELY) -> Mark:
    """A value behind a word that says what it is, whatever stands between them (`pid=1`, `"pid": 1`)."""
    return _mark(rf"(?i)(?<![A-Za-z])(?:{words})(?![A-Za-z])\W{{0,5}}({value})", cause, what, confidence)


#: Variables that say what they hold, wherever they are written down.
_VARIABLES = {
    "hostname": ("HOSTNAME", "HOST"),
    "user": ("USER", "LOGNAME", "USERNAME", "HOME"),
    "build-path": ("PWD", "OLDPWD", "BUILD_DIR", "TMPDIR"),
    "time-zone": ("TZ",),
    "locale": ("LANG", "LANGUAGE", r"LC_[A-Z]+"),
    "cpu-count": ("MAKEFLAGS", "NPROC"),
}


def _variable(cause: str) -> Mark:
    names = "|".join(_VARIABLES[cause])
    pattern = rf"(?:(?<=\A)|(?<=[\s;{{,'\"]))(?:{names})['\"]?\s{{0,2}}[=:]\s{{0,2}}(\S[^\n\x00]*)"
    return _mark(pattern, cause, "a variable of that name", CERTAIN)


def _address(a: str, b: str, clues: Clues) -> Finding | None:
    one, two = (int(v.lower().removeprefix("0x"), 16) for v in (a, b))
    if min(one, two) < 0x10000 or (min(one, two) > EARLIEST and max(one, two) < LATEST):
        return None  # too small, or more likely a time
    known = all(v >> 40 in (0x7F, 0x7E, 0x55, 0x56) for v in (one, two))
    # A loader moves by pages: the last twelve bits of the same thing are the same.
    confidence = CERTAIN if known and one & 0xFFF == two & 0xFFF else LIKELY
    return Finding("address-space", f"{quoted(a, b)}, an address", confidence)


def _digits(a: str, b: str, clues: Clues) -> Finding | None:
    """Hexadecimal or base64 digits: a digest of something that differs, else random."""
    for value in (a, b):
        path = clues.digests.get(value.lower()) or clues.digests.get(value.rstrip("="))
        if path and path != clues.path:
            return Finding("derived", f"{quoted(a, b)}, the digest of {path}", CERTAIN)
    if len(a) != len(b):
        return None
    return Finding("random-identifier", f"{quoted(a, b)}, {len(a)} digits", LIKELY)


def _size(a: str, b: str, clues: Clues) -> Finding | None:
    """The sizes of a file that differs, as lists of files have them."""
    path = clues.digests.get(f"{a} bytes")
    if path is None or path != clues.digests.get(f"{b} bytes"):
        return None
    return Finding("derived", f"{quoted(a, b)}, the size of {path}", LIKELY)


def _mixed(a: str, b: str, clues: Clues) -> Finding | None:
    """A word of letters and digits without sense."""
    for value in (a, b):
        mixed = re.search(r"\d", value) and re.search(r"[A-Za-z]", value)
        if not mixed or re.fullmatch(r"[A-Za-z]+[\d._-]+", value):
            return None
    if len(a) != len(b):
        return None
    return Finding("random-identifier", f"{quoted(a, b)}, letters and digits at random", POSSIBLE)


_BUILDING = re.compile(
    r"/(?:tmp|var/tmp|home|root|builds?|buildkit|work(?:space)?|(?:usr/)?src|mnt|Users|github|runner|opt|srv)\b"
)


def _path(a: str, b: str, clues: Clues) -> Finding | None:
    known = any(p and p in a for p in clues.first.paths) and any(p and p in b for p in clues.second.paths)
    building = _BUILDING.match(a) and _BUILDING.match(b)
    confidence = CERTAIN if known else LIKELY if building else POSSIBLE
    return Finding("build-path", f"{quoted(a, b)}, a path", confidence)


def _environment(a: str, b: str, clues: Clues) -> Finding | None:
    if "env" not in clues.path.rpartition("/")[2].lower():
        return None
    return Finding("environment", f"{quoted(a, b)}, a variable", LIKELY)


_UUID = r"(?i)(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])"
_TEMPORARY = r"\btmp[._-]?\w{6,}\b|(?<=tmp/)[\w.-]{0,80}[._-]\w{6,}\b|\bcc[A-Za-z0-9]{6}\.[os]\b"
_B64_DIGIT = "[A-Za-z0-9+/_-]"
_B64 = (
    rf"(?<![A-Za-z0-9+/_-])(?={_B64_DIGIT}*\d)(?={_B64_DIGIT}*[A-Z])(?={_B64_DIGIT}*[a-z])"
    rf"{_B64_DIGIT}{{16,}}={{0,2}}"
)
_VERSION = r"v?\d+(?:\.\d+)+[\w.+~:-]*"
_PERMISSIONS = r"(?<![\w-])[bcdlps-](?:[r-][w-][xsS-]){2}[r-][w-][xtT-]"
_UNIT = r"(?:ns|us|µs|ms|s|secs?|seconds?|minutes?|min)"
_HOST_WORDS = (
    r"(?:[a-z]+[ _-])?host(?:[ _-]?name)?|node(?:[ _-]?name)?|"
    r"(?:built|compiled|build|generated)[ _-]?on|computer|server"
)
_USER_WORDS = (
    # What OCI's history calls `created_by` is an instruction.
    r'user(?:[ _-]?name)?|(?!created_by" ?:)(?:built|packaged|generated|created|made)[ _-]?by|builder|'
    r"login|uid|gid|group|owner|packager|whoami"
)
_CPU_WORDS = (
    r"n?cpus?|cores?|nproc|processors?|jobs|threads|workers?(?:[ _-](?:processes|threads|count))?|"
    r"parallel\w*|concurrency"
)
_ID_WORDS = (
    r"(?:\w{1,30}[ _-])?(?:(?<![ug])id|token|secret|salt|nonce|seed|random|rand|serial|password|"
    r"session|cookie|suffix|key)"
)

#: Every mark, the most telling first.
MARKS: tuple[Mark, ...] = (
    *(mark for loose, mark in _TIMES if not loose),
    _mark(r"\b\d+m[\d.]+s\b", "embedded-time", "a time that was measured"),
    _mark(_UUID, "random-identifier", "a UUID", CERTAIN),
    _mark(_TEMPORARY, "random-identifier", "a temporary name", CERTAIN),
    *(_variable(cause) for cause in _VARIABLES),
    _mark(r"\bLinux (?!version)(\S+) \d+\.\d+", "hostname", "the host name in uname's line"),
    _mark(r"\bLinux (?:\S+ )?(\d+\.\d+\S*)", "kernel", "the release of the kernel"),
    _mark(r"(#\d+\S* (?:SMP|PREEMPT)[^\n\x00]*)", "kernel", "the version of the kernel"),
    _keyed(
        r"kernel(?:[ _-]?(?:version|release))?|osrelease|uname",
        r"\d+\.\d+[\w.+-]*",
        "kernel",
        "the release of the kernel",
    ),
    _keyed(_HOST_WORDS, r"[A-Za-z0-9][\w.-]*", "hostname", "a host name"),
    _mark(r"\b[\w.-]{1,64}@([\w.-]+)(?=[:\s)>\]]|$)", "hostname", "the host in USER@HOST"),
    _mark(r"(?<![\w.])([\w.-]{1,64})@[\w.\x00-]", "user", "the user in USER@HOST"),
    _keyed("pid|process(?:[ _-]?id)?", r"\d{1,7}", "process-id", "a process number", CERTAIN),
    _mark(r"[\w.)-]\[(\d{1,7})\](?=:|\s)", "process-id", "a process number in brackets"),
    _mark(r"/proc/(\d+)", "process-id", "a process number in a path"),
    _keyed(r"(?:st_)?i-?no(?:de)?s?", r"\d+", "inode", "an inode number", CERTAIN),
    _keyed(r"(?:st_)?dev|device|major|minor", r"(?:0x)?[0-9a-f]+(?:[:,] ?\d+)?", "inode", "a device number"),
    _keyed(_CPU_WORDS, r"\d{1,4}\b", "cpu-count", "the number of processors"),
    _mark(
        r"(\d{1,4})[ -](?:[a-z]+ )?(?:CPUs?|cpus?|cores?|processors?|threads|jobs|workers)\b",
        "cpu-count",
        "the number of processors",
    ),
    _mark(r"(?<=\s)-j ?(\d{1,4})\b", "cpu-count", "the number of jobs"),
    _keyed(r"u?mask|mode|perm(?:ission)?s?", r"0?[0-7]{3,5}\b", "umask", "permissions"),
    _mark(_PERMISSIONS, "umask", "permissions"),
    _mark(r"\b[ug]id=(\d+(?:\([\w.-]+\))?)", "user", "the user"),
    _keyed(_USER_WORDS, r"[\w.-]+", "user", "the user"),
    _keyed(r"locale|charset|codeset|collation|language", r"[\w.@-]+", "locale", "the locale"),
    _keyed(r"time-?zone|tz", r"[\w/+:-]+", "time-zone", "the time zone"),
    _mark(rf"(?:(?<=\s)|^)(\d+(?:[.,]\d+)?) ?{_UNIT}\b", "embedded-time", "a time that was measured"),
    Mark(re.compile(r"(?<![\w])(?:0x[0-9a-fA-F]{5,16}|[57][5-9a-fA-F][0-9a-f]{10})\b"), _address),
    Mark(re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{16,}(?![0-9A-Za-z])"), _digits),
    Mark(re.compile(_B64), _digits),
    Mark(re.compile(r"(?:(?<![\w.:/-])|(?<=file://))/(?:[\w.+@~-]+/)*[\w.+@~-]+"), _path),
    *(mark for loose, mark in _TIMES if loose),
    _keyed(_ID_WORDS, r"[\w+/=-]{3,}", "random-identifier", "an identifier"),
    _mark(
        r"(?<![0-9A-Za-z])[0-9a-f]{12}(?![0-9A-Za-z])",
        "hostname",
        "twelve digits, as containers are named",
        POSSIBLE,
    ),
    _keyed("version|release|revision", _VERSION, "upstream", "a version"),
    _mark(rf"(?:(?<=[A-Za-z0-9>)])[=_ @-]=?|> )({_VERSION})", "upstream", "a version", POSSIBLE),
    Mark(re.compile(r"(?<![\w.])\d{1,12}(?![\w.])"), _size),
    _mark(r"(?<=\d)[.,](?=\d)", "locale", "the decimal separator"),
    Mark(re.compile(r"(?m)(?:^|(?<=: ))(?:export |declare -x )?[A-Za-z_]\w*=([^\n]*)"), _environment),
    Mark(re.compile(r"(?<![\w])[A-Za-z0-9_]{6,}(?![\w])"), _mixed),
)
