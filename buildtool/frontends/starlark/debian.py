"""Lowering of a Debian root: pinned packages become a root filesystem, as debootstrap makes one.

1. Every `.deb` is a fetched file, known by its digest.
2. The essential ones are unpacked, and nothing of theirs is run, over the links of a
   merged /usr.  That root can run dpkg.
3. One process in it, without a network, installs all of them properly: `install_root.sh`.
4. The result is copied into an empty root, so that the image has one layer.
"""

import os
from collections.abc import Callable, Sequence
from functools import cache

from buildtool.diag import BuildError, Span
from buildtool.frontends.starlark import declared as d
from buildtool.frontends.starlark.config import Asked
from buildtool.graph.model import (
    Action,
    CopyAction,
    FetchSource,
    FileOp,
    Image,
    LiteralFile,
    LiteralSource,
    MakeFolderAction,
    MakeLinkAction,
    Platform,
    Run,
    Step,
    UnpackDebsAction,
)
from buildtool.graph.mounts import BindMount
from buildtool.graph.stage import DEFAULT_PATH, FINISHERS, STEP_ENV, Stage
from buildtool.lock.debian import DebianPackage, DebianRequest, archive_of

Resolve = Callable[[DebianRequest, Span | None], Sequence[DebianPackage]]

#: Where the process of step 3 sees the packages.
DEBS = "/.debs"

#: Debian's names of the platforms that it supports; variants of arm by their own.
_ARCHITECTURES = {
    "386": "i386",
    "amd64": "amd64",
    "arm": "armhf",
    "arm/v5": "armel",
    "arm/v6": "armel",
    "arm/v7": "armhf",
    "arm64": "arm64",
    "mips64le": "mips64el",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
#: Folders beside lib that an architecture's packages have files in.
_LIBRARY_FOLDERS = {"amd64": ("lib64",), "mips64el": ("lib32", "lib64", "libo32"), "ppc64el": ("lib64",)}
#: Suites from before /usr was merged; in all later ones bin, sbin and lib are links.
_UNMERGED = ("wheezy", "jessie", "stretch", "buster", "bullseye")

_MIRRORS = {
    "debian": "http://deb.debian.org/debian",
    "debian-security": "http://deb.debian.org/debian-security",
}


def debian_architecture(platform: Platform) -> str:
    """Debian's name for a platform; BuildError `no-debian-architecture`."""
    name = "/".join(p for p in (platform.architecture, platform.variant) if p)
    found = _ARCHITECTURES.get(name) or _ARCHITECTURES.get(platform.architecture)
    if platform.os != "linux" or found is None:
        raise BuildError("no-debian-architecture", f"Debian has no packages for {platform}")
    return found


def lower_debian_root(
    asked: Asked,
    target: d.DebianRootTarget,
    platform: Platform,
    epoch: int,
    keyring: bytes | None,
    resolve: Resolve,
) -> Image:
    """The image of a Debian root; `resolve` gives the packages to install."""
    architecture = debian_architecture(platform)
    request = _request(asked, target, architecture, keyring)
    packages = list(resolve(request, asked.span))
    if not packages:
        raise BuildError("empty-image", f"{asked.label} asks for no package", span=asked.span)
    debs = {p.filename: fetched_package(p, asked) for p in packages}
    first = [p for p in packages if p.essential] or packages
    rest = [p for p in packages if p not in first]
    bare = FileOp(
        base=None,
        actions=(
            *merged_usr(target.suites[0], architecture),
            *(UnpackDebsAction(debs[p.filename]) for p in first),
            *_literal_files(target, asked),
        ),
        epoch=epoch,
        origin=asked.origin(f"unpack {len(first)} essential packages"),
    )
    installed = Run(
        base=bare,
        argv=("/bin/sh", "-euc", _script()),
        env=(("PATH", DEFAULT_PATH), *STEP_ENV),
        cwd="/",
        user="",
        clock=epoch,
        network="none",
        mounts=(BindMount(_shelf(first, rest, debs, epoch, asked), DEBS),),
        finishers=FINISHERS,
        platform=platform,
        origin=asked.origin(f"install {len(packages)} packages"),
    )
    stage = Stage.scratch(platform, epoch)
    stage = stage.files(
        CopyAction(source=installed, paths=("/",), dest="/"),
        origin=asked.origin(f"root filesystem {asked.label}"),
    )
    return stage.cmd(("bash",)).image(origin=asked.origin(str(asked.label)))


def _request(
    asked: Asked, target: d.DebianRootTarget, architecture: str, keyring: bytes | None
) -> DebianRequest:
    try:
        return DebianRequest(
            name=str(asked.label),
            suites=target.suites,
            components=target.components,
            architecture=architecture,
            packages=target.packages,
            variant=target.variant,
            keyring=keyring,
        )
    except BuildError as e:
        raise e.at(asked.span) from None


def fetched_package(package: DebianPackage, asked: Asked) -> FetchSource:
    """A pinned package as a file to fetch."""
    return FetchSource(
        digest=package.digest,
        name=package.filename,
        mode=0o644,
        size=package.size,
        urls=package.urls,
        origin=asked.origin(f"{package.name} {package.version}"),
    )


def merged_usr(suite: str, architecture: str) -> tuple[Action, ...]:
    """What makes /bin, /lib and their kin links into /usr, for suites where they are."""
    if suite.partition("-")[0].partition("/")[0] in _UNMERGED:
        return ()
    actions: list[Action] = []
    for name in ("bin", "lib", *_LIBRARY_FOLDERS.get(architecture, ()), "sbin"):
        actions += [MakeFolderAction(f"/usr/{name}"), MakeLinkAction(f"/{name}", f"usr/{name}")]
    return tuple(actions)


def _shelf(
    first: Sequence[DebianPackage],
    rest: Sequence[DebianPackage],
    debs: dict[str, FetchSource],
    epoch: int,
    asked: Asked,
) -> Step:
    """A tree of the packages, `first/` apart from `rest/`, numbered in the order of the lock."""
    actions: list[Action] = [MakeFolderAction("/first"), MakeFolderAction("/rest")]
    for folder, packages in (("first", first), ("rest", rest)):
        for n, package in enumerate(packages):
            name = package.filename
            dest = f"/{folder}/{n:05}_{name}"
            actions.append(CopyAction(source=debs[name], paths=(name,), dest=dest, wildcards=False))
    return FileOp(None, tuple(actions), epoch, origin=asked.origin(f"{len(debs)} packages"))


def _literal_files(target: d.DebianRootTarget, asked: Asked) -> tuple[Action, ...]:
    """Docker's conveniences of its Debian images, and the sources that the packages came from."""
    origin = asked.origin("configuration of apt and dpkg")
    return tuple(
        CopyAction(
            source=LiteralSource((LiteralFile(os.path.basename(path), text.encode(), mode),), origin=origin),
            paths=(os.path.basename(path),),
            dest=path,
            wildcards=False,
        )
        for path, mode, text in (
            ("/usr/sbin/policy-rc.d", 0o755, _POLICY),
            ("/etc/apt/apt.conf.d/docker-autoremove-suggests", 0o644, _AUTOREMOVE),
            ("/etc/apt/apt.conf.d/docker-clean", 0o644, _CLEAN),
            ("/etc/apt/apt.conf.d/docker-gzip-indexes", 0o644, _GZIP_INDEXES),
            ("/etc/apt/apt.conf.d/docker-no-languages", 0o644, _NO_LANGUAGES),
            ("/etc/apt/sources.list.d/debian.sources", 0o644, sources(target.suites, target.components)),
            ("/etc/dpkg/dpkg.cfg.d/docker-apt-speedup", 0o644, _UNSAFE_IO),
        )
    )


def sources(suites: Sequence[str], components: Sequence[str]) -> str:
    """The content of a deb822 sources file (sources.list(5)): a paragraph an archive."""
    paragraphs = []
    for archive, uri in _MIRRORS.items():
        own = [s for s in suites if archive_of(s) == archive]
        if own:
            paragraphs.append(
                f"Types: deb\nURIs: {uri}\nSuites: {' '.join(own)}\nComponents: {' '.join(components)}\n"
                "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
            )
    return "\n".join(paragraphs)


@cache
def _script() -> str:
    with open(os.path.join(os.path.dirname(__file__), "install_root.sh"), encoding="utf-8") as file:
        return file.read()


_POLICY = "#!/bin/sh\n# No service is started in a container's build (policy-rc.d(8)).\nexit 101\n"

_AUTOREMOVE = 'Apt::AutoRemove::SuggestsImportant "false";\n'

_EMPTY_CACHE = "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb || true"

_CLEAN = f"""\
DPkg::Post-Invoke {{ "{_EMPTY_CACHE}"; }};
APT::Update::Post-Invoke {{ "{_EMPTY_CACHE}"; }};
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""

_GZIP_INDEXES = 'Acquire::GzipIndexes "true";\n'

_NO_LANGUAGES = 'Acquire::Languages "none";\n'

_UNSAFE_IO = "force-unsafe-io\n"
