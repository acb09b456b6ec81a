"""Downloads, against a server on loopback that misbehaves."""

import threading
from pathlib import Path

import pytest

from buildtool.archives.fetch import Fetchers, HttpFetcher
from buildtool.archives.http import Web
from buildtool.archives.mirrors import Mirrors
from buildtool.diag import BuildError
from buildtool.digest import Digest, sha256
from buildtool.graph.model import FetchSource, ImageSource
from buildtool.proxy import Proxies
from buildtool.store import Store
from tests.support.debian_archive import serve

DATA = bytes(range(256)) * 5000
DIGEST = sha256(DATA)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "store"))


class Fetching:
    """A fetcher over a store, and the pauses that it would have made."""

    def __init__(self, store: Store, *bases: str) -> None:
        self.pauses: list[float] = []
        self.store = store
        mirrors = Mirrors({"debian": bases, "debian-security": ()}, snapshot="")
        self.fetcher = HttpFetcher(store.blobs, lambda: mirrors, Web(Proxies({})), self.pauses.append)

    def fetch(
        self, *urls: str, size: int = len(DATA), digest: Digest = DIGEST
    ) -> list[tuple[int, int | None]]:
        seen: list[tuple[int, int | None]] = []
        step = FetchSource(digest=digest, name="file", size=size, urls=urls)
        self.fetcher.fetch_file(step, lambda done, total: seen.append((done, total)))
        assert self.store.blobs.read(digest, 1 << 24) == DATA
        return seen


def test_a_file_arrives(store: Store) -> None:
    with serve({"f": DATA}) as server:
        fetching = Fetching(store)
        seen = fetching.fetch(f"{server.url}/f")
        assert seen[-1] == (len(DATA), len(DATA))
        fetching.fetch(f"{server.url}/f")
        assert server.asked == ["f"]
        assert server.headers[0]["Accept-Encoding"] == "identity"


def test_the_next_place_serves(store: Store) -> None:
    with serve({"two/f": DATA}) as server:
        Fetching(store, f"{server.url}/one", f"{server.url}/two").fetch("debian:f")
        assert server.asked == ["one/f", "two/f"]


def test_a_broken_transfer_goes_on_where_it_stopped(store: Store) -> None:
    with serve({"f": DATA}) as server:
        server.cut["f"] = 2
        fetching = Fetching(store)
        fetching.fetch(f"{server.url}/f", size=0)
        assert [h.get("Range") is not None for h in server.headers] == [False, True, True]
        assert fetching.pauses == [0.5, 1.0]


def test_a_server_without_ranges(store: Store) -> None:
    with serve({"f": DATA}) as server:
        server.cut["f"] = 1
        server.ranges = False
        Fetching(store).fetch(f"{server.url}/f")


def test_busy_servers_are_asked_again(store: Store) -> None:
    with serve({"f": DATA}) as server:
        server.refuse["f"] = [503, 429]
        Fetching(store).fetch(f"{server.url}/f")
        assert len(server.asked) == 3


def test_redirects(store: Store) -> None:
    with serve({"f": DATA}) as server:
        server.redirect["g"] = "/f"
        Fetching(store).fetch(f"{server.url}/g")
        assert server.asked == ["g", "f"]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/g", "more than 10 redirects"),
        ("file:///etc/passwd", "no web address"),
        ("", "more than 10 redirects"),
    ],
)
def test_bad_redirects(store: Store, target: str, why: str) -> None:
    with serve({}) as server:
        server.redirect["g"] = target
        with pytest.raises(BuildError) as caught:
            Fetching(store).fetch(f"{server.url}/g")
    assert caught.value.code == "download-failed"
    assert why in caught.value.notes[0].message


def test_credentials_stay_with_their_origin(store: Store) -> None:
    with serve({"f": DATA}) as server, serve({}) as first:
        first.redirect["g"] = f"{server.url}/f"
        host = first.url.removeprefix("http://")
        Fetching(store).fetch(f"http://me:s%20ecret@{host}/g")
        assert first.headers[0]["Authorization"] == "Basic bWU6cyBlY3JldA=="
        assert "Authorization" not in server.headers[0]


def test_a_failure_shows_no_credentials(store: Store) -> None:
    with serve({}) as server:
        host = server.url.removeprefix("http://")
        with pytest.raises(BuildError) as caught:
            Fetching(store).fetch(f"http://me:secret@{host}/g?token=abc")
    told = caught.value.message + "".join(n.message for n in caught.value.notes)
    assert "secret" not in told
    assert "abc" not in told


def test_other_bytes_are_never_stored(store: Store) -> None:
    with serve({"one/f": DATA[::-1], "two/f": DATA}) as server:
        wrong = Fetching(store, f"{server.url}/one")
        with pytest.raises(BuildError) as caught:
            wrong.fetch("debian:f")
        assert caught.value.code == "download-changed"
        assert not store.blobs.has(sha256(DATA[::-1]))
        Fetching(store, f"{server.url}/one", f"{server.url}/two").fetch("debian:f")


def test_a_file_larger_than_announced_is_cut_off(store: Store) -> None:
    with serve({"f": DATA}) as server, pytest.raises(BuildError) as caught:
        Fetching(store).fetch(f"{server.url}/f", size=1000)
    assert "larger than 1000 bytes" in caught.value.notes[0].message


def test_an_unreachable_mirror_is_tried_last_the_next_time(store: Store) -> None:
    with serve({"f": DATA}) as gone:
        dead = gone.url
    other = DATA + b"!"
    with serve({"f": DATA, "g": other}) as server:
        fetching = Fetching(store, dead, server.url)
        fetching.fetch("debian:f")
        assert len(fetching.pauses) == 2
        fetching.fetcher.fetch_blob(sha256(other), len(other), ("debian:g",), "g")
        assert len(fetching.pauses) == 2


def test_nowhere(store: Store) -> None:
    with serve({}) as server, pytest.raises(BuildError) as caught:
        Fetching(store).fetch(f"{server.url}/f")
    assert caught.value.exit_status == 1
    assert caught.value.notes[0].message == f"{server.url}/f: the server answers 404"


def test_many_threads(store: Store) -> None:
    files = {f"f{n}": DATA + bytes([n]) for n in range(16)}
    with serve(files) as server:
        fetching = Fetching(store, server.url)
        threads = [
            threading.Thread(
                target=fetching.fetcher.fetch_blob, args=(sha256(data), len(data), (f"debian:{name}",), name)
            )
            for name, data in files.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(store.blobs.has(sha256(data)) for data in files.values())


def test_layers_go_to_the_fetcher_of_their_scheme(store: Store) -> None:
    asked: list[str] = []

    class Layout:
        def fetch_layer(self, step: ImageSource, digest: Digest, advance: object) -> None:
            asked.append(step.location)

    fetchers = Fetchers(Fetching(store).fetcher, {"oci-layout": Layout()})
    fetchers.fetch_layer(ImageSource(DIGEST, (), location="oci-layout:/x"), DIGEST, lambda done, total: None)
    assert asked == ["oci-layout:/x"]
    with pytest.raises(BuildError) as caught:
        fetchers.fetch_layer(ImageSource(DIGEST, ()), DIGEST, lambda done, total: None)
    assert caught.value.code == "no-layer-source"
