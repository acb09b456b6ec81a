"""Configurations: what `select()` asks about, which is the platform and the flags of the user.

A workspace declares its flags in `buildtool.toml`, each with a default:

    [flags]
    debug = false
    variant = { default = "slim", values = ["slim", "full"] }

A condition is a text of terms between commas that must all hold: `linux/arm64`,
`flag:debug=true`, `linux/amd64, flag:variant=full`.  Of the conditions that hold the one
counts whose terms include those of every other.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from buildtool.diag import BuildError, Span, suggestion
from buildtool.frontends.starlark.labels import ROOT_FILE

DEFAULT = "//conditions:default"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_ARCHITECTURES = (
    "386", "amd64", "arm", "arm64", "loong64", "mips64", "mips64le", "ppc64le", "riscv64", "s390x",
)  # fmt: skip


class Flag(Struct, frozen=True):
    """A flag of a workspace; `values` empty: it takes any text."""

    default: str
    values: tuple[str, ...] = ()


class Configuration(Struct, frozen=True):
    """What a package is loaded for: the flags that are declared, and the values that they have."""

    platform: str
    flags: dict[str, Flag]
    values: dict[str, str]


def declared_flags(settings: Mapping[str, Any]) -> dict[str, Flag]:
    """The flags that `buildtool.toml` declares; BuildError `bad-settings`."""
    table = settings.get("flags", {})
    if not isinstance(table, dict):
        raise _bad("[flags] is a table of flags and their defaults")
    found = {}
    for name, value in table.items():
        if not _NAME.fullmatch(name):
            raise _bad(f"{name!r} is no name for a flag")
        values = value.get("values", ()) if isinstance(value, dict) else ()
        default = value.get("default") if isinstance(value, dict) else value
        if isinstance(default, bool):
            found[name] = Flag("true" if default else "false", ("false", "true"))
        elif isinstance(default, str) and all(isinstance(v, str) for v in values):
            if values and default not in values:
                raise _bad(f"the default of the flag {name!r} is not among its values")
            found[name] = Flag(default, tuple(values))
        else:
            raise _bad(f"the flag {name!r} has a text, true or false as its default, and texts as its values")
    return found


def given_flags(flags: Mapping[str, Flag], given: Iterable[str]) -> dict[str, str]:
    """The value of every flag, with those of `given` (`NAME=VALUE`, `NAME` for true) in place of defaults.

    BuildError `unknown-flag` and `bad-flag-value`.
    """
    values = {name: flag.default for name, flag in flags.items()}
    for text in given:
        name, equals, value = text.partition("=")
        values[name] = _checked(flags, name, value if equals else "true")
    return values


def choose(conditions: Iterable[str], configuration: Configuration, advice: str = "") -> str:
    """The condition that counts.

    BuildError `bad-condition` for one that cannot be meant, `no-match` (its hint is
    `advice`) and `ambiguous-select`.
    """
    terms = {c: _terms(c, configuration.flags) for c in conditions if c != DEFAULT}
    matching = {c: t for c, t in terms.items() if all(_holds(term, configuration) for term in t)}
    for condition, own in matching.items():
        if all(_covers(own, other) for other in matching.values()):
            return condition
    if matching:
        raise BuildError(
            "ambiguous-select",
            "several conditions of select() hold: " + ", ".join(map(repr, matching)),
            hint=f'add one that has the terms of all of them: "{", ".join(_union(matching.values()))}"',
        )
    if DEFAULT in conditions:
        return DEFAULT
    raise BuildError(
        "no-match",
        f"no condition of select() holds for {configuration.platform}"
        + "".join(f", {name}={value}" for name, value in sorted(configuration.values.items())),
        hint=advice or f'"{DEFAULT}" is the condition for everything else',
    )


def _terms(condition: str, flags: Mapping[str, Flag]) -> tuple[str, ...]:
    terms = tuple(t.strip() for t in condition.split(","))
    for term in terms:
        if term.startswith("flag:"):
            name, equals, value = term[5:].partition("=")
            if not equals:
                raise BuildError(
                    "bad-condition", f"{term!r} names no value of the flag", hint=f'write "{term}=true"'
                )
            _checked(flags, name, value)
        elif not _is_platform(term):
            near = suggestion(term, [DEFAULT, *(f"linux/{a}" for a in _ARCHITECTURES)])
            raise BuildError(
                "bad-condition",
                f"{term!r} is no condition of select()",
                hint=near or f'write "linux/arm64", "flag:NAME=VALUE" or "{DEFAULT}"',
            )
    return terms


def _is_platform(term: str) -> bool:
    system, _, rest = term.partition("/")
    return system == "linux" and (not rest or rest.split("/")[0] in _ARCHITECTURES) and term.count("/") < 3


def _holds(term: str, configuration: Configuration) -> bool:
    if term.startswith("flag:"):
        name, _, value = term[5:].partition("=")
        return configuration.values[name] == value
    return f"{configuration.platform}/".startswith(f"{term}/")


def _covers(own: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether all that `other` asks for is asked for by `own`."""
    return all(any(o == t or (t[:5] != "flag:" and o.startswith(f"{t}/")) for o in own) for t in other)


def _union(terms: Iterable[tuple[str, ...]]) -> list[str]:
    return list(dict.fromkeys(t for some in terms for t in some))


def _checked(flags: Mapping[str, Flag], name: str, value: str) -> str:
    if name not in flags:
        hint = suggestion(name, flags) or f"flags are declared under [flags] in {ROOT_FILE}: {name} = false"
        raise BuildError("unknown-flag", f"there is no flag {name!r}", hint=hint)
    values = flags[name].values
    if values and value not in values:
        raise BuildError(
            "bad-flag-value",
            f"{value!r} is no value of the flag {name!r}",
            hint="it is " + " or ".join(values),
        )
    return value


def _bad(message: str) -> BuildError:
    return BuildError("bad-settings", f"{ROOT_FILE}: {message}", span=Span(ROOT_FILE, 1))
