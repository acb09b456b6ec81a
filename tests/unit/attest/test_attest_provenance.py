"""Provenance of a graph: every input by its digest, every step with the network that it reached."""

from typing import Any

from buildtool.attest.provenance import differences, provenance
from buildtool.attest.statement import document
from buildtool.digest import sha256
from buildtool.graph.model import (
    CopyAction,
    FetchSource,
    FileOp,
    GitSource,
    Image,
    ImageConfig,
    ImageSource,
    LocalSource,
    Origin,
    Platform,
    Run,
)
from buildtool.lock.debian import DebianPackage
from buildtool.lock.exchanges import Exchange, run_pins
from buildtool.lock.model import DebianPins, Lock
from buildtool.lock.npm import NodeArchive

A, B, C, D = (sha256(text) for text in (b"a", b"b", b"c", b"d"))
DIGEST = sha256(b"the image")
PLATFORM = Platform("linux", "amd64")

#: With an epoch, whose version no file name tells.
PACKAGE = DebianPackage("zlib1g", "1:1.2.13", "amd64", "debian", "pool/z/zlib1g_1.2.13_amd64.deb", 5, B)


def graph(*, listing: str = "1234") -> tuple[Image, Lock, dict[str, str], Any]:
    base = ImageSource(A, (), reference="docker.io/library/debian:12")
    sources = (
        LocalSource(("src", "lib"), ("*.o",), folder="/home/somebody/secret-project"),
        FetchSource(B, "z.deb", urls=PACKAGE.urls),
        FetchSource(
            C, "ms.tgz", urls=(NodeArchive("npm:ms/-/ms-2.1.3.tgz", "sha1-" + "A" * 27 + "=").place,)
        ),
        FetchSource(D, "f", urls=("https://me:canary@example.org/f?token=canary&a=1",)),
        GitSource("https://me:canary@example.org/x.git", "0" * 40),
    )
    copies = tuple(CopyAction(source, ("",), "/") for source in sources)
    copy = FileOp(base, copies, 0, Origin("COPY everything"))
    offline = Run(copy, ("true",), (), "/", "", 0, origin=Origin("RUN true"))
    online = Run(offline, ("apt",), (), "/", "", 0, place="last 2", origin=Origin("RUN apt"))
    host = Run(online, ("curl",), (), "/", "", 0, network="host", origin=Origin("RUN curl"))
    request = ("bookworm",), ("main",), "amd64", ("zlib1g",), "custom", None, (), (PACKAGE,)
    exchanges = (
        Exchange("GET", "debian:pool/main/a/apt/apt_2.6.1_amd64.deb", 200, 3, sha256(b"apt")),
        Exchange("GET", "debian:dists/bookworm/InRelease", 200, 3, sha256(b"in")),
        Exchange("HEAD", "https://example.org/", 200, 9, None),
        Exchange("GET", "https://example.org/", 304, 0, None),
    )
    lock = Lock(
        debian={"//:root amd64": DebianPins(*request)},
        runs={
            "last 2": run_pins("key", 1_700_000_000, exchanges),
            "other 1": run_pins("k", 1, (Exchange("GET", "https://example.org/not-ours", 200, 1, A),)),
        },
    )
    image = Image(host, ImageConfig(), PLATFORM, 0)
    networks = {"RUN true": "none", "RUN apt": "recorded", "RUN curl": "host"}
    return image, lock, networks, lambda source: listing


def test_every_input_and_every_step_is_told() -> None:
    image, lock, networks, content = graph()
    statement = provenance(DIGEST, image, {"dockerfile": "Dockerfile"}, lock, networks, content)
    definition = statement.predicate["buildDefinition"]
    assert definition["internalParameters"]["steps"] == [
        {"kind": "FileOp", "title": "COPY everything", "hermetic": True, "network": "none"},
        {"kind": "Run", "title": "RUN true", "hermetic": True, "network": "none"},
        {"kind": "Run", "title": "RUN apt", "hermetic": True, "network": "recorded"},
        {"kind": "Run", "title": "RUN curl", "hermetic": False, "network": "host"},
    ]
    inputs = definition["resolvedDependencies"]
    assert [one.get("uri", one.get("name")) for one in inputs] == [
        "files src, lib",
        "debian:dists/bookworm/InRelease",
        "git+https://example.org/x.git",
        "https://example.org/f?a=1",
        "pkg:deb/debian/apt@2.6.1?arch=amd64",
        "pkg:deb/debian/zlib1g@1:1.2.13?arch=amd64",
        "pkg:docker/library/debian@12",
        "pkg:npm/ms@2.1.3",
    ]
    digests = {one.get("uri", one.get("name")): one["digest"] for one in inputs}
    assert digests["pkg:docker/library/debian@12"] == {"sha256": A[7:]}
    assert digests["git+https://example.org/x.git"] == {"gitCommit": "0" * 40}
    assert digests["files src, lib"] == {"buildtoolListing": "1234"}
    text = document(statement)
    assert text == document(provenance(DIGEST, *graph()[:1], {"dockerfile": "Dockerfile"}, *graph()[1:]))
    for secret in (b"canary", b"somebody", b"not-ours"):
        assert secret not in text


def test_what_two_builds_had_otherwise() -> None:
    image, lock, networks, content = graph()
    old = provenance(DIGEST, image, {"target": "a"}, lock, networks, content)
    again = graph(listing="5678")
    new = provenance(DIGEST, again[0], {"target": "b"}, Lock(), networks, again[3])
    assert differences(old, old) == []
    rows = differences(old, new)
    assert "parameter target: 'a' -> 'b'" in rows
    assert "files src, lib: 1234 -> 5678" in rows
    assert "debian:dists/bookworm/InRelease: no longer an input" in rows
