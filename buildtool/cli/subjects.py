"""What two images may be given as: names, transports, paths of all kinds, and things that are built first."""

import os
import stat
from typing import TYPE_CHECKING

from buildtool.cli.access import DOCKER, Access
from buildtool.diag import BuildError

if TYPE_CHECKING:
    from buildtool.store import Store
    from buildtool.verify.subject import Image


def subject(text: str, store: "Store", platform: str, access: Access) -> "Image":
    """The image, layer or folder that `text` means.

    A LABEL or a folder with a Dockerfile is built; `docker://NAME` is pulled; `oci:`, `oci-archive:`
    and `docker-archive:` are places; else it is an image of the store, or a path: a layout,
    an archive of an image, an archive of files (a layer), a folder of files.
    """
    from buildtool.cli.hub import pulled
    from buildtool.cli.places import parse_place
    from buildtool.cli.request import is_label

    if is_label(text):
        return _built(text, store, platform, access)
    if text.startswith(DOCKER):
        return _of_layout("", "", pulled(text, platform, access), text, store, platform)
    if text.startswith((".", "/")) or ":" not in text:
        if not os.path.lexists(text):
            return _of_store(text, store, platform)
        if text.startswith((".", "/")) or not _is_name(text, store):
            return _at_path(text, store, platform, access)
    place = parse_place(text)
    return _of_layout(place.path, place.tag, place.digest, text, store, platform)


def _is_name(text: str, store: "Store") -> bool:
    from buildtool.cli.places import parse_place

    try:
        place = parse_place(text)
    except BuildError:
        return False
    return not place.path and store.results.ref(place.tag) is not None


def _of_store(text: str, store: "Store", platform: str) -> "Image":
    from buildtool.cli.places import parse_place

    if text.startswith((".", "/")):
        raise BuildError("no-such-file", f"there is nothing at {text}")
    place = parse_place(text)
    try:
        return _of_layout(place.path, place.tag, place.digest, text, store, platform)
    except BuildError as error:
        if error.code == "no-such-image" and not place.path:
            error.hint = f"there is no file of that name either; docker://{text} asks a registry"
        raise


def _of_layout(
    path: str, tag: str, digest: "str | None", name: str, store: "Store", platform: str
) -> "Image":
    from buildtool.cli.origins import places
    from buildtool.cli.places import Place, find, layout_at
    from buildtool.cli.platforms import parse_platform
    from buildtool.digest import Digest
    from buildtool.verify.subject import of_layout

    place = Place(path, tag, Digest(digest) if digest else None)
    layout = layout_at(place, store)
    descriptor = find(place, layout, parse_platform(platform))
    return of_layout(layout, descriptor, name, places(store, descriptor.digest))


def _at_path(path: str, store: "Store", platform: str, access: Access) -> "Image":
    from buildtool.oci.layout import open_layout
    from buildtool.verify.subject import of_folder, of_layer

    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise BuildError("no-such-file", f"{path} cannot be read: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        if os.path.exists(os.path.join(path, "oci-layout")):
            return _of_layout(path, "", None, path, store, platform)
        if os.path.exists(os.path.join(path, "Dockerfile")):
            return _built(path, store, platform, access)
        return of_folder(path)
    if not stat.S_ISREG(mode):
        raise BuildError("no-such-file", f"{path} is neither a file nor a folder")
    try:
        open_layout(path)
    except BuildError as error:
        if error.code != "bad-layout":
            raise
        return _layer(path, of_layer(path))
    return _of_layout(path, "", None, path, store, platform)


def _layer(path: str, image: "Image") -> "Image":
    """The layer of a file that is an archive of files; BuildError where it is none."""
    from buildtool.layers.tarread import is_tar

    with open(path, "rb") as file:
        if not is_tar(file):
            raise BuildError(
                "no-such-image",
                f"{path} is neither an image nor an archive of files",
                hint="name an image layout, an archive of one, or a tar archive, compressed or not",
            )
    return image


def _built(text: str, store: "Store", platform: str, access: Access) -> "Image":
    """An image that is built now, as `buildtool build` does."""
    from buildtool.cli.platforms import parse_platforms
    from buildtool.cli.progress.choose import choose
    from buildtool.cli.request import BuildRequest, parse_epoch, parse_subject
    from buildtool.cli.session import Session

    what = parse_subject((text,), file="", target="", build_args=(), contexts=())
    platforms = parse_platforms((platform,) if platform else ())
    epoch = parse_epoch(None, os.environ)
    request = BuildRequest(what, platforms, epoch, jobs=len(os.sched_getaffinity(0)), access=access)
    with choose("auto") as view, Session(request, view) as session:
        manifest = session.build().images[0].manifest
    return _of_layout("", "", manifest, text, store, platform)
