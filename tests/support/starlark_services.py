"""Services of the Starlark frontend for tests: canned packages, images, Dockerfiles; nothing is fetched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from buildtool.diag import BuildError, Span
from buildtool.digest import Digest
from buildtool.graph.model import Image, ImageConfig, LiteralFile, LiteralSource, Platform
from buildtool.lock.debian import DebianPackage, DebianRequest


class NoServices:
    """Refuses everything, as no target of the test should ask."""

    def dockerfile(
        self,
        path: str,
        folder: str,
        contexts: Mapping[str, Image | str],
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


@dataclass
class CannedServices(NoServices):
    """Answers with what it was given, and keeps what it was asked."""

    packages: Sequence[DebianPackage] = ()
    dockerfiles: list[tuple[object, ...]] = field(default_factory=list)
    requests: list[DebianRequest] = field(default_factory=list)

    def dockerfile(
        self,
        path: str,
        folder: str,
        contexts: Mapping[str, Image | str],
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
