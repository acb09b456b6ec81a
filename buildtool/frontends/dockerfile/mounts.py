"""`RUN --mount=...`: its fields, read and checked as BuildKit reads them, and the mount they make."""

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from buildtool.diag import BuildError, suggestion
from buildtool.frontends.dockerfile.body import Body
from buildtool.frontends.dockerfile.request import FolderContext
from buildtool.frontends.dockerfile.tree import Flag, Place
from buildtool.frontends.dockerfile.values import byte_size, go_bool, number
from buildtool.graph.model import Origin, Step
from buildtool.graph.mounts import (
    BindMount,
    CacheMount,
    Mount,
    SecretMount,
    Sharing,
    SshMount,
    TmpfsMount,
)
from buildtool.graph.stage import clean_path

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")

#: The names of a key, the first of which is what `Fields` calls it.
_KEYS = {
    "type": ("type",),
    "source": ("source", "src"),
    "target": ("target", "dst", "destination"),
    "from": ("from",),
    "readonly": ("readonly", "ro"),
    "readwrite": ("readwrite", "rw"),
    "id": ("id",),
    "sharing": ("sharing",),
    "required": ("required",),
    "size": ("size",),
    "mode": ("mode",),
    "uid": ("uid",),
    "gid": ("gid",),
    "env": ("env",),
}
_NAMES = {name: key for key, names in _KEYS.items() for name in names}
_BARE = ("readonly", "readwrite", "required")

#: Keys that only some types know.
_ONLY = {
    "required": ("secret", "ssh"),
    "size": ("tmpfs",),
    "env": ("secret",),
    "sharing": ("cache",),
    "mode": ("secret", "ssh", "cache"),
    "uid": ("secret", "ssh", "cache"),
    "gid": ("secret", "ssh", "cache"),
}
#: Those of them that must stand behind the type; of the others, the type may come later.
_ORDERED = ("required", "size")

_FIELD = re.compile(r'"((?:[^"]|"")*)"(?:,|$)|([^",]*)(?:,|$)')

#: What a name in `from=` means: a step's files, or a folder.
Sources = Callable[[str, Place], "Step | FolderContext"]


@dataclass(slots=True)
class Fields:
    """The fields of one --mount; None or empty where they are not given."""

    type: str = "bind"
    source: str = ""
    target: str = ""
    from_: str = ""
    read_only: bool | None = None
    id: str = ""
    sharing: str = ""
    required: bool = False
    size: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str = ""


def mounts(body: Body, flags: list[Flag], sources: Sources, origin: Origin) -> tuple[Mount, ...]:
    """The mounts of a RUN in the order in which they are made: outer ones first, secrets and sockets last."""
    found = [_mount(body, flag, sources, origin, n) for n, flag in enumerate(flags)]
    found.sort(key=lambda m: (isinstance(m, SecretMount | SshMount), m.target))
    return tuple(found)


def mounted_from(text: str) -> str:
    """What a mount names with `from`, empty for nothing; the text may be wrong otherwise."""
    try:
        fields = split(text)
    except BuildError:
        return ""
    named = [f.partition("=")[2] for f in fields if f.partition("=")[0].lower() == "from"]
    return named[-1] if named else ""


def split(text: str) -> list[str]:
    """The comma-separated fields (RFC 4180); BuildError `bad-mount` where quotes are not in order."""
    fields = []
    at = 0
    while True:
        found = _FIELD.match(text, at)
        if found is None or not text:
            raise BuildError("bad-mount", f"--mount is a list of KEY=VALUE, not {text!r}")
        quoted, plain = found.groups()
        fields.append(plain if quoted is None else quoted.replace('""', '"'))
        at = found.end()
        if at == len(text):
            return [*fields, ""] if text.endswith(",") and found.end() > found.start() else fields


def read(text: str, expand: Callable[[str], str]) -> Fields:
    """The fields of a mount, every value but that of `from` expanded; BuildError `bad-mount`."""
    fields = Fields()
    given: set[str] = set()
    for field in split(text):
        name, equals, value = field.partition("=")
        key = _NAMES.get(name.lower())
        if key is None:
            hint = suggestion(name.lower(), _NAMES) or f"the keys are {', '.join(_KEYS)}"
            raise BuildError("bad-mount", f"a mount has no key {name!r}", hint=hint)
        if not equals and key not in _BARE:
            raise BuildError("bad-mount", f"{name} needs a value, as in {name}=VALUE")
        if key in _ORDERED:
            _check_type(key, fields.type)
        given.add(key)
        if key != "from":
            value = expand(value)
        elif re.search(r"\$.", value):
            hint = "give the image a name with FROM, which sees the ARGs before it, and use that"
            raise BuildError("from-not-expanded", "from does not expand variables", hint=hint)
        if "\0" in value:
            raise BuildError("bad-mount", f"{name} holds a zero byte")
        _take(fields, key, value if equals else "true")
    for key in sorted(given):
        _check_type(key, fields.type)
    _check(fields)
    return fields


def _take(fields: Fields, key: str, value: str) -> None:
    """Put one value where it belongs."""
    if key == "type":
        fields.type = _one_of(key, value.lower(), TYPES)
    elif key == "sharing":
        fields.sharing = _one_of(key, value.lower(), SHARING)
    elif key == "readonly":
        fields.read_only = go_bool(key, value)
    elif key == "readwrite":
        fields.read_only = not go_bool(key, value)
    elif key == "required":
        fields.required = go_bool(key, value)
    elif key == "size":
        fields.size = byte_size(value)
    elif key in ("mode", "uid", "gid"):
        setattr(fields, key, number(key, value, base=8 if key == "mode" else 10))
    else:
        setattr(fields, "from_" if key == "from" else key, value)


def _one_of(key: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        hint = suggestion(value, choices) or f"{key} is one of {', '.join(choices)}"
        raise BuildError("bad-mount", f"a mount's {key} cannot be {value!r}", hint=hint)
    return value


def _check_type(key: str, kind: str) -> None:
    types = _ONLY.get(key, TYPES)
    if kind not in types:
        where = " (the type comes first)" if key in _ORDERED else ""
        raise BuildError("bad-mount", f"{key} is for mounts of type {_listed(types)}, not {kind}{where}")


def _listed(words: tuple[str, ...]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def _check(fields: Fields) -> None:
    if fields.type == "secret":
        if fields.from_:
            raise BuildError("bad-mount", "a secret does not come from a stage or an image")
        if not (fields.source or fields.target or fields.id):
            raise BuildError("bad-mount", "a secret needs an id", hint="write id=NAME, or target=PATH")
        if fields.source and fields.id:
            raise BuildError("bad-mount", "id and source of a secret mean the same: give one of them")
    if fields.type == "ssh" and fields.source:
        raise BuildError("bad-mount", "an SSH agent has no source", hint="id=NAME says which agent is meant")


def _mount(body: Body, flag: Flag, sources: Sources, origin: Origin, n: int) -> Mount:
    """One mount; what is wrong with it stands at its flag."""
    try:
        fields = read(flag.value or "", lambda text: body.word(text, flag.at))
        if fields.type == "secret":
            return _secret(body, fields)
        if fields.type == "ssh":
            return _ssh(body, fields, n)
        target = _target(body, fields.target)
        if target == "/":
            raise BuildError(
                "bad-mount", "a mount cannot take the place of the root", hint="target=PATH says where"
            )
        if fields.type == "tmpfs":
            return TmpfsMount(target, fields.size, fields.read_only is True)
        path = clean_path(fields.source)
        if fields.type == "bind":
            source = _files(body, sources(fields.from_, flag.at), path, origin)
            return BindMount(source, target, path, fields.read_only is not False)
        begins = _files(body, sources(fields.from_, flag.at), path, origin) if fields.from_ else None
        return _cache(fields, begins, target, path)
    except BuildError as error:
        raise error.at(body.span(flag.at)) from None


def _cache(fields: Fields, begins: Step | None, target: str, path: str) -> CacheMount:
    mode = None if fields.mode is None else fields.mode & 0o777
    attributes = (mode, fields.uid, fields.gid)
    if path != "/":
        # BuildKit makes a folder with these only where it is the top that is mounted.
        attributes = (None, None, None)
    return CacheMount(
        target,
        # BuildKit names a cache without an id after its target as it is written.
        fields.id or posixpath.normpath(fields.target or "."),
        begins,
        path,
        *attributes,
        sharing=cast(Sharing, fields.sharing or "shared"),
        read_only=fields.read_only is True,
    )


def _secret(body: Body, fields: Fields) -> SecretMount:
    name = fields.source or fields.id or posixpath.basename(fields.target.rstrip("/"))
    target = fields.target
    if not target and not fields.env:
        target = "/run/secrets/" + (posixpath.basename(name.rstrip("/")) or name)
    mode = 0o400 if fields.mode is None else fields.mode & 0o7777
    return SecretMount(
        name,
        _target(body, target) if target else "",
        fields.env,
        fields.required,
        mode,
        fields.uid or 0,
        fields.gid or 0,
    )


def _ssh(body: Body, fields: Fields, n: int) -> SshMount:
    target = _target(body, fields.target) if fields.target else f"/run/buildkit/ssh_agent.{n}"
    mode = 0o600 if fields.mode is None else fields.mode & 0o7777
    return SshMount(fields.id or "default", target, fields.required, mode, fields.uid or 0, fields.gid or 0)


def _target(body: Body, written: str) -> str:
    return clean_path(posixpath.join(body.stage.config.working_dir or "/", written))


def _files(body: Body, source: Step | FolderContext, path: str, origin: Origin) -> Step:
    """The step whose files are mounted; of a folder, only what `path` names is looked at."""
    if not isinstance(source, FolderContext):
        return source
    # A source of a mount is a path, never a pattern.
    include = re.sub(r"([\\*?\[])", r"\\\1", path[1:])
    return body.shared.local(source.folder, (include,), source.ignore, origin)
