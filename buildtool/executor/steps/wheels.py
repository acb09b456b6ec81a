"""Wheels installed (packaging.python.org, "Binary distribution format"), running nothing of theirs.

A wheel is a zip archive: its files go where a virtual environment has them, entry
points become scripts, and RECORD is checked first and written anew afterwards.
"""

import base64
import configparser
import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from buildtool.diag import BuildError
from buildtool.executor.steps.archives import Spool
from buildtool.executor.steps.folders import make_folders
from buildtool.executor.steps.trees import SourceTree
from buildtool.executor.steps.unpacking import only_file, opened_zip, safe_name
from buildtool.executor.work import WheelWork
from buildtool.layers.draft import LayerDraft
from buildtool.layers.entry import Content, Entry, Kind

_LARGEST_TEXT = 64 << 20
_HASHES = ("sha256", "sha384", "sha512")
_UNRECORDED = ("RECORD", "RECORD.jws", "RECORD.p7s")
_ENTRY_POINT = re.compile(r"([\w.]+)\s*:\s*([\w.]+)\s*(?:\[.*\])?")
_SCRIPT_NAME = re.compile(r"[^/\\\0\s][^/\\\0]*")

_SCRIPT = """\
#!{interpreter}
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.exit({function}())
"""


def install_wheel(work: WheelWork, source: SourceTree, draft: LayerDraft, spool: Spool, epoch: int) -> None:
    """Carry an UnpackWheelAction out; BuildError `bad-wheel`, `unsafe-archive`, ..."""
    name, path = only_file(source)
    title = name.decode("utf-8", "replace")
    with open(path, "rb") as file, opened_zip(file) as archive:
        try:
            wheel = _Wheel.of(archive, title)
            installed = _Installed(work, wheel, draft, spool, epoch)
            installed.put_files()
            installed.put_scripts()
            installed.put_records()
        except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError, EOFError, OSError) as e:
            raise _bad(title, f"it cannot be read: {e}") from e
    spool.flush()


@dataclass(slots=True)
class _Wheel:
    """A wheel whose RECORD names every file of it; `hashes` by name, as RECORD spells them."""

    title: str
    archive: zipfile.ZipFile
    info: str
    data: str
    hashes: dict[str, str]

    @classmethod
    def of(cls, archive: zipfile.ZipFile, title: str) -> "_Wheel":
        tops = {n.partition("/")[0] for n in archive.namelist()}
        infos = [n for n in tops if n.endswith(".dist-info")]
        if len(infos) != 1 or _same_name(infos[0]) != _same_name(title):
            raise _bad(title, "it has no .dist-info folder of its name")
        wheel = cls(title, archive, infos[0], infos[0].removesuffix(".dist-info") + ".data", {})
        version = re.search(r"^Wheel-Version: *1\.", wheel.text("WHEEL") or "", re.M)
        if version is None:
            raise _bad(title, "its format is not version 1 of wheels")
        rows = csv.reader(io.StringIO(wheel.text("RECORD") or ""))
        wheel.hashes = {row[0]: row[1] for row in rows if len(row) >= 2}
        return wheel

    def text(self, name: str) -> str | None:
        """A text of the .dist-info folder; None where there is none."""
        try:
            info = self.archive.getinfo(f"{self.info}/{name}")
        except KeyError:
            return None
        if info.file_size > _LARGEST_TEXT:
            raise _bad(self.title, f"{name} is too large")
        return self.archive.read(info).decode()

    def files(self) -> Iterator[tuple[zipfile.ZipInfo, str]]:
        """The files that are installed and the hash that each has to have."""
        for info in self.archive.infolist():
            if info.is_dir() or info.filename in (f"{self.info}/{n}" for n in _UNRECORDED):
                continue
            wanted = self.hashes.get(info.filename, "")
            if wanted.partition("=")[0] not in _HASHES:
                raise _bad(self.title, f"RECORD has no hash of {info.filename!r}")
            yield info, wanted


class _Installed:
    """A wheel on its way into a draft: what was put where, for RECORD."""

    def __init__(self, work: WheelWork, wheel: _Wheel, draft: LayerDraft, spool: Spool, epoch: int) -> None:
        self.wheel = wheel
        self.draft = draft
        self.spool = spool
        self.epoch = epoch
        self.site = f"lib/python{work.python}/site-packages"
        self.interpreter = f"{work.prefix.rstrip('/')}/bin/python"
        self.root = make_folders(draft, work.prefix.encode(), 0, 0, 0o755, epoch)
        project = wheel.info.partition("-")[0]
        self.schemes = {
            "purelib": self.site,
            "platlib": self.site,
            "scripts": "bin",
            "headers": f"include/site/python{work.python}/{project}",
            "data": "",
        }
        self.rows: dict[str, tuple[str, str]] = {}

    def put_files(self) -> None:
        """Put every file of the wheel in its place, checked against RECORD."""
        for info, wanted in self.wheel.files():
            scheme, path = self._place(safe_name(info.filename).decode("utf-8", "surrogateescape"))
            executable = bool((info.external_attr >> 16) & 0o111) or scheme == "scripts"
            with self.wheel.archive.open(info) as raw:
                stream = _Hashed(cast(BinaryIO, raw), wanted.partition("=")[0])
                if scheme == "scripts":
                    data = stream.read(_LARGEST_TEXT)
                    content: Content = self._with_interpreter(data)
                    size = len(cast(bytes, content))
                else:
                    content, size = self.spool.take(cast(BinaryIO, stream), info.file_size), info.file_size
                # The end of the stream is where zipfile compares the checksum of the archive.
                if stream.read(1) or stream.spelled() != wanted:
                    raise _bad(self.wheel.title, f"{info.filename!r} is not what RECORD says")
            if scheme == "scripts":
                self._put_bytes(path, cast(bytes, content), 0o755)
            else:
                self._put(path, content, size, wanted, 0o755 if executable else 0o644)

    def put_scripts(self) -> None:
        """Make the scripts of `entry_points.txt`."""
        text = self.wheel.text("entry_points.txt")
        if text is None:
            return
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
        parser.optionxform = str  # type: ignore[method-assign,assignment]
        try:
            parser.read_string(text)
        except configparser.Error as e:
            raise _bad(self.wheel.title, "its entry_points.txt cannot be read") from e
        for section in ("console_scripts", "gui_scripts"):
            for name, value in parser.items(section) if parser.has_section(section) else ():
                point = _ENTRY_POINT.fullmatch(value.strip())
                if point is None or not _SCRIPT_NAME.fullmatch(name):
                    raise _bad(self.wheel.title, f"its entry point {name!r} is not one")
                module, function = point[1], point[2]
                first = function.partition(".")[0]
                script = _SCRIPT.format(
                    interpreter=self.interpreter, module=module, first=first, function=function
                )
                self._put_bytes(f"bin/{name}", script.encode(), 0o755)

    def put_records(self) -> None:
        """Say who installed the wheel, and which files it has now."""
        info = f"{self.site}/{self.wheel.info}"
        self._put_bytes(f"{info}/INSTALLER", b"buildtool\n", 0o644)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        own = _from_site(f"{info}/RECORD", self.site)
        for path in sorted([*self.rows, own]):
            writer.writerow((path, *self.rows.get(path, ("", ""))))
        self._put_bytes(f"{info}/RECORD", out.getvalue().encode("utf-8", "surrogateescape"), 0o644)

    def _place(self, name: str) -> tuple[str, str]:
        """The scheme of a file, and its path below the prefix."""
        top, _, rest = name.partition("/")
        if top != self.wheel.data:
            return "purelib", f"{self.site}/{name}"
        scheme, _, rest = rest.partition("/")
        if scheme not in self.schemes or not rest:
            raise _bad(self.wheel.title, f"nothing is known of {name!r}")
        folder = self.schemes[scheme]
        return scheme, f"{folder}/{rest}" if folder else rest

    def _with_interpreter(self, data: bytes) -> bytes:
        if not data.startswith(b"#!python"):
            return data
        return b"#!" + self.interpreter.encode() + data[data.index(b"\n") :] if b"\n" in data else data

    def _put_bytes(self, path: str, data: bytes, mode: int) -> None:
        self._put(path, data, len(data), f"sha256={_spelled(hashlib.sha256(data).digest())}", mode)

    def _put(self, path: str, content: Content, size: int, digest: str, mode: int) -> None:
        self.rows[_from_site(path, self.site)] = (digest, str(size))
        full = self.root + b"/" + path.encode("utf-8", "surrogateescape")
        self.draft.add_parents(full, mtime=self.epoch)
        self.draft.add(Entry(full, Kind.FILE, mode, 0, 0, self.epoch, size), content)


@dataclass(slots=True)
class _Hashed:
    """A reader that hashes what goes through it."""

    stream: BinaryIO
    algorithm: str
    digest: "hashlib._Hash" = field(init=False)

    def __post_init__(self) -> None:
        self.digest = hashlib.new(self.algorithm)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes."""
        data = self.stream.read(size)
        self.digest.update(data)
        return data

    def spelled(self) -> str:
        """The hash as RECORD has it."""
        return f"{self.algorithm}={_spelled(self.digest.digest())}"


def _spelled(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _from_site(path: str, site: str) -> str:
    """A path below the prefix as RECORD has it: from the folder of the packages."""
    if path.startswith(site + "/"):
        return path[len(site) + 1 :]
    return "../" * (site.count("/") + 1) + path


def _same_name(name: str) -> str:
    """The project of a file or folder name, in the form that all spellings of it share."""
    return re.sub(r"[-_.]+", "-", name.partition("-")[0]).lower()


def _bad(title: str, why: str) -> BuildError:
    return BuildError("bad-wheel", f"the wheel {title} cannot be installed: {why}", exit_status=1)
