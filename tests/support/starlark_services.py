"""Services of the Starlark frontend for tests: canned packages, images, Dockerfiles; nothing is fetched."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from buildtool.diag import BuildError, Span
from buildtool.digest import Digest, sha256
from buildtool.graph.model import Image, ImageConfig, LiteralFile, LiteralSource, Platform
from buildtool.lock.debian import DebianPackage, DebianRequest
from buildtool.lock.model import FilePin
from buildtool.lock.npm import NodeArchive, NodePin
from buildtool.lock.pypi import PythonRequest, Wheel, normal_name


class NoServices:
    """Refuses everything, as no target of the test should ask."""

    def dockerfile(
        self,
        path: str,
        folder: str,
        contexts: Mapping[str, Callable[[Platform], Image] | str],
        build_args: Mapping[str, str],
        target: str | None,
        platform: Platform,
        epoch: int,
        span: Span | None,
    ) -> Image:
        raise BuildError("no-service", f"no Dockerfile is wanted here: {path}", span=span)

    def base_image(self, name: str, platform: Platform, span: Span | None) -> Image:
        raise BuildError("no-service", f"there is no image {name}", span=span)

    def debian_packages(self, request: DebianRequest, span: Span | None) -> Sequence[DebianPackage]:
        raise BuildError("no-service", "no Debian packages are wanted here", span=span)

    def python_packages(self, request: PythonRequest, span: Span | None) -> Sequence[Wheel]:
        raise BuildError("no-service", "no Python packages are wanted here", span=span)

    def node_packages(self, archives: Sequence[NodeArchive], span: Span | None) -> Sequence[NodePin]:
        raise BuildError("no-service", "no npm packages are wanted here", span=span)

    def file(self, url: str, checksum: Digest | None) -> FilePin:
        raise BuildError("no-service", f"no file is wanted here: {url}")

    def commit(self, url: str, ref: str, checksum: str) -> str:
        raise BuildError("no-service", f"no repository is wanted here: {url}")


@dataclass
class CannedServices(NoServices):
    """Answers with what it was given, and keeps what it was asked."""

    packages: Sequence[DebianPackage] = ()
    dockerfiles: list[tuple[object, ...]] = field(default_factory=list)
    requests: list[DebianRequest] = field(default_factory=list)
    python: list[PythonRequest] = field(default_factory=list)

    def dockerfile(
        self,
        path: str,
        folder: str,
        contexts: Mapping[str, Callable[[Platform], Image] | str],
        build_args: Mapping[str, str],
        target: str | None,
        platform: Platform,
        epoch: int,
        span: Span | None,
    ) -> Image:
        self.dockerfiles.append((path, folder, dict(contexts), dict(build_args), target))
        return Image(None, ImageConfig(), platform, epoch)

    def base_image(self, name: str, platform: Platform, span: Span | None) -> Image:
        source = LiteralSource((LiteralFile("name", name.encode()),))
        return Image(source, ImageConfig(env=(("PATH", "/bin"),)), platform, 0)

    def debian_packages(self, request: DebianRequest, span: Span | None) -> Sequence[DebianPackage]:
        self.requests.append(request)
        return self.packages

    def python_packages(self, request: PythonRequest, span: Span | None) -> Sequence[Wheel]:
        self.python.append(request)
        return [
            Wheel(name, "1.0", f"{name}-1.0-py3-none-any.whl", 10, sha256(name.encode()))
            for name in (normal_name(r.partition(" ")[0].partition(">")[0]) for r in request.requirements)
        ]

    def node_packages(self, archives: Sequence[NodeArchive], span: Span | None) -> Sequence[NodePin]:
        return [NodePin(a, 10, sha256(a.place.encode())) for a in archives]

    def file(self, url: str, checksum: Digest | None) -> FilePin:
        return FilePin(checksum or sha256(url.encode()), 10)

    def commit(self, url: str, ref: str, checksum: str) -> str:
        return "c" * 40


def debian_package(name: str, *, essential: bool = False, architecture: str = "amd64") -> DebianPackage:
    """A package that might be in the archive."""
    return DebianPackage(
        name=name,
        version="1.0",
        architecture=architecture,
        archive="debian",
        path=f"pool/main/{name[0]}/{name}/{name}_1.0_{architecture}.deb",
        size=1000,
        digest=Digest("sha256:" + name.encode().hex().ljust(64, "0")[:64]),
        essential=essential,
    )
