"""Handing one file of two images to diffoscope, which takes it apart further than we do."""

import os
import re
import shutil
import subprocess
import tempfile

from buildtool.diag import BuildError
from buildtool.layers.entry import Kind
from buildtool.verify.subject import Image

_CHUNK = 1 << 20


def to_diffoscope(first: Image, second: Image, path: str) -> int:
    """Run diffoscope on a file of both images; its status. BuildError where a file or the program is not."""
    program = shutil.which("diffoscope")
    if program is None:
        raise BuildError(
            "no-diffoscope", "diffoscope is not installed", hint="Debian: apt-get install diffoscope-minimal"
        )
    with tempfile.TemporaryDirectory(prefix="buildtool-diff-") as folder:
        places = [
            _extracted(image, path, os.path.join(folder, side))
            for image, side in ((first, "first"), (second, "second"))
        ]
        # A name of the image is no option of the program.
        done = subprocess.run([program, "--", *places], cwd=folder)
    return done.returncode


def _extracted(image: Image, path: str, folder: str) -> str:
    """The file as the topmost layer that has it says it is, in a new folder; the path there."""
    wanted = path.encode("utf-8", "surrogateescape").strip(b"/")
    name = re.sub(r"[^\w.+-]", "_", path.rpartition("/")[2]).lstrip("-.") or "file"
    os.mkdir(folder)
    place = os.path.join(folder, name)
    for layer in reversed(image.layers):
        found = False
        for member in layer.open():
            if member.entry.path == wanted and member.entry.kind is Kind.FILE and member.content is not None:
                with open(place, "wb") as sink:
                    shutil.copyfileobj(member.content, sink, _CHUNK)
                found = True
        if found:
            return place
    raise BuildError(
        "no-such-file", f"{image.name} has no file {path}", hint="a path as diff shows it: etc/os-release"
    )
