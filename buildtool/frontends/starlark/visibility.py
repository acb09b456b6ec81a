"""Visibility: which packages may name a target.

It is written as in Bazel: `//visibility:public`, `//visibility:private`,
`//a:__pkg__` for a package, `//a:__subpackages__` or `//a/...` for a folder and below.
A target without one has its package's default, and that is private unless `package()`
says otherwise.
"""

from collections.abc import Sequence

from buildtool.diag import BuildError, Note, Span
from buildtool.frontends.starlark.labels import Label, parse_label, parse_pattern

PUBLIC = "//visibility:public"
PRIVATE = "//visibility:private"


def check_visibility(entries: Sequence[str]) -> None:
    """BuildError `bad-visibility` for an entry that cannot be meant."""
    for entry in entries:
        if entry in (PUBLIC, PRIVATE):
            continue
        try:
            if entry.startswith("//") and entry.endswith("..."):
                parse_pattern(entry, "")
                continue
            where, _, name = entry.rpartition(":")
            parse_label(f"{where or '//'}:x", "")
        except BuildError:
            name = ""
        if name not in ("__pkg__", "__subpackages__") or not entry.startswith("//"):
            raise BuildError(
                "bad-visibility",
                f"{entry!r} says nothing about who may name a target",
                hint=f'write "{PUBLIC}", "//a:__pkg__" or "//a/..."',
            )


def sees(package: str, target_package: str, entries: Sequence[str]) -> bool:
    """Whether `package` may name a target of `target_package` that has this visibility."""
    return package == target_package or any(_admits(entry, package) for entry in entries)


def _admits(entry: str, package: str) -> bool:
    if entry in (PUBLIC, PRIVATE):
        return entry == PUBLIC
    if entry.endswith("..."):
        return _below(entry[2:-3].strip("/"), package)
    where, _, name = entry[2:].rpartition(":")
    return package == where or (name == "__subpackages__" and _below(where, package))


def _below(folder: str, package: str) -> bool:
    return not folder or package == folder or package.startswith(f"{folder}/")


def hidden(label: Label, package: str, span: Span | None, declared: Span | None) -> BuildError:
    """The error where `package` names a target that it may not."""
    return BuildError(
        "private-target",
        f"{label} is not visible to package //{package}",
        span=span,
        hint=f'add "//{package}:__pkg__" to the visibility of {label}, or "{PUBLIC}" for everyone',
        notes=[Note(f"{label} is declared here", declared)] if declared else (),
    )
