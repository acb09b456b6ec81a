"""A workspace: the packages below a root folder, loaded when they are needed.

The root is the nearest folder upwards that has a `buildtool.toml`; without one, the
topmost folder upwards, within the git checkout, that has a BUILD.star.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from buildtool.diag import BuildError, Span, Warned, suggestion
from buildtool.frontends.starlark.configuration import Configuration, declared_flags, given_flags
from buildtool.frontends.starlark.declared import Package, PushTarget, Target
from buildtool.frontends.starlark.labels import (
    BUILD_FILE,
    ROOT_FILE,
    Label,
    Pattern,
    parse_label,
    parse_pattern,
)
from buildtool.frontends.starlark.loading import Loader, or_raise
from buildtool.frontends.starlark.steps import Site
from buildtool.frontends.starlark.visibility import hidden, sees
from buildtool.graph.model import Image, Platform

if TYPE_CHECKING:
    from buildtool.frontends.starlark.lower import Services
    from buildtool.frontends.starlark.remembered import Memory

MAX_FOLDERS = 100_000
_PLATFORM = Platform("linux", "amd64")


class Workspace:
    """The packages below `root`; `here` is the package of the folder that it was opened from.

    `settings` is the content of `buildtool.toml`, `given` the flags of the user, `warnings`
    what was printed while packages were loaded.  A package is loaded for a platform, which
    is `platform` where no other is named.  Close it when done: it may have processes.
    """

    def __init__(
        self,
        root: str,
        here: str,
        settings: Mapping[str, Any],
        memory: "Memory | None",
        given: Sequence[str] = (),
        platform: Platform = _PLATFORM,
    ) -> None:
        self.root = root
        self.here = here
        self.settings = settings
        self.warnings: list[Warned] = []
        self._flags = declared_flags(settings)
        self._values = given_flags(self._flags, given)
        self._platform = platform
        self._loader = Loader(root, rules_folder(), memory)
        self._packages: dict[tuple[str, Platform], Package] = {}

    @classmethod
    def open(
        cls,
        start: str,
        *,
        memory: "Memory | None" = None,
        flags: Sequence[str] = (),
        platform: Platform = _PLATFORM,
    ) -> "Workspace":
        """The workspace that the folder `start` is in; `flags` are `NAME=VALUE`.

        BuildError for a `buildtool.toml` that is no TOML, and for flags that it does not declare.
        """
        start = os.path.abspath(start)
        root = _root_of(start)
        here = os.path.relpath(start, root)
        return cls(root, "" if here == "." else here, _settings(root), memory, flags, platform)

    def __enter__(self) -> "Workspace":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the evaluating processes, if any were started."""
        self._loader.close()

    # ------------------------------------------------------------ names

    def label(self, text: str) -> Label:
        """The label that `text` is when it is written in the folder the workspace was opened from."""
        return parse_label(text, self.here)

    def targets(self, text: str) -> list[Label]:
        """The targets that a label or a pattern names, in the order of packages and declarations."""
        pattern = parse_pattern(text, self.here)
        if pattern.name:
            label = Label(pattern.package, pattern.name)
            self.target(label)
            return [label]
        packages = self._meant(pattern)
        self.load(packages)
        return [Label(p, name) for p in packages for name in self.package(p).names]

    def _meant(self, pattern: Pattern) -> list[str]:
        if not pattern.below:
            return [pattern.package]
        found = list(self.packages(pattern.package))
        if not found:
            raise BuildError("unknown-package", f"there is no package below //{pattern.package}")
        return found

    def folder(self, package: str) -> str:
        """The folder of a package on this machine."""
        return os.path.join(self.root, package) if package else self.root

    def packages(self, below: str = "") -> Iterator[str]:
        """The names of the packages in a folder and under it, sorted."""
        pending = [below]
        seen = 0
        while pending:
            package = pending.pop()
            try:
                with os.scandir(self.folder(package)) as entries:
                    listed = sorted(entries, key=lambda e: e.name, reverse=True)
            except OSError:
                continue
            seen += 1
            if seen > MAX_FOLDERS:
                raise BuildError("too-many-folders", f"the workspace has more than {MAX_FOLDERS:,} folders")
            names = {e.name for e in listed}
            if package != below and ROOT_FILE in names:
                continue
            if BUILD_FILE in names:
                yield package
            pending += [
                f"{package}/{e.name}" if package else e.name
                for e in listed
                if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")
            ]

    # ------------------------------------------------------------ loading

    def load(self, names: Iterable[str], platform: Platform | None = None) -> None:
        """Load packages together, which is faster than one by one; BuildError tells all that is wrong."""
        platform = platform or self._platform
        wanted = [name for name in names if (name, platform) not in self._packages]
        if not wanted:
            return
        configuration = Configuration(str(platform), self._flags, self._values)
        found = or_raise(self._loader.load(wanted, configuration))
        for name in wanted:
            self._packages[name, platform] = found[name]
            self.warnings += [
                Warned("starlark-print", p.text, span=span_of_site(p.at[0]) if p.at else None)
                for p in found[name].printed
            ]

    def package(self, name: str, span: Span | None = None, platform: Platform | None = None) -> Package:
        """A package, loaded at its first use; `span` is where it is asked for.

        BuildError `unknown-package`, or whatever the evaluation finds wrong.
        """
        key = name, platform or self._platform
        if key not in self._packages:
            if not os.path.isfile(os.path.join(self.folder(name), BUILD_FILE)):
                raise self._unknown_package(name, span)
            self.load([name], platform)
        return self._packages[key]

    def target(
        self,
        label: Label,
        span: Span | None = None,
        *,
        platform: Platform | None = None,
        asking: str | None = None,
    ) -> Target:
        """A declared target, which package `asking` names at `span` (None: a person does).

        BuildError `unknown-target`, with a suggestion, if there is none; `private-target`.
        """
        package = self.package(label.package, span, platform)
        if label.name in package.names:
            target = package.targets[label.name]
            if asking is not None and not sees(asking, label.package, package.visibility_of(target)):
                declared = span_of_site(target.at[0]) if target.at else None
                raise hidden(label, asking, span, declared)
            return target
        names = [f"//{label.package}:{name}" for name in package.names]
        hint = suggestion(str(label), names)
        if not hint and os.path.exists(os.path.join(self.folder(label.package), label.name)):
            hint = f"{label.name} is a file; give it a name with filegroup()"
        raise BuildError(
            "unknown-target", f"there is no target {label}", span=span, hint=hint or _listing(names)
        )

    def _unknown_package(self, name: str, span: Span | None) -> BuildError:
        hint = suggestion(f"//{name}", [f"//{p}" for p in self.packages()])
        if not hint:
            hint = f"a package is a folder with a {BUILD_FILE}"
        return BuildError("unknown-package", f"there is no package //{name}", span=span, hint=hint)

    def destinations(self, label: Label) -> tuple[str, ...] | None:
        """Where a push() pushes to, `REPOSITORY:TAG` each; None for other targets."""
        target = self.target(label)
        if not isinstance(target, PushTarget):
            return None
        return tuple(f"{target.repository}:{tag}" for tag in target.tags)

    # ------------------------------------------------------------ lowering

    def lower(self, label: Label, platform: Platform, epoch: int, services: "Services") -> Image:
        """The graph of a target for a platform; `epoch` in seconds (see `lower.Lowering.image`)."""
        from buildtool.frontends.starlark.lower import Lowering

        return Lowering(self, epoch, services).image(label, platform)

    def images(self, label: Label, platform: Platform, epoch: int, services: "Services") -> tuple[Image, ...]:
        """The graphs of a target, one a platform of an index() (see `lower.Lowering.images`)."""
        from buildtool.frontends.starlark.lower import Lowering

        return Lowering(self, epoch, services).images(label, platform)


def span_of_site(site: Site) -> Span:
    """The call on its line."""
    from buildtool.frontends.starlark.callsite import located

    return located(site.file, site.line, site.text, site.call)


def rules_folder() -> str:
    """The folder of the shipped rules: in a wheel inside the package, in a checkout beside it."""
    import buildtool

    package = os.path.dirname(os.path.abspath(buildtool.__file__))
    shipped = os.path.join(package, "_rules")
    return shipped if os.path.isdir(shipped) else os.path.join(os.path.dirname(package), "rules")


def _root_of(start: str) -> str:
    topmost = start
    folder = start
    inside = True
    while True:
        if os.path.isfile(os.path.join(folder, ROOT_FILE)):
            return folder
        if inside and os.path.isfile(os.path.join(folder, BUILD_FILE)):
            topmost = folder
        inside = inside and not os.path.exists(os.path.join(folder, ".git"))
        parent = os.path.dirname(folder)
        if parent == folder:
            return topmost
        folder = parent


def _settings(root: str) -> Mapping[str, Any]:
    path = os.path.join(root, ROOT_FILE)
    if not os.path.isfile(path):
        return {}
    import tomli

    try:
        with open(path, "rb") as file:
            return tomli.load(file)
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as e:
        line = getattr(e, "lineno", 1)
        column = getattr(e, "colno", 1)
        message = getattr(e, "msg", "it is not UTF-8")
        raise BuildError(
            "bad-settings", f"{ROOT_FILE} is not TOML: {message}", span=Span(ROOT_FILE, line, column)
        ) from None


def _listing(names: list[str]) -> str:
    if not names:
        return "its BUILD.star declares no target"
    shown = ", ".join(names[:5])
    return f"there are {shown}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
