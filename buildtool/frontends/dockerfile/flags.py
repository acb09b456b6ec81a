"""The flags of the instructions: which there are, and what their values may be."""

from collections.abc import Callable

from buildtool.diag import BuildError, Span, suggestion
from buildtool.frontends.dockerfile.tree import Flag, Place
from buildtool.frontends.dockerfile.values import duration, retries

#: A flag is a switch, has one value, or can be given several times.
KNOWN: dict[str, dict[str, str]] = {
    "FROM": {"platform": "value"},
    "RUN": {"mount": "list", "network": "value", "security": "value", "device": "list"},
    "COPY": {
        "from": "value",
        "chown": "value",
        "chmod": "value",
        "link": "switch",
        "parents": "switch",
        "exclude": "list",
    },
    "ADD": {
        "chown": "value",
        "chmod": "value",
        "link": "switch",
        "keep-git-dir": "switch",
        "checksum": "value",
        "unpack": "switch",
        "exclude": "list",
    },
    "HEALTHCHECK": {
        "interval": "value",
        "timeout": "value",
        "start-period": "value",
        "start-interval": "value",
        "retries": "value",
    },
}

#: Flags whose value is one of a few words.
CHOICES = {
    ("RUN", "network"): ("default", "none", "host"),
    ("RUN", "security"): ("sandbox", "insecure"),
}


def read_flag(written: str, place: Place) -> Flag:
    """A flag as it is written: quotes go, a backslash takes the next character as it is."""
    name, equals, value = _unquoted(written[2:]).partition("=")
    return Flag(name, value if equals else None, place)


def check_flags(instruction: str, flags: tuple[Flag, ...], span: Callable[[Place], Span]) -> None:
    """Refuse a flag that is unknown, is given twice, or has a value that it cannot have."""
    known = KNOWN.get(instruction, {})
    seen: set[str] = set()
    for flag in flags:
        kind = known.get(flag.name)
        if kind is None:
            raise BuildError(
                "unknown-flag",
                f"{instruction} has no flag --{flag.name}",
                span=span(flag.at),
                hint=_known_flags(instruction, flag.name, known),
            )
        if flag.name in seen and kind != "list":
            raise BuildError("duplicate-flag", f"--{flag.name} is given twice", span=span(flag.at))
        seen.add(flag.name)
        problem = _problem(instruction, flag, kind)
        if problem:
            raise BuildError("bad-flag-value", f"--{flag.name} {problem}", span=span(flag.at))
        if instruction == "HEALTHCHECK" and flag.value:
            try:
                (retries if flag.name == "retries" else duration)(flag.value)
            except BuildError as error:
                raise error.at(span(flag.at)) from None


def _problem(instruction: str, flag: Flag, kind: str) -> str:
    if kind == "switch":
        if flag.value is not None and flag.value.lower() not in ("true", "false"):
            return f'is true or false, not "{flag.value}"'
        return ""
    if flag.value is None:
        return "needs a value"
    choices = CHOICES.get((instruction, flag.name))
    if choices and flag.value not in choices:
        return f'is one of {", ".join(choices)}, not "{flag.value}"'
    return ""


def _known_flags(instruction: str, wrong: str, known: dict[str, str]) -> str:
    near = suggestion(f"--{wrong}", [f"--{name}" for name in known])
    if near:
        return near
    if instruction in ("CMD", "ENTRYPOINT"):
        return f"{instruction} has no flags; to pass --{wrong} on, write the JSON form or -- before it"
    if len(known) < 2:
        return f"{instruction} has {f'only --{next(iter(known))}' if known else 'no flags'}"
    return f"the flags of {instruction} are {', '.join(f'--{name}' for name in known)}"


def _unquoted(text: str) -> str:
    out: list[str] = []
    quote = ""
    i = 0
    while i < len(text):
        c = text[i]
        if c == "\\":
            i += 1
            out.append(text[i : i + 1])
        elif c == quote:
            quote = ""
        elif not quote and c in "'\"":
            quote = c
        else:
            out.append(c)
        i += 1
    return "".join(out)
