"""A Python package index (PEP 503, PEP 691): which wheels there are, and what they need.

Everything is taken by its digest: a file of which the index gives no SHA-256 is as if
it were not there.
"""

import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from buildtool.archives.fetch import HttpFetcher
from buildtool.diag import BuildError
from buildtool.digest import Digest, parse_digest, sha256
from buildtool.lock.pypi import normal_name

_LARGEST_PAGE = 64 << 20
_LARGEST_METADATA = 4 << 20
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file of a project; `size` in bytes or 0, `metadata` the digest of its METADATA where that is served.

    `metadata` is empty where the index serves none, and "yes" where it does without a digest.
    """

    filename: str
    url: str
    digest: Digest
    size: int = 0
    requires_python: str = ""
    yanked: bool = False
    metadata: str = ""


class WheelIndex:
    """The indexes of this machine as one, asked once for a project; may be used from many threads."""

    def __init__(self, http: HttpFetcher) -> None:
        self._http = http
        self._projects: dict[str, tuple[IndexFile, ...]] = {}
        self._guard = threading.Lock()

    def files(self, project: str) -> tuple[IndexFile, ...]:
        """The files of a project, of all indexes; BuildError `no-such-package`."""
        name = normal_name(project)
        with self._guard:
            known = self._projects.get(name)
        if known is None:
            known = self._asked(name)
            with self._guard:
                self._projects[name] = known
        return known

    def bring_pages(self, projects: Sequence[str]) -> None:
        """Ask for several projects side by side; what is wrong with one is told when it is asked for."""
        from concurrent.futures import ThreadPoolExecutor

        def ask(name: str) -> None:
            try:
                self.files(name)
            except BuildError:
                pass

        with ThreadPoolExecutor(max_workers=8) as threads:
            list(threads.map(ask, projects))

    def addresses(self, filename: str) -> tuple[str, ...]:
        """Where a wheel can be had; BuildError `no-such-package` where no index has it any longer."""
        project = normal_name(filename.partition("-")[0])
        found = tuple(f.url for f in self.files(project) if f.filename == filename)
        if not found:
            raise BuildError(
                "no-such-package", f"no index has {filename}", hint="update the lock", exit_status=1
            )
        return found

    def metadata(self, file: IndexFile) -> str:
        """The METADATA of a wheel: by itself where the index serves it (PEP 658), else out of the wheel."""
        if file.metadata:
            data = self._http.document(
                (f"{file.url}.metadata",), f"the metadata of {file.filename}", _LARGEST_METADATA
            )
            if file.metadata in ("yes", sha256(data)):
                return data.decode("utf-8", "replace")
        self._http.fetch_blob(file.digest, file.size, (file.url,), file.filename)
        return metadata_of(self._http.blobs.path(file.digest), file.filename)

    def _asked(self, name: str) -> tuple[IndexFile, ...]:
        found: dict[str, IndexFile] = {}
        missing: BuildError | None = None
        for base in self._http.mirrors.indexes["pypi"]:
            url = f"{base}/{name}/"
            try:
                page = self._http.document((url,), f"the page of {name}", _LARGEST_PAGE, _ACCEPT)
            except BuildError as e:
                if not any("answers 404" in note.message for note in e.notes):
                    raise
                missing = e
                continue
            for file in parse_page(page, url):
                found.setdefault(file.filename, file)
        if not found and missing is not None:
            raise BuildError("no-such-package", f"the index has no project {name!r}", notes=missing.notes)
        return tuple(found.values())


def parse_page(page: bytes, url: str) -> tuple[IndexFile, ...]:
    """The files that a project's page names, JSON or HTML; BuildError `bad-index`."""
    try:
        if page.lstrip()[:1] == b"{":
            return tuple(f for f in (_json_file(item, url) for item in json.loads(page)["files"]) if f)
        reader = _Page(url)
        reader.feed(page.decode("utf-8", "replace"))
        return tuple(reader.files)
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        raise BuildError(
            "bad-index", f"the page {urlsplit(url).path} cannot be read: {e}", exit_status=1
        ) from e


def _json_file(item: dict[str, object], page: str) -> IndexFile | None:
    hashes = item["hashes"]
    assert isinstance(hashes, dict)
    digest = _digest(str(hashes.get("sha256", "")))
    metadata = item.get("core-metadata", item.get("dist-info-metadata", False))
    size = item.get("size")
    if digest is None:
        return None
    return IndexFile(
        filename=str(item["filename"]),
        url=_own(urljoin(page, str(item["url"])), page),
        digest=digest,
        size=size if isinstance(size, int) else 0,
        requires_python=str(item.get("requires-python") or ""),
        yanked=item.get("yanked", False) is not False,
        metadata=_metadata(metadata.get("sha256") if isinstance(metadata, dict) else metadata),
    )


def _metadata(value: object) -> str:
    """A digest, `yes` or nothing, for what an index says of a METADATA."""
    if isinstance(value, str) and (digest := _digest(value.removeprefix("sha256="))):
        return digest
    return "yes" if value in (True, "true") else ""


class _Page(HTMLParser):
    """The anchors of a page (PEP 503)."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.files: list[IndexFile] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        href, fragment = urldefrag(values.get("href") or "")
        digest = _digest(fragment.removeprefix("sha256="))
        if tag != "a" or not href or digest is None:
            return
        metadata = values.get("data-core-metadata", values.get("data-dist-info-metadata"))
        self.files.append(
            IndexFile(
                filename=unquote(urlsplit(href).path.rpartition("/")[2]),
                url=_own(urljoin(self._url, href), self._url),
                digest=digest,
                requires_python=values.get("data-requires-python") or "",
                yanked="data-yanked" in values,
                metadata=_metadata(metadata),
            )
        )


def _own(url: str, page: str) -> str:
    """The address with the credentials of the index where it is of the same host."""
    file, index = urlsplit(url), urlsplit(page)
    user, at, host = index.netloc.rpartition("@")
    if at and (file.scheme, file.netloc) == (index.scheme, host):
        return urlunsplit(file._replace(netloc=f"{user}@{host}"))
    return url


def _digest(text: str) -> Digest | None:
    try:
        return parse_digest(f"sha256:{text}")
    except BuildError:
        return None


def metadata_of(path: str, filename: str) -> str:
    """The METADATA in the file of a wheel; BuildError `bad-wheel`."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            # Only at the top: vendored packages bring their own further down.
            names = [i for i in archive.infolist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", i.filename)]
            if len(names) != 1 or names[0].file_size > _LARGEST_METADATA:
                raise BuildError("bad-wheel", f"the wheel {filename} has no METADATA", exit_status=1)
            return archive.read(names[0]).decode("utf-8", "replace")
    except (zipfile.BadZipFile, NotImplementedError, OSError) as e:
        raise BuildError("bad-wheel", f"the wheel {filename} cannot be read: {e}", exit_status=1) from e
