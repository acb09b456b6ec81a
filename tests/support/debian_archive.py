"""A small Debian archive made up by a test, and a server on loopback that can misbehave."""

import hashlib
import io
import lzma
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.openpgp import clear_signed

NOW = 1_700_000_000


def make_deb(name: str, version: str, files: Mapping[str, bytes | None] | None = None) -> bytes:
    """A binary package with some files (None: a folder)."""
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\n".encode()
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": lzma.compress(_tar({"./control": control}), preset=0),
        "data.tar.xz": lzma.compress(
            _tar(files or {f"./usr/share/doc/{name}/copyright": b"none\n"}), preset=0
        ),
    }
    return ar(members)


def ar(members: Mapping[str, bytes]) -> bytes:
    """An ar archive."""
    out = b"!<arch>\n"
    for name, data in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data
        out += b"\n" * (len(data) % 2)
    return out


def _tar(files: Mapping[str, bytes | None]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            if data is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            info.size = len(data or b"")
            tar.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


@dataclass
class FakeArchive:
    """Paths and bytes of an archive with one suite; change `release` or `files` before serving."""

    suite: str = "bookworm"
    release: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    _stanzas: list[str] = field(default_factory=list)

    def add(self, name: str, version: str = "1.0", **fields: str) -> None:
        """Offer a package; fields are spelled with underscores (`pre_depends`)."""
        deb = make_deb(name, version)
        path = f"pool/main/{name[0]}/{name}/{name}_{version.partition(':')[2] or version}_all.deb"
        self.files[path] = deb
        values = {
            "Package": name,
            "Version": version,
            "Architecture": "all",
            "Priority": fields.pop("priority", "optional"),
            **{key.replace("_", "-").title(): value for key, value in fields.items()},
            "Filename": path,
            "Size": str(len(deb)),
            "SHA256": hashlib.sha256(deb).hexdigest(),
        }
        self._stanzas.append("".join(f"{key}: {value}\n" for key, value in values.items()))

    def publish(self, sign: Callable[[bytes], bytes] = clear_signed) -> None:
        """Write the indexes and the signed release."""
        index = "\n".join(self._stanzas).encode()
        packed = lzma.compress(index, preset=0)
        base = "main/binary-amd64/Packages"
        values = {
            "Origin": "Test",
            "Suite": "stable",
            "Codename": self.suite,
            "Date": formatdate(NOW - 3600, usegmt=True),
            "Architectures": "all amd64",
            "Components": "main contrib",
            **self.release,
        }
        text = "".join(f"{key}: {value}\n" for key, value in values.items())
        text += "SHA256:\n"
        for path, data in ((base, index), (base + ".xz", packed)):
            text += f" {hashlib.sha256(data).hexdigest()} {len(data)} {path}\n"
        folder = f"dists/{self.suite}"
        self.files[f"{folder}/{base}.xz"] = packed
        digest = hashlib.sha256(packed).hexdigest()
        self.files[f"{folder}/main/binary-amd64/by-hash/SHA256/{digest}"] = packed
        self.files[f"{folder}/InRelease"] = sign(text.encode())


@dataclass
class Served:
    """A running server: what it was asked for, and how it is to misbehave by path."""

    url: str
    files: dict[str, bytes]
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    #: How many times to cut a path's answer off in the middle.
    cut: dict[str, int] = field(default_factory=dict)
    #: Statuses to answer with before the real answer, by path.
    refuse: dict[str, list[int]] = field(default_factory=dict)
    redirect: dict[str, str] = field(default_factory=dict)
    ranges: bool = True


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[Served]:
    """Serve files by path on loopback while the block lasts."""
    served = Served("", files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, served)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, served: Served) -> None:
    path = handler.path.lstrip("/")
    served.asked.append(path)
    served.headers.append(dict(handler.headers))
    if served.refuse.get(path):
        return _send(handler, served.refuse[path].pop(0), b"")
    if path in served.redirect:
        return _send(handler, 302, b"", Location=served.redirect[path])
    if path not in served.files:
        return _send(handler, 404, b"no such file")
    data = served.files[path]
    start = 0
    wanted = handler.headers.get("Range")
    if wanted and served.ranges:
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
    extra = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
    half = None
    if served.cut.get(path, 0) > 0:
        served.cut[path] -= 1
        half = max(1, (len(data) - start) // 2)
    return _send(handler, 206 if start else 200, data[start:], half, **extra)


def _send(
    handler: BaseHTTPRequestHandler, status: int, data: bytes, only: int | None = None, **headers: str
) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data if only is None else data[:only])
    if only is not None:
        handler.wfile.flush()
        handler.close_connection = True
