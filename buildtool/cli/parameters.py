"""What was asked of a build, as its provenance tells it, and the command line that asks for it again.

Both directions stand here, so that they cannot drift apart.  Paths are relative to the
sources; an address is without its credentials, and a secret is its name alone.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from buildtool.address import has_credentials, shown
from buildtool.cli.request import BuildRequest, DockerfileSubject
from buildtool.diag import BuildError
from buildtool.graph.model import Image, Index

if TYPE_CHECKING:
    from buildtool.verify.building import Work


#: Addresses that a provenance may name: none of them is a file of this machine.
_ELSEWHERE = ("https://", "http://", "git://", "ssh://", "git@", "docker-image://")


def parameters_of(request: BuildRequest, root: Image | Index) -> dict[str, Any]:
    """The external parameters of a provenance, those that are as by default left out."""
    from buildtool.frontends.dockerfile.args import PREDEFINED

    subject = request.subject
    found: dict[str, Any] = {
        "platforms": [str(platform) for platform in request.platforms],
        "sourceDateEpoch": request.epoch,
        "network": "" if request.network == "default" else request.network,
        "labels": dict(request.labels),
        "annotations": dict(request.annotations),
        "compression": "" if request.compression == "gzip" else request.compression,
        "secrets": sorted(secret.id for secret in request.lending.secrets),
        "allow": sorted(request.lending.allow),
    }
    if isinstance(subject, DockerfileSubject):
        found |= {
            "dockerfile": _dockerfile(subject),
            "context": shown(subject.context) if not os.path.isdir(subject.context) else "",
            "target": subject.target,
            # What stands for a proxy is of the machine, and may hold its password.
            "args": {k: shown(v) for k, v in subject.build_args if k not in PREDEFINED},
            "contexts": {k: _place(v, subject.context) for k, v in subject.contexts},
        }
    else:
        found |= {"label": root.origin.stage if root.origin else "", "flags": list(request.flags)}
    return {name: _plain(value) for name, value in found.items() if value not in ("", [], {})}


def _dockerfile(subject: DockerfileSubject) -> str:
    if subject.file == "-" or not os.path.isdir(subject.context):
        return subject.file
    return os.path.relpath(subject.file or os.path.join(subject.context, "Dockerfile"), subject.context)


def _place(place: str, context: str) -> str:
    """A named context: an address, or a folder inside the main context; empty for others of this machine."""
    if "://" in place and not place.startswith("oci-layout://"):
        return shown(place)
    if not os.path.isdir(place) or not os.path.isdir(context):
        return ""
    below = os.path.relpath(os.path.abspath(place), os.path.abspath(context))
    return "" if below.startswith("..") else below


def _plain(value: Any) -> Any:
    """A value that JSON can hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_plain(k): _plain(v) for k, v in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


# ---------------------------------------------------------------- the way back


def work_again(parameters: Mapping[str, Any], source: str, given: tuple[str, ...]) -> "Work":
    """The work that makes an image again from the sources in a folder.

    `given` are options of whoever rebuilds: what a provenance cannot hold (secrets, places of
    named contexts, entitlements).  Provenances come from strangers: they choose no path
    outside the sources and allow nothing.  BuildError `bad-provenance`, `not-rebuildable`.
    """
    from buildtool.lock.model import FILE_NAME
    from buildtool.verify.building import Work

    folder = os.path.realpath(source)
    arguments = (*_arguments(parameters, given, folder), *given)
    if label := _text(parameters, "label"):
        return Work(arguments, folder, folder, labels=(label,), lock=os.path.join(folder, FILE_NAME))
    if context := _text(parameters, "context"):
        if not context.startswith(_ELSEWHERE):
            raise _bad("context")
        return Work(arguments, folder, context=context, dockerfile=_text(parameters, "dockerfile"))
    name = _text(parameters, "dockerfile") or "Dockerfile"
    file = _inside(folder, name)
    lock = os.path.join(os.path.dirname(file), FILE_NAME)
    return Work(arguments, os.getcwd(), folder, folder, file, lock=lock)


def _arguments(parameters: Mapping[str, Any], given: tuple[str, ...], folder: str) -> list[str]:
    words = ["--source-date-epoch", str(int(parameters.get("sourceDateEpoch", 0)))]
    for name, flag in (("target", "--target"), ("network", "--network")):
        if text := _text(parameters, name):
            words += [flag, text]
    for name, flag in (("platforms", "--platform"), ("flags", "--flag")):
        for item in _list(parameters, name):
            words += [flag, item]
    for name, flag in (("args", "--build-arg"), ("labels", "--label"), ("annotations", "--annotation")):
        for key, value in _table(parameters, name).items():
            words += [flag, f"{key}={value}"]
    if (compression := _text(parameters, "compression")) not in ("", "gzip"):
        words += ["--output", f"type=image,compression={compression}"]
    _check_given(parameters, given)
    for key, place in _table(parameters, "contexts").items():
        if place and not any(word.startswith(f"{key}=") for word in given):
            remote = place.startswith(_ELSEWHERE)
            if "://" in place and not remote:
                raise _bad("contexts")
            there = place if remote else _inside(folder, place)
            words += ["--build-context", f"{key}={there}"]
    return words


def _check_given(parameters: Mapping[str, Any], given: tuple[str, ...]) -> None:
    """Refuse to begin where something is needed that only a person can give."""
    for key, place in _table(parameters, "contexts").items():
        if not place and not any(word.startswith(f"{key}=") for word in given):
            raise BuildError(
                "not-rebuildable",
                f"the image was built with the named context {key!r} of another machine",
                hint=f"--build-context {key}=PLACE gives it",
            )
    for name in _list(parameters, "secrets"):
        if not any(f"id={name}" in word.split(",") for word in given):
            raise BuildError(
                "not-rebuildable",
                f"the image was built with the secret {name!r}",
                hint=f"--secret id={name},src=FILE",
            )
    for name in _list(parameters, "allow"):
        if name not in given:
            raise BuildError(
                "not-rebuildable",
                f"the image was built with --allow {name}",
                hint=f"--allow {name} allows it, if you trust these sources with this machine",
            )

    host = _text(parameters, "network") == "host"
    if host and not {"network.host", "host"} & set(given):
        raise BuildError(
            "not-rebuildable",
            "the image was built with the network of its host",
            hint="--allow network.host allows it, if you trust these sources with this machine",
        )


def _inside(folder: str, path: str) -> str:
    full = os.path.realpath(os.path.join(folder, path))
    if os.path.commonpath((folder, full)) != folder:
        raise BuildError(
            "not-rebuildable",
            f"{path!r} of the provenance is not among the sources",
            hint="--source FOLDER names them",
        )
    return full


def _text(parameters: Mapping[str, Any], name: str) -> str:
    value = parameters.get(name, "")
    if not isinstance(value, str) or value.startswith("-") or has_credentials(value):
        raise _bad(name)
    return value


def _list(parameters: Mapping[str, Any], name: str) -> list[str]:
    value = parameters.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _bad(name)
    return value


def _table(parameters: Mapping[str, Any], name: str) -> dict[str, str]:
    value = parameters.get(name, {})
    if not isinstance(value, dict) or not all(
        isinstance(item, str) for pair in value.items() for item in pair
    ):
        raise _bad(name)
    return value


def _bad(name: str) -> BuildError:
    return BuildError("bad-provenance", f"the provenance has a parameter {name!r} that no build of ours has")
