"""Where a finished image goes: the values of `-o/--output`, in buildx's notation."""

import csv
import os
from dataclasses import dataclass

from buildtool.diag import BuildError, suggestion

COMPRESSIONS = ("gzip", "zstd")

KINDS = ("oci", "docker", "local", "tar", "image", "registry", "cacheonly")

_KNOWN = {
    "type",
    "dest",
    "tar",
    "name",
    "compression",
    "compression-level",
    "force-compression",
    "rewrite-timestamp",
    "oci-mediatypes",
    "push",
}


@dataclass(frozen=True, slots=True)
class Output:
    """One place to write to.

    `kind` is `oci` (an image layout, in a tar archive unless `tar` is false), `docker`
    (an archive for `docker load`; without `dest` it goes to an engine of this machine),
    `local` or `tar` (the files of the image, in a folder or an archive), `image` (a name in
    the store; with `push` in its registry too) or `cacheonly` (nothing).  `dest` is a path,
    or `-` for standard output.
    """

    kind: str
    dest: str = ""
    tar: bool = True
    names: tuple[str, ...] = ()
    compression: str = "gzip"
    push: bool = False


def parse_output(text: str) -> Output:
    """`type=oci,dest=FILE` and its kin; a bare path means `type=local`; BuildError("bad-output")."""
    values = _fields(text)
    kind = values.get("type", "")
    if kind not in KINDS:
        hint = suggestion(kind, KINDS) or f"types are {', '.join(KINDS)}"
        raise BuildError("bad-output", f"{kind!r} is not a type of output", hint=hint)
    _check_switches(values)
    push = kind == "registry" or _truth("push", values.get("push", "false"))
    if push and kind not in ("registry", "image"):
        raise BuildError("bad-output", "push=true is for type=image", hint="--push pushes as well")
    output = Output(
        "image" if kind == "registry" else kind,
        values.get("dest", ""),
        _truth("tar", values.get("tar", "true")),
        tuple(n for n in values.get("name", "").split(",") if n),
        _compression(values.get("compression", "gzip")),
        push,
    )
    _check_place(output)
    return output


def _check_place(output: Output) -> None:
    """Refuse a place that the kind of output cannot be written to."""
    kind = output.kind
    if kind in ("oci", "local", "tar") and not output.dest:
        raise BuildError("bad-output", f"an output of type={kind} needs dest=PATH")
    if kind in ("local", "tar", "cacheonly") and output.names:
        raise BuildError("bad-output", f"an output of type={kind} has no name")
    if kind == "local" and (output.dest == "-" or os.path.isfile(output.dest)):
        raise BuildError("bad-output", f"type=local writes a folder, and {output.dest!r} is not one")
    if kind in ("local", "cacheonly"):
        return
    if kind == "docker" and not output.tar:
        raise BuildError("bad-output", "an output of type=docker is an archive: tar=false is for type=oci")
    if kind == "image" and output.dest:
        raise BuildError("bad-output", "an output of type=image has a name, not a dest")
    if not output.tar and (output.dest == "-" or os.path.isfile(output.dest)):
        raise BuildError("bad-output", f"tar=false writes a folder, and {output.dest!r} is not one")
    if output.tar and os.path.isdir(output.dest):
        raise BuildError(
            "bad-output",
            f"{output.dest!r} is a folder",
            hint="add tar=false to write an image layout into it" if kind == "oci" else "",
        )


def one_compression(outputs: tuple[Output, ...]) -> str:
    """The compression that all outputs ask for; one build writes its layers once."""
    found = {o.compression for o in outputs} or {"gzip"}
    if len(found) > 1:
        raise BuildError("bad-output", f"outputs ask for different compressions: {', '.join(sorted(found))}")
    return found.pop()


def _fields(text: str) -> dict[str, str]:
    row = next(csv.reader([text]), [])
    if not row or not text.strip():
        raise BuildError("bad-output", "an empty output", hint="for example -o type=oci,dest=image.tar")
    if len(row) == 1 and "=" not in row[0]:
        return {"type": "tar" if row[0] == "-" else "local", "dest": row[0]}
    values: dict[str, str] = {}
    for item in row:
        key, equals, value = item.partition("=")
        key = key.strip().lower()
        if not equals:
            raise BuildError("bad-output", f"{item!r} in the output {text!r} is not KEY=VALUE")
        if key not in _KNOWN and not key.startswith("annotation"):
            raise BuildError("bad-output", f"outputs have no {key!r}", hint=suggestion(key, _KNOWN))
        if key.startswith("annotation"):
            raise _not_yet("annotation in an output", "--annotation does this for the whole build")
        values[key] = value
    return values


def _check_switches(values: dict[str, str]) -> None:
    if _truth("force-compression", values.get("force-compression", "false")):
        raise _not_yet("force-compression=true")
    if not _truth("oci-mediatypes", values.get("oci-mediatypes", "true")):
        raise _not_yet("oci-mediatypes=false")
    _truth("rewrite-timestamp", values.get("rewrite-timestamp", "true"))
    if "compression-level" in values:
        raise BuildError(
            "bad-output",
            "compression-level cannot be chosen",
            hint="the level is part of the layer format, so that everyone gets the same bytes",
        )


def _compression(text: str) -> str:
    if text not in COMPRESSIONS:
        raise BuildError("bad-output", f"{text!r} is not a compression we write", hint="gzip or zstd")
    return text


def _truth(key: str, text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in ("1", "t", "true"):
        return True
    if lowered in ("0", "f", "false"):
        return False
    raise BuildError("bad-output", f"{key}={text} is neither true nor false")


def _not_yet(what: str, hint: str = "") -> BuildError:
    return BuildError("not-yet", f"{what} is not supported yet", hint=hint)
