"""Checks of Dockerfiles in tests: with base images that all exist, or are not to be had."""

from collections.abc import Mapping

from buildtool.diag import Span
from buildtool.digest import Digest, sha256
from buildtool.frontends.dockerfile.lint.check import Checked, check
from buildtool.frontends.dockerfile.request import Request
from buildtool.graph.model import Image, ImageConfig, ImageSource, Platform
from buildtool.lock.model import FilePin, Lock

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


class Bases:
    """Every image exists; `images` says more of some of them."""

    def __init__(self, images: Mapping[str, Image] | None = None) -> None:
        self.images = dict(images or {})

    def resolve(self, name: str, platform: Platform, span: Span | None) -> Image:
        return self.images.get(name) or image(platform=platform)

    def file(self, url: str, checksum: Digest | None) -> FilePin:
        raise AssertionError("a check downloads nothing")

    def commit(self, url: str, ref: str, checksum: str) -> str:
        raise AssertionError("a check asks no repository")


def image(config: ImageConfig | None = None, platform: Platform = AMD64) -> Image:
    """An image of one's own making."""
    return Image(ImageSource(sha256(b"image"), ()), config or ImageConfig(), platform, 0)


def checked(
    text: str,
    *,
    target: str = "",
    args: Mapping[str, str] | None = None,
    ignore: tuple[str, ...] = (),
    bases: Bases | None = None,
    lock: Lock | None = None,
) -> Checked:
    """What a check of the text finds; without `bases`, all images are there and set nothing."""
    request = Request(
        folder="context",
        epoch=0,
        target=target,
        build_args=args or {},
        ignore=ignore,
        platform=AMD64,
    )
    return check(text.encode(), request, bases or Bases(), lock=lock)


def broken(text: str, **options: object) -> list[tuple[str, int]]:
    """The names of the rules that are broken, each with the line where."""
    return [(f.rule.name, f.at.line) for f in checked(text, **options).findings]  # type: ignore[arg-type]


def warnings(text: str, **options: object) -> list[tuple[str, int]]:
    """As `broken`, of BuildKit's rules alone."""
    found = checked(text, **options).findings  # type: ignore[arg-type]
    return [(f.rule.name, f.at.line) for f in found if f.rule.severity == "warning"]
