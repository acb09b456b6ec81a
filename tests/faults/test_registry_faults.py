"""A registry behind a proxy that breaks things: pushes and pulls end right, or say where and why."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.digest import Digest, sha256
from buildtool.proxy import Proxies
from buildtool.registry.client import Registries
from buildtool.registry.credentials import Keyring
from buildtool.registry.pools import Pools
from buildtool.registry.pull import Puller
from buildtool.registry.push import Pusher
from buildtool.registry.reference import parse_reference
from buildtool.registry.settings import Settings
from buildtool.registry.wire import Wire
from buildtool.store import Store
from tests.support.docker_registry import docker_registry
from tests.support.fault_proxy import Fault, Proxy, Rule, fault_proxy
from tests.support.images import layer, put_image
from tests.support.served_store import served

LAYERS = [layer(big=os.urandom(5 << 20)), layer(small=b"small")]
#: Those that go away by themselves, once they have struck so many requests in a row.
PASSING = {
    "500": Fault(answer=(500, {})),
    "503": Fault(answer=(503, {"Retry-After": "1"})),
    "429": Fault(answer=(429, {"Retry-After": "2"})),
    "reset": Fault(cut_request=0, cut_answer=0),
    "truncated": Fault(cut_answer=1000, cut_request=100_000),
    "slow": Fault(slow=1.0),
    "lost location": Fault(headers={"Location": None}),
}
#: Those that never end right where they stay.
LASTING = {
    "redirect": Fault(answer=(307, {"Location": "http://127.0.0.3:9/v2/elsewhere"})),
    "redirect to a file": Fault(answer=(301, {"Location": "file:///etc/passwd"})),
    "wrong digest": Fault(headers={"Docker-Content-Digest": f"sha256:{'5' * 64}"}),
    "forbidden": Fault(answer=(403, {})),
}


class Client:
    def __init__(self, address: str, silence: float = 0.5) -> None:
        self.pauses: list[float] = []
        wire = Wire(Keyring({}), Pools(Proxies({}), {}, silence=silence), pause=self.pauses.append)
        self.registries = Registries(lambda: (wire, Settings()))
        self.reference = parse_reference(f"{address}/team/app:1")

    def push(self, store: Store) -> None:
        Pusher(self.registries.writing(self.reference), store.blobs).push(put_image(store, LAYERS), ("1",))

    def pull(self, store: Store) -> None:
        puller = Puller(self.registries, self.reference, store.blobs)
        puller.everything(puller.document(), lambda done, total: None)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with docker_registry(tmp_path / "registry") as address:
        yield address


@pytest.fixture
def proxy(registry: str) -> Iterator[Proxy]:
    with fault_proxy(registry) as found:
        yield found


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    with Store.open(str(tmp_path / "one")) as one, Store.open(str(tmp_path / "two")) as two:
        yield one, two


def now_and_then(fault: Fault) -> Rule:
    """The fault strikes some requests, ever rarer, so that whatever is tried again goes right in the end."""
    return lambda method, path, number: fault if number in (0, 2, 5, 9, 14, 20) else None


def always(fault: Fault, *methods: str) -> Rule:
    return lambda method, path, number: fault if method in methods else None


def all_right(store: Store) -> None:
    """Every blob of a store has the digest that it is called by."""
    for digest in store.blobs.digests():
        assert sha256(Path(store.blobs.path(digest)).read_bytes()) == digest


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_outlived(proxy: Proxy, stores: tuple[Store, Store], name: str) -> None:
    proxy.rule = now_and_then(PASSING[name])
    client = Client(proxy.address)
    client.push(stores[0])
    client.pull(stores[1])
    assert sorted(stores[1].blobs.digests()) == sorted(stores[0].blobs.digests())
    all_right(stores[1])
    if name in ("503", "429"):
        assert {1.0, 2.0} & set(client.pauses)


@pytest.mark.parametrize("name", [*LASTING, "500", "reset", "slow"])
def test_what_stays_is_told(registry: str, proxy: Proxy, stores: tuple[Store, Store], name: str) -> None:
    fault = LASTING.get(name) or PASSING[name]
    Client(registry).push(stores[0])
    proxy.rule = always(fault, "GET")
    with pytest.raises(BuildError) as pulled:
        Client(proxy.address).pull(stores[1])
    proxy.rule = always(fault, "PUT", "PATCH", "POST")
    client = Client(proxy.address)
    client.reference = parse_reference(f"{proxy.address}/team/other:1")
    with pytest.raises(BuildError) as pushed:
        client.push(stores[0])
    for caught, path in ((pulled, "team/app"), (pushed, "team/other")):
        assert f"{proxy.address}/{path}" in caught.value.message
        assert caught.value.code.startswith("registry-")
        assert caught.value.message.count(": ") >= 1
    assert list(stores[1].blobs.digests()) == []


def test_a_401_in_the_middle(proxy: Proxy, stores: tuple[Store, Store]) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{proxy.address}/token"'}
    proxy.rule = lambda method, path, number: Fault(answer=(401, challenge)) if method == "PATCH" else None
    with pytest.raises(BuildError) as caught:
        Client(proxy.address).push(stores[0])
    assert f"{proxy.address}/team/app" in caught.value.message
    assert "gives tokens" in caught.value.message


def test_finished_blobs_are_not_sent_again(proxy: Proxy, stores: tuple[Store, Store]) -> None:
    patches: list[int] = []

    def rule(method: str, path: str, number: int) -> Fault | None:
        if method == "PATCH":
            patches.append(number)
            return Fault(cut_request=1 << 20) if len(patches) == 1 else None
        return None

    proxy.rule = rule
    Client(proxy.address).push(stores[0])
    size = sum(map(len, LAYERS))
    # This registry forgets a request that broke off; it is the only one that is sent anew.
    assert size + (1 << 20) <= proxy.sent < size + (2 << 20)
    before = proxy.sent
    Client(proxy.address).push(stores[0])
    assert proxy.sent - before < 10_000


@pytest.mark.parametrize(
    "size", [64 << 20, pytest.param(1 << 30, marks=pytest.mark.soak, id="1G")], ids=lambda n: f"{n >> 20}M"
)
def test_a_big_push_goes_on_where_it_was_cut(tmp_path: Path, stores: tuple[Store, Store], size: int) -> None:
    source, target = stores
    chance = random.Random(size)
    piece = chance.randbytes(1 << 20)
    with source.blobs.writer() as out:
        for number in range(size >> 20):
            out.write(number.to_bytes(8, "big") + piece[8:])
    top = put_image(source, [])
    cuts = [chance.randrange(1, size) for _ in range(3)]
    left = list(cuts)

    def rule(method: str, path: str, number: int) -> Fault | None:
        if method == "PATCH" and left:
            return Fault(cut_request=left.pop())
        return None

    with served(target) as address, fault_proxy(address) as proxy:
        proxy.rule = rule
        client = Client(proxy.address, silence=60)
        repository = client.registries.writing(client.reference)
        from buildtool.oci.model import LAYER, Descriptor

        blob = Descriptor(LAYER, out.digest, size)
        repository.upload(blob, lambda: source.blobs.open(blob.digest), lambda done, total: None)
        assert proxy.sent <= size + (len(cuts) << 17)
        assert target.blobs.size(Digest(blob.digest)) == size
        assert top.digest not in set(target.blobs.digests())
