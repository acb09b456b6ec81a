"""Pins while a build asks for them."""

import threading
import time
from dataclasses import replace

import pytest

from buildtool.diag import BuildError
from buildtool.digest import Digest, sha256
from buildtool.lock.debian import DebianPackage, DebianRequest
from buildtool.lock.model import DebianPins, FilePin, Lock, ReleasePin, pins_of
from buildtool.lock.read import loads
from buildtool.lock.resolve import Pins
from buildtool.lock.write import dumps

REQUEST = DebianRequest("//:root", ("bookworm",), ("main",), "amd64", ("python3", "apt"))


class Resolver:
    """Answers with one package that tells how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[DebianRequest] = []

    def debian(self, request: DebianRequest) -> DebianPins:
        time.sleep(0.01)
        self.asked.append(request)
        package = DebianPackage(
            "apt", f"{len(self.asked)}.0", "amd64", "debian", "pool/a.deb", 1, sha256(b"")
        )
        return pins_of(request, (ReleasePin("debian", "bookworm", 5, sha256(b"r")),), (package,))


def test_a_missing_pin_is_found_once_and_recorded() -> None:
    resolver = Resolver()
    pins = Pins(Lock(), resolver)
    assert not pins.changed
    first = pins.debian(REQUEST)
    assert pins.debian(REQUEST) == first
    assert len(resolver.asked) == 1
    assert pins.changed
    again = Pins(pins.lock, resolver, locked=True)
    assert again.debian(REQUEST) == first
    assert not again.changed


@pytest.mark.parametrize(
    "changed",
    [
        replace(REQUEST, suites=("trixie",)),
        replace(REQUEST, suites=("bookworm", "bookworm-updates")),
        replace(REQUEST, components=("main", "contrib")),
        replace(REQUEST, packages=("python3",)),
        replace(REQUEST, packages=("python3", "apt=1.0")),
        replace(REQUEST, variant="essential"),
        replace(REQUEST, keyring=b"keys"),
    ],
)
def test_a_changed_request_is_resolved_anew(changed: DebianRequest) -> None:
    resolver = Resolver()
    pins = Pins(Lock(), resolver)
    pins.debian(REQUEST)
    assert pins.debian(changed)[0].version == "2.0"
    assert list(pins.lock.debian) == [REQUEST.id]
    locked = Pins(Pins(pins.lock, resolver).lock, resolver, locked=True)
    with pytest.raises(BuildError) as caught:
        locked.debian(REQUEST)
    assert caught.value.code == "lock-outdated"
    assert not locked.changed


def test_the_order_of_packages_is_no_change() -> None:
    resolver = Resolver()
    pins = Pins(Lock(), resolver)
    pins.debian(REQUEST)
    pins.debian(replace(REQUEST, packages=("apt", "python3")))
    assert len(resolver.asked) == 1


def test_architectures_have_pins_of_their_own() -> None:
    pins = Pins(Lock(), Resolver())
    pins.debian(REQUEST)
    pins.debian(replace(REQUEST, architecture="arm64"))
    assert sorted(pins.lock.debian) == ["//:root amd64", "//:root arm64"]


def test_unused_pins_stay() -> None:
    resolver = Resolver()
    other = replace(REQUEST, name="//:other")
    before = Pins(Lock(images={"x": sha256(b"")}), resolver)
    before.debian(other)
    after = Pins(before.lock, resolver)
    after.debian(REQUEST)
    assert other.id in after.lock.debian
    assert after.lock.images == {"x": sha256(b"")}


def test_locked_refuses_what_is_missing() -> None:
    resolver = Resolver()
    with pytest.raises(BuildError) as caught:
        Pins(Lock(), resolver, locked=True).debian(REQUEST)
    assert caught.value.code == "lock-outdated"
    assert "//:root (amd64) is not in the lock" in caught.value.message
    assert resolver.asked == []


def test_the_clock() -> None:
    pins = Pins(Lock(), Resolver())
    assert pins.clock(lambda: 7) == 7
    assert not pins.changed
    pins.record_clock(7)
    pins.record_clock(9)
    assert pins.changed
    assert pins.clock(lambda: 11) == 7
    locked = Pins(pins.lock, Resolver(), locked=True)
    locked.record_clock(13)
    assert not locked.changed
    with pytest.raises(BuildError, match="its clock is not in the lock"):
        Pins(Lock(), Resolver(), locked=True).record_clock(13)


def test_threads_resolve_once() -> None:
    resolver = Resolver()
    pins = Pins(Lock(), resolver)
    threads = [threading.Thread(target=pins.debian, args=(REQUEST,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(resolver.asked) == 1


def test_the_dates_of_releases_newest_first() -> None:
    pins = Pins(Lock(), Resolver())
    pins.debian(REQUEST)
    pins.debian(replace(REQUEST, architecture="arm64"))
    assert pins.lock.instants() == (5,)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"packages": ("Python",)}, "'Python' is not a package's name"),
        ({"packages": ("a b",)}, "not a package's name"),
        ({"packages": ("python3=",)}, "'' is not a version"),
        ({"packages": ("--force",)}, "not a package's name"),
        ({"suites": ()}, "no suite"),
        ({"suites": ("../x",)}, "'../x' is not a suite"),
        ({"components": ("Main",)}, "not a component"),
        ({"components": ()}, "no component"),
        ({"architecture": "AMD64"}, "no architecture"),
        ({"name": ""}, "no name"),
        ({"variant": "minbas"}, "not a variant"),
    ],
)
def test_wrong_requests(change: dict[str, object], told: str) -> None:
    with pytest.raises(BuildError, match=told) as caught:
        replace(REQUEST, **change)  # type: ignore[arg-type]
    assert caught.value.code == "bad-debian-request"


# ---------------------------------------------------------------- files and commits


class Elsewhere(Resolver):
    """Files and commits that move each time they are asked for."""

    def file(self, url: str, expect: Digest | None) -> FilePin:
        self.urls = [*getattr(self, "urls", []), url]
        return FilePin(expect or sha256(str(len(self.urls)).encode()), 1, 5)

    def commit(self, url: str, ref: str) -> str:
        self.urls = [*getattr(self, "urls", []), f"{url}#{ref}"]
        return f"{len(self.urls):040x}"


def test_a_file_is_pinned_by_its_address_without_credentials() -> None:
    resolver = Elsewhere()
    pins = Pins(Lock(), resolver)
    first = pins.file("https://me:secret@example.org/f?token=secret&v=1#x")
    assert pins.file("https://example.org/f?v=1") == first
    assert list(pins.lock.files) == ["https://example.org/f?v=1"]
    assert resolver.urls == ["https://me:secret@example.org/f?token=secret&v=1#x"]


def test_what_the_build_says_goes_before_the_lock() -> None:
    resolver = Elsewhere()
    pins = Pins(Lock(), resolver)
    pins.file("https://example.org/f")
    assert pins.file("https://example.org/f", sha256(b"new")).digest == sha256(b"new")
    first = pins.commit("https://example.org/x.git", "main")
    assert pins.commit("https://example.org/x.git", "main", first[:39]) == first
    with pytest.raises(BuildError) as caught:
        pins.commit("https://example.org/x.git", "main", "f")
    assert caught.value.code == "checksum-mismatch"
    locked = Pins(pins.lock, resolver, locked=True)
    assert locked.commit("https://example.org/x.git", "main") == first
    for wrong in (
        lambda: locked.file("https://example.org/f", sha256(b"other")),
        lambda: locked.file("https://example.org/g"),
        lambda: locked.commit("https://example.org/x.git", ""),
    ):
        with pytest.raises(BuildError) as caught:
            wrong()
        assert caught.value.code == "lock-outdated"


def test_files_and_commits_are_written_and_read() -> None:
    pins = Pins(Lock(), Elsewhere())
    pins.file("https://example.org/f")
    pins.commit("https://example.org/x.git", "")
    assert loads(dumps(pins.lock).encode(), "buildtool.lock") == pins.lock


@pytest.mark.parametrize(
    ("table", "value"),
    [
        ("files", f"{sha256(b'')} 1"),
        ("files", f"{sha256(b'')} -1 2026-01-01T00:00:00Z"),
        ("files", f"{sha256(b'')} 1 yesterday"),
        ("files", "sha256:00 1 2026-01-01T00:00:00Z"),
        ("git", "main"),
        ("git", "A" * 40),
    ],
)
def test_a_pin_that_a_hand_has_damaged_is_shown_with_its_line(table: str, value: str) -> None:
    text = f'format = 1\n\n[{table}]\n"https://example.org/x" = "{value}"\n'
    with pytest.raises(BuildError) as caught:
        loads(text.encode(), "buildtool.lock")
    assert caught.value.code == "lock-invalid"
    assert caught.value.span is not None
    assert caught.value.span.line == 4
