"""Where caches come from and go to: the values of `--cache-from` and `--cache-to`, in buildx's notation."""

import csv
from dataclasses import dataclass

from buildtool.diag import BuildError, suggestion

_FROM = {"local": {"src", "tag", "digest"}, "registry": {"ref"}}
_TO = {
    "local": {"dest", "tag", "mode", "ignore-error"},
    "registry": {"ref", "mode", "ignore-error"},
    "inline": set[str](),
}
#: Keys of buildx that say what is done here anyhow.
_GRANTED = {"oci-mediatypes": "true", "image-manifest": "true"}


@dataclass(frozen=True, slots=True)
class CacheSpec:
    """A cache: `place` is a folder (`local`), the name of a repository (`registry`), or nothing (`inline`).

    `whole` (mode=max) is for all steps, not those of the image alone.  With `lenient` a cache
    that cannot be written is a warning.
    """

    kind: str
    place: str = ""
    tag: str = "latest"
    digest: str = ""
    whole: bool = False
    lenient: bool = False


def parse_cache_from(text: str) -> CacheSpec:
    """`type=local,src=FOLDER`, `type=registry,ref=NAME`, or a bare NAME; BuildError `bad-cache`."""
    values = _fields("--cache-from", text, _FROM)
    kind = values["type"]
    place = values.get("src" if kind == "local" else "ref", "")
    if not place:
        raise _bad("--cache-from", text, f"it has no {'src=FOLDER' if kind == 'local' else 'ref=NAME'}")
    return CacheSpec(kind, place, values.get("tag", "latest"), values.get("digest", ""))


def parse_cache_to(text: str) -> CacheSpec:
    """`type=local,dest=FOLDER`, `type=registry,ref=NAME`, `type=inline`; BuildError `bad-cache`."""
    values = _fields("--cache-to", text, _TO)
    kind = values["type"]
    place = values.get("dest" if kind == "local" else "ref", "")
    if not place and kind != "inline":
        raise _bad("--cache-to", text, f"it has no {'dest=FOLDER' if kind == 'local' else 'ref=NAME'}")
    mode = values.get("mode", "min")
    if mode not in ("min", "max"):
        raise _bad("--cache-to", text, f"{mode!r} is not a mode", "mode=min or mode=max")
    lenient = values.get("ignore-error", "false") in ("true", "1")
    return CacheSpec(kind, place, values.get("tag", "latest"), "", mode == "max", lenient)


def _fields(flag: str, text: str, known: dict[str, set[str]]) -> dict[str, str]:
    row = next(csv.reader([text]), [])
    if len(row) == 1 and "=" not in row[0] and row[0].strip():
        row = ["type=registry", f"ref={row[0]}"]
    pairs = [item.partition("=") for item in row]
    values = {key.strip().lower(): value for key, equals, value in pairs if equals}
    kind = values.get("type", "")
    if kind not in known:
        names = tuple(known)
        hint = suggestion(kind, names) or f"types are {', '.join(names)}"
        raise _bad(flag, text, f"{kind!r} is not a type that is known", hint)
    for key, equals, value in pairs:
        key = key.strip().lower()
        if key == "type" or (equals and _GRANTED.get(key) == value):
            continue
        if not equals or key not in known[kind]:
            raise _bad(flag, text, f"type={kind} has no {key!r}", suggestion(key, known[kind]))
    return values


def _bad(flag: str, text: str, why: str, hint: str = "") -> BuildError:
    return BuildError("bad-cache", f"{flag} {text!r}: {why}", hint=hint)
