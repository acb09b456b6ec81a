"""Files that labels stand for: groups of files, what is fetched, and what steps made.

Whatever can stand among the `srcs` of others becomes trees of the graph, each with the
paths that are taken from it.
"""

import os
import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from buildtool.diag import BuildError, Span
from buildtool.digest import parse_digest
from buildtool.frontends.starlark import declared as d
from buildtool.frontends.starlark.config import Asked
from buildtool.frontends.starlark.labels import BUILD_FILE, Label, is_label, parse_label
from buildtool.graph.model import FetchSource, FileOp, GitSource, LocalSource, Origin, Platform, Step
from buildtool.graph.stage import clean_path
from buildtool.graph.unpacking import UnpackArchiveAction

if TYPE_CHECKING:
    from buildtool.frontends.starlark.lower import Lowering


class Taken(NamedTuple):
    """Paths of a tree, as they are or (`wildcards`) patterns."""

    source: Step
    paths: tuple[str, ...]
    wildcards: bool = False


class Gathering:
    """What labels mean as files, for one walk over targets."""

    def __init__(self, lowering: "Lowering") -> None:
        self._lowering = lowering

    def sources(
        self,
        srcs: Sequence[str],
        asked: Asked,
        platform: Platform,
        span: Span | None,
        *,
        parents: bool = False,
    ) -> list[Taken]:
        """The trees that the `srcs` of a step of a target mean, its own files first."""
        origin = asked.origin(f"files of //{asked.label.package}")
        own = tuple(inside(src, parents) for src in srcs if not is_label(src))
        found: list[Taken] = []
        if own:
            found.append(Taken(self.local(asked.label.package, own, origin), own, True))
        for src in srcs:
            if is_label(src):
                label = parse_label(src, asked.label.package)
                found += self._joined(self._labelled(label, asked.label.package, platform, span), origin)
        return found

    def local(self, package: str, paths: tuple[str, ...], origin: Origin) -> LocalSource:
        """Files of a package; BuildError `crosses-package`."""
        folder = self._lowering.workspace.folder(package)
        for path in paths:
            parts = path.split("/")
            for n in range(1, len(parts) + 1):
                inner = "/".join(parts[:n])
                if inner and os.path.exists(os.path.join(folder, inner, BUILD_FILE)):
                    other = f"{package}/{inner}" if package else inner
                    raise BuildError(
                        "crosses-package",
                        f"{path!r} is in another package, //{other}",
                        hint="declare a filegroup() there and name it here",
                    )
        include = tuple(sorted({path.replace("/./", "/") for path in paths}))
        return LocalSource(include=include, folder=folder, origin=origin)

    def _joined(self, found: list[Taken | tuple[str, str]], origin: Origin) -> list[Taken]:
        """Files of packages put together, one tree a package, in the order they are named."""
        groups: dict[str, list[str]] = {}
        others: list[Taken] = []
        for item in found:
            if isinstance(item, Taken):
                others.append(item)
            else:
                groups.setdefault(item[0], []).append(item[1])
        own = []
        for package, paths in groups.items():
            names = tuple(dict.fromkeys(paths))
            own.append(Taken(self.local(package, names, origin), names))
        return [*own, *others]

    def _labelled(
        self, label: Label, asking: str, platform: Platform, span: Span | None
    ) -> list[Taken | tuple[str, str]]:
        """What a label means that package `asking` names; a file of a package as package and path."""
        lowering = self._lowering
        lowering.enter(label, span)
        try:
            target = lowering.workspace.target(label, span, platform=platform, asking=asking)
            asked = Asked(label, target)
            if not isinstance(target, d.FilegroupTarget):
                return [self._made(asked, target, platform, span)]
            found: list[Taken | tuple[str, str]] = []
            for src in target.srcs:
                if is_label(src):
                    found += self._labelled(
                        parse_label(src, label.package), label.package, platform, asked.span
                    )
                else:
                    found.append((label.package, inside(src)))
            return found
        finally:
            lowering.leave()

    def _made(self, asked: Asked, target: d.TargetRecord, platform: Platform, span: Span | None) -> Taken:
        if isinstance(target, d.FetchTarget):
            file = self._fetched(asked, target)
            return Taken(file, (file.name,))
        if isinstance(target, d.ArchiveTarget):
            return Taken(self._unpacked(asked, target, platform), ("",))
        if isinstance(target, d.GitTarget):
            return Taken(self._checked_out(asked, target), ("",))
        if isinstance(target, d.OutputsTarget):
            image = self._lowering.stepped(asked, target.base, target.steps, platform)
            assert image.rootfs is not None
            return Taken(image.rootfs, tuple(inside(path) for path in target.outs))
        raise BuildError(
            "not-files",
            f"{asked.label} is not a group of files",
            span=span,
            hint=f'to copy out of an image, say from_ = "{asked.label}"',
        )

    def files(self, asked: Asked, target: d.FilesLike, platform: Platform) -> Taken:
        """The files that a target of its own makes, and that is no group of files."""
        return self._made(asked, target, platform, asked.span)

    def _fetched(self, asked: Asked, target: d.FetchTarget) -> FetchSource:
        url = target.urls[0]
        name = target.filename or unquote(posixpath.basename(urlsplit(url).path)) or asked.label.name
        size = 0
        if target.sha256 is not None:
            digest = parse_digest(f"sha256:{target.sha256}")
        else:
            pin = self._lowering.pinned_file(url, asked.span)
            digest, size = pin.digest, pin.size
        try:
            return FetchSource(
                digest=digest,
                name=name,
                mode=0o755 if target.executable else 0o644,
                size=size,
                urls=target.urls,
                origin=asked.origin(f"fetch {name}"),
            )
        except ValueError as e:
            raise BuildError("bad-argument", str(e), span=asked.span) from None

    def _unpacked(self, asked: Asked, target: d.ArchiveTarget, platform: Platform) -> FileOp:
        taken = self.sources((target.source,), asked, platform, asked.span)
        source = taken[0].source
        if len(taken) != 1 or len(taken[0].paths) != 1:
            raise BuildError("not-one-file", f"{target.source} is more than one file", span=asked.span)
        origin = asked.origin(f"unpack {target.source}")
        action = UnpackArchiveAction(source, "/", target.strip_prefix)
        return FileOp(None, (action,), self._lowering.epoch, origin)

    def _checked_out(self, asked: Asked, target: d.GitTarget) -> GitSource:
        from buildtool.address import public

        commit = target.commit or self._lowering.pinned_commit(target.remote, target.ref, asked.span)
        url = public(target.remote)
        return GitSource(
            url=url,
            commit=commit,
            subdir=target.subdir.strip("/"),
            submodules=target.submodules,
            address=target.remote if target.remote != url else "",
            origin=asked.origin(f"git {url}"),
        )


def inside(path: str, parents: bool = False) -> str:
    """A source path relative to its tree: `./a//b/` is `a/b`, `.` is all of it.

    With `parents`, `/./` stays: what stands before it is not kept.
    """
    if parents and "/./" in path:
        before, _, after = path.partition("/./")
        return f"{clean_path(before)[1:]}/./{clean_path(after)[1:]}".removeprefix("/./")
    return clean_path(path)[1:]
