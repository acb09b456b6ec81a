"""Transfers with a registry that misbehaves: they end right, or in an error that says where and why."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.digest import Digest, sha256
from buildtool.oci.model import CONFIG, INDEX, LAYER, MANIFEST, Descriptor, IndexRecord, Manifest, encode
from buildtool.proxy import Proxies
from buildtool.registry.client import Registries
from buildtool.registry.credentials import Credential, Keyring
from buildtool.registry.fault import Fault
from buildtool.registry.pools import Pools
from buildtool.registry.pull import Puller
from buildtool.registry.push import Pusher
from buildtool.registry.reference import parse_reference
from buildtool.registry.repository import Repository
from buildtool.registry.settings import Mirror, Rule, Settings
from buildtool.registry.wire import Wire
from buildtool.store import Store
from tests.support.scripted_registry import Answer, Registry, Script, Seen, serving

BIG = os.urandom(9 << 20)
CANARY = "canary-5f1d"


def ignored(done: int, total: int | None) -> None:
    """Nobody listens."""


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving() as found:
        yield found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "store")) as found:
        yield found


class Machine:
    """A client set up by hand, and the pauses that it would have made."""

    def __init__(
        self, *rules: Rule, fixed: dict[str, Credential] | None = None, silence: float = 5.0
    ) -> None:
        self.pauses: list[float] = []
        pools = Pools(Proxies({}), {}, silence=silence)
        wire = Wire(Keyring({}, fixed=fixed), pools, pause=self.pauses.append)
        self.registries = Registries(lambda: (wire, Settings(rules)))

    def repository(self, registry: Registry, path: str = "team/app") -> Repository:
        return self.registries.writing(parse_reference(f"{registry.address}/{path}"))


def descriptor(data: bytes, kind: str = LAYER) -> Descriptor:
    return Descriptor(kind, sha256(data), len(data))


def image(store: Store, *layers: bytes) -> Descriptor:
    """An image among the blobs of a store."""
    diff_ids = ",".join(f'"{sha256(layer)}"' for layer in layers)
    config = (
        f'{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}'
    ).encode()
    for data in (config, *layers):
        store.blobs.put(data)
    manifest = encode(
        Manifest(2, descriptor(config, CONFIG), tuple(descriptor(layer) for layer in layers), MANIFEST)
    )
    store.blobs.put(manifest)
    return descriptor(manifest, MANIFEST)


def download(machine: Machine, registry: Registry, store: Store, digest: str, size: int) -> None:
    with store.blobs.writer(Digest(digest)) as out:
        blob = Descriptor(LAYER, Digest(digest), size)
        machine.repository(registry).read_blob(blob, out.write, ignored)


def once(answer: Answer, when: Callable[[Seen], bool] = lambda seen: True) -> Script:
    """The answer to the first request that fits; all others are served."""
    left = [answer]
    return lambda seen: left.pop() if left and when(seen) else None


def times(count: int, answer: Answer, when: Callable[[Seen], bool] = lambda seen: True) -> Script:
    left = [answer] * count
    return lambda seen: left.pop() if left and when(seen) else None


# ---------------------------------------------------------------- downloads


def test_a_download_goes_on_where_it_was_cut(registry: Registry, store: Store) -> None:
    digest = registry.add_blob(BIG)
    cuts = [3 << 20, 1 << 20]

    def script(seen: Seen) -> Answer | None:
        if seen.method != "GET" or not cuts:
            return None
        registry.script, kept = (lambda s: None), registry.script
        answer = registry.answer(seen)
        registry.seen.pop()
        registry.script = kept
        answer.cut = cuts.pop()
        return answer

    registry.script = script
    machine = Machine()
    download(machine, registry, store, digest, len(BIG))
    assert store.blobs.read(Digest(digest), 1 << 30) == BIG
    ranges = [s.headers.get("range") for s in registry.methods("GET")]
    assert ranges[0] is None
    assert len(ranges) == 3
    assert all(r and not r.startswith("bytes=0-") for r in ranges[1:])
    assert machine.pauses == [0.5, 0.5]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_busy_registry_is_asked_again(registry: Registry, store: Store, status: int) -> None:
    digest = registry.add_blob(b"x" * 1000)
    registry.script = times(2, Answer(status, {"Retry-After": "7"}), lambda s: s.method == "GET")
    machine = Machine()
    download(machine, registry, store, digest, 1000)
    assert machine.pauses == [7.0, 7.0]


def test_retry_after_is_bounded(registry: Registry, store: Store) -> None:
    digest = registry.add_blob(b"x")
    registry.script = once(Answer(429, {"Retry-After": "86400"}), lambda s: s.method == "GET")
    machine = Machine()
    download(machine, registry, store, digest, 1)
    assert machine.pauses == [30.0]


def test_a_registry_that_stays_broken_is_given_up(registry: Registry, store: Store) -> None:
    digest = registry.add_blob(b"x")
    registry.script = lambda seen: Answer(500, {}, b'{"errors":[{"message":"disk  on\\nfire"}]}')
    with pytest.raises(Fault, match=r"status 500\): disk on fire"):
        download(Machine(), registry, store, digest, 1)
    assert len(registry.methods("GET")) == 4
    assert list(store.blobs.digests()) == []


def test_silence_is_a_fault(registry: Registry, store: Store) -> None:
    import threading

    digest = registry.add_blob(b"x")
    stop = threading.Event()
    registry.script = lambda seen: Answer(404) if stop.wait(2) else None
    machine = Machine(silence=0.05)
    with pytest.raises(Fault, match="fell silent"):
        download(machine, registry, store, digest, 1)
    stop.set()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(200, {}, b"x" * 11), "sends more than the 10 bytes"),
        (Answer(200, {"Docker-Content-Digest": "sha256:" + "0" * 64}, b"x" * 10), "says sha256:000"),
        (Answer(206, {"Content-Range": "bytes 5-14/20"}, b"x" * 10), "another range"),
        (Answer(302, {"Location": "file:///etc/passwd"}), "no web address"),
        (Answer(302, {"Location": "/v2/"}, b""), "redirects more than 10 times"),
    ],
)
def test_what_a_blob_may_not_be(registry: Registry, store: Store, answer: Answer, why: str) -> None:
    digest = registry.add_blob(b"y" * 10)
    registry.script = lambda seen: answer if seen.method == "GET" else None
    with pytest.raises(Fault, match=why):
        download(Machine(), registry, store, digest, 10)
    assert list(store.blobs.digests()) == []


def test_other_bytes_are_not_kept(registry: Registry, store: Store) -> None:
    digest = registry.add_blob(b"y" * 10)
    registry.blobs[digest] = b"z" * 10
    registry.script = lambda seen: Answer(200, {}, b"z" * 10) if seen.method == "GET" else None
    with pytest.raises(BuildError, match="expected sha256"):
        download(Machine(), registry, store, digest, 10)
    assert list(store.blobs.digests()) == []


# ---------------------------------------------------------------- whose credentials


def test_credentials_stay_at_the_registry(registry: Registry, store: Store) -> None:
    with serving("127.0.0.2") as foreign:
        digest = registry.add_blob(b"x" * 10)
        foreign.script = lambda seen: Answer(200, {}, b"x" * 10)

        def script(seen: Seen) -> Answer | None:
            if "authorization" not in seen.headers:
                return Answer(401, {"WWW-Authenticate": "Basic realm=r"})
            return Answer(307, {"Location": f"http://{foreign.address}/data"})

        registry.script = script
        machine = Machine(fixed={registry.address: Credential("me", CANARY)})
        download(machine, registry, store, digest, 10)
    assert registry.methods("GET")[-1].headers["authorization"].startswith("Basic ")
    assert foreign.seen
    assert all("authorization" not in seen.headers for seen in foreign.seen)


def test_a_foreign_challenge_is_not_heard(registry: Registry, store: Store) -> None:
    with serving("127.0.0.2") as foreign:
        digest = registry.add_blob(b"x")
        foreign.script = lambda seen: Answer(401, {"WWW-Authenticate": "Basic realm=r"})
        registry.script = lambda seen: Answer(307, {"Location": f"http://{foreign.address}/x"})
        machine = Machine(fixed={registry.address: Credential("me", CANARY)})
        with pytest.raises(Fault, match="status 401"):
            download(machine, registry, store, digest, 1)
    assert all("authorization" not in seen.headers for seen in (*foreign.seen, *registry.seen))


def test_uploads_elsewhere_have_no_credentials(registry: Registry, store: Store) -> None:
    with serving("127.0.0.2") as foreign:
        foreign.script = lambda seen: Answer(201)

        def script(seen: Seen) -> Answer | None:
            if "authorization" not in seen.headers:
                return Answer(401, {"WWW-Authenticate": "Basic realm=r"})
            return (
                Answer(202, {"Location": f"http://{foreign.address}/up"}) if seen.method == "POST" else None
            )

        registry.script = script
        machine = Machine(fixed={registry.address: Credential("me", CANARY)})
        digest = store.blobs.put(b"data")
        blob = Descriptor(LAYER, digest, 4)
        machine.repository(registry).upload(blob, lambda: store.blobs.open(digest), ignored)
    assert [s.body for s in foreign.seen] == [b"data"]
    assert all("authorization" not in seen.headers for seen in foreign.seen)


# ---------------------------------------------------------------- uploads


def upload(machine: Machine, registry: Registry, store: Store, data: bytes) -> str:
    digest = store.blobs.put(data)
    blob = Descriptor(LAYER, digest, len(data))
    machine.repository(registry).upload(blob, lambda: store.blobs.open(digest), ignored)
    return digest


def test_a_large_upload_goes_on_where_it_was_cut(registry: Registry, store: Store) -> None:
    cuts = [5 << 20, 2 << 20]
    registry.read_limit = lambda seen: cuts.pop() if seen.method == "PATCH" and cuts else None
    machine = Machine()
    digest = upload(machine, registry, store, BIG)
    assert registry.blobs[digest] == BIG
    assert sum(len(s.body) for s in registry.methods("PATCH")) == len(BIG)
    assert [s.headers.get("content-range") for s in registry.methods("PATCH")] == [
        None,
        f"{2 << 20}-{len(BIG) - 1}",
        f"{7 << 20}-{len(BIG) - 1}",
    ]
    assert len(registry.methods("POST")) == 1


def test_a_small_upload_is_one_request_and_begins_anew(registry: Registry, store: Store) -> None:
    registry.script = once(Answer(500), lambda s: s.method == "PUT")
    digest = upload(Machine(), registry, store, b"small")
    assert registry.blobs[digest] == b"small"
    assert registry.methods("PATCH") == []


def test_an_upload_that_the_registry_forgot_begins_anew(registry: Registry, store: Store) -> None:
    def script(seen: Seen) -> Answer | None:
        if seen.method == "PATCH" and len(registry.methods("PATCH")) == 1:
            registry.uploads.clear()
            return Answer(500)
        return None

    registry.script = script
    digest = upload(Machine(), registry, store, BIG)
    assert registry.blobs[digest] == BIG
    assert len(registry.methods("POST")) == 2


def test_a_lost_location_is_looked_for(registry: Registry, store: Store) -> None:
    def script(seen: Seen) -> Answer | None:
        if seen.method == "PATCH" and len(registry.methods("PATCH")) == 1:
            registry.uploads[seen.path.rpartition("/")[2]] += seen.body
            return Answer(202)
        return None

    registry.script = script
    digest = upload(Machine(), registry, store, BIG)
    assert registry.blobs[digest] == BIG
    assert len(registry.methods("PATCH")) == 1


def test_parts_where_one_request_is_too_large(registry: Registry, store: Store) -> None:
    data = BIG * 2
    registry.script = lambda s: (
        Answer(413) if s.method == "PATCH" and int(s.headers["content-length"]) > 16 << 20 else None
    )
    digest = upload(Machine(), registry, store, data)
    assert registry.blobs[digest] == data
    assert [s.headers.get("content-range") for s in registry.methods("PATCH")] == [
        None,
        f"0-{(16 << 20) - 1}",
        f"{16 << 20}-{len(data) - 1}",
    ]


def test_parts_of_a_size_that_is_set(registry: Registry, store: Store) -> None:
    machine = Machine(Rule(registry.address, chunk=4 << 20))
    digest = upload(machine, registry, store, BIG)
    assert registry.blobs[digest] == BIG
    assert [len(s.body) for s in registry.methods("PATCH")] == [4 << 20, 4 << 20, 1 << 20]


def test_a_401_in_the_middle_is_answered_with_another_token(registry: Registry, store: Store) -> None:
    tokens = iter(range(1, 100))

    def script(seen: Seen) -> Answer | None:
        if seen.path.startswith("/token"):
            return Answer(200, {}, b'{"token":"t%d"}' % next(tokens))
        wanted = "Bearer t2" if registry.methods("PATCH") else "Bearer t1"
        if seen.headers.get("authorization") != wanted:
            realm = f"http://{registry.address}/token"
            return Answer(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'})
        return None

    registry.script = script
    digest = upload(Machine(), registry, store, BIG)
    assert registry.blobs[digest] == BIG
    assert len(registry.uploads) == 1


def test_a_redirected_upload_is_refused(registry: Registry, store: Store) -> None:
    registry.script = lambda s: Answer(307, {"Location": "http://127.0.0.2/"}) if s.method == "PUT" else None
    with pytest.raises(Fault, match="status 307"):
        upload(Machine(), registry, store, b"small")


# ---------------------------------------------------------------- images


def test_push_and_pull(registry: Registry, store: Store, tmp_path: Path) -> None:
    top = image(store, BIG, b"second")
    machine = Machine()
    reference = parse_reference(f"{registry.address}/team/app:1")
    pushed = Pusher(machine.registries.writing(reference), store.blobs).push(top, ("1", "latest"))
    assert (pushed.uploaded, pushed.there, pushed.mounted) == (3, 0, 0)
    again = Pusher(machine.registries.writing(reference), store.blobs).push(top, ("1",))
    assert (again.uploaded, again.there, again.size) == (0, 3, 0)

    with Store.open(str(tmp_path / "other")) as other:
        puller = Puller(machine.registries, reference, other.blobs)
        found = puller.document()
        seen: list[int] = []
        pulled = puller.everything(found, lambda done, total: seen.append(done))
        assert found == top
        assert sorted(other.blobs.digests()) == sorted(store.blobs.digests())
        assert seen[-1] == pulled.transferred > len(BIG)
        assert puller.everything(found, ignored).transferred == 0


def test_blobs_are_mounted_from_where_they_are_known_to_be(registry: Registry, store: Store) -> None:
    top = image(store, b"layer")
    repository = Machine().repository(registry)
    for digest in store.blobs.digests():
        registry.add_blob(store.blobs.read(digest, 1 << 20))
    registry.script = lambda s: Answer(404) if s.method == "HEAD" else None
    pushed = Pusher(repository, store.blobs, lambda digest: "other/app").push(top, ("1",))
    assert (pushed.mounted, pushed.uploaded) == (2, 0)
    assert all("from=other%2Fapp" in s.path for s in registry.methods("POST"))


def test_a_missing_blob_of_a_layer_with_urls_is_not_fetched_from_there(
    registry: Registry, store: Store
) -> None:
    with serving("127.0.0.2") as foreign:
        top = image(store, b"layer")
        data = store.blobs.read(top.digest, 1 << 20)
        urls = b'"urls":["http://%s/layer"],"size":5' % foreign.address.encode()
        changed = data.replace(b'"size":5', urls)
        assert changed != data
        registry.manifests["team/app", "1"] = (MANIFEST, changed)
        for digest in list(store.blobs.digests()):
            store.blobs.remove(digest)
        puller = Puller(Machine().registries, parse_reference(f"{registry.address}/team/app:1"), store.blobs)
        with pytest.raises(BuildError) as caught:
            puller.everything(puller.document(), ignored)
    assert caught.value.code == "not-in-registry"
    assert foreign.seen == []


def test_mirrors_go_first_and_need_not_be_right(registry: Registry, store: Store, tmp_path: Path) -> None:
    with serving("127.0.0.2") as mirror:
        top = image(store, b"layer")
        reference = parse_reference(f"{registry.address}/team/app:1")
        Pusher(Machine().registries.writing(reference), store.blobs).push(top, ("1",))
        mirror.blobs = dict.fromkeys(registry.blobs, b"wrong")
        mirror.manifests = {("m/app", v): found for (_, v), found in registry.manifests.items()}
        rule = Rule(f"{registry.address}/team", mirrors=(Mirror(f"{mirror.address}/m", insecure=True),))
        before = len(registry.seen)
        with Store.open(str(tmp_path / "other")) as other:
            puller = Puller(Machine(rule).registries, reference, other.blobs)
            puller.everything(puller.document(), ignored)
            assert sorted(other.blobs.digests()) == sorted(store.blobs.digests())
    assert mirror.seen
    assert [s.path for s in registry.seen[before:] if "manifests" in s.path] == []


def test_a_manifest_is_what_its_digest_says(registry: Registry, store: Store) -> None:
    data = store.blobs.read(image(store, b"layer").digest, 1 << 20)
    wrong = {"Content-Type": MANIFEST, "Docker-Content-Digest": "sha256:" + "1" * 64}
    registry.script = lambda s: Answer(200, wrong, data)
    with pytest.raises(Fault, match="says sha256:111"):
        Machine().repository(registry).manifest("1")
    registry.script = lambda s: Answer(200, {"Content-Type": MANIFEST}, data)
    with pytest.raises(Fault, match="serves other bytes than sha256:222"):
        Machine().repository(registry).manifest("sha256:" + "2" * 64)


def test_an_endless_manifest_is_not_read(registry: Registry) -> None:
    registry.script = lambda s: Answer(200, {"Content-Type": MANIFEST}, b" " * ((4 << 20) + 1))
    with pytest.raises(Fault, match="more than 4194304 bytes"):
        Machine().repository(registry).manifest("1")


def test_an_error_names_registry_repository_and_reason(registry: Registry, store: Store) -> None:
    registry.script = lambda s: Answer(403, {}, b'{"errors":[{"code":"DENIED","message":"not yours"}]}')
    reference = parse_reference(f"{registry.address}/team/app:1")
    with pytest.raises(BuildError) as caught:
        Puller(Machine().registries, reference, store.blobs).document()
    assert caught.value.code == "registry-denied"
    assert f"{registry.address}/team/app:1" in caught.value.message
    assert "not yours" in caught.value.message
    with pytest.raises(BuildError) as caught:
        Pusher(Machine().registries.writing(reference), store.blobs).push(image(store, b"x"), ("1",))
    assert f"{registry.address}/team/app" in caught.value.message


# ---------------------------------------------------------------- lists


def test_tags_come_in_pages(registry: Registry) -> None:
    def script(seen: Seen) -> Answer | None:
        if "last=b" in seen.path:
            return Answer(200, {}, b'{"name":"x","tags":["c","b"]}')
        return Answer(200, {"Link": '</v2/team/app/tags/list?last=b>; rel="next"'}, b'{"tags":["a","b"]}')

    registry.script = script
    assert Machine().repository(registry).tags() == ["a", "b", "c"]


def test_pages_without_end_are_given_up(registry: Registry) -> None:
    registry.script = lambda s: Answer(
        200, {"Link": '</v2/team/app/tags/list>; rel="next"'}, b'{"tags":null}'
    )
    with pytest.raises(Fault, match="more than 1000 pages"):
        Machine().repository(registry).tags()


def test_lists_without_end_are_given_up(registry: Registry) -> None:
    tags = b",".join(b'"t%d"' % number for number in range(100_001))
    registry.script = lambda s: Answer(200, {}, b'{"name":"x","tags":[%s]}' % tags)
    with pytest.raises(Fault, match="more than 100000 tags"):
        Machine().repository(registry).tags()
    entry = Descriptor(MANIFEST, sha256(b"1"), 1, artifact_type="application/x")
    index = encode(IndexRecord(2, (entry,) * 10_001, INDEX))
    registry.script = lambda s: Answer(200, {"Content-Type": INDEX}, index)
    with pytest.raises(Fault, match="more than 10000 referrers"):
        Machine().repository(registry).referrers(sha256(b"subject"))


def test_the_next_page_of_a_stranger_gets_no_login(registry: Registry) -> None:
    with serving("127.0.0.2") as foreign:
        foreign.script = lambda s: Answer(200, {}, b'{"name":"x","tags":["theirs"]}')
        further = {"Link": f'<http://{foreign.address}/v2/team/app/tags/list>; rel="next"'}
        registry.script = lambda s: (
            Answer(200, further, b'{"name":"x","tags":["ours"]}')
            if "authorization" in s.headers
            else Answer(401, {"WWW-Authenticate": "Basic realm=r"})
        )
        fixed = {registry.address: Credential("user", CANARY)}
        assert Machine(fixed=fixed).repository(registry).tags() == ["ours", "theirs"]
        assert foreign.seen
        assert all("authorization" not in s.headers for s in foreign.seen)
    registry.script = lambda s: Answer(200, {"Link": '<file:///etc/passwd>; rel="next"'}, b'{"tags":["a"]}')
    with pytest.raises(Fault, match="no web address"):
        Machine().repository(registry).tags()


def test_indexes_without_end_are_refused(registry: Registry, store: Store) -> None:
    entry = image(store, b"layer")
    for _ in range(6):
        data = encode(IndexRecord(2, (entry,), INDEX))
        store.blobs.put(data)
        entry = descriptor(data, INDEX)
    many = tuple(Descriptor(MANIFEST, sha256(b"%d" % number), 1) for number in range(1001))
    wide = encode(IndexRecord(2, many, INDEX))
    reference = parse_reference(f"{registry.address}/team/app:1")
    for data, why in ((store.blobs.read(entry.digest, 1 << 20), "4 deep"), (wide, "more than 1000 images")):
        registry.manifests["team/app", "1"] = (INDEX, data)
        puller = Puller(Machine().registries, reference, store.blobs)
        with pytest.raises(BuildError, match=why) as caught:
            puller.everything(puller.document(), ignored)
        assert caught.value.code == "bad-document"


def test_referrers_by_api_and_by_tag(registry: Registry, store: Store) -> None:
    subject = sha256(b"subject")
    one = Descriptor(MANIFEST, sha256(b"1"), 1, artifact_type="application/x")
    two = Descriptor(MANIFEST, sha256(b"2"), 1, artifact_type="application/y")
    index = encode(IndexRecord(2, (one, two), INDEX))
    registry.script = lambda s: Answer(200, {"Content-Type": INDEX}, index)
    repository = Machine().repository(registry)
    assert list(repository.referrers(subject)) == [one, two]
    assert list(repository.referrers(subject, "application/y")) == [two]
    assert registry.seen[-1].path.endswith("?artifactType=application%2Fy")

    registry.script = lambda s: None
    assert list(repository.referrers(subject)) == []
    tag = f"sha256-{hashlib.sha256(b'subject').hexdigest()}"
    registry.manifests["team/app", tag] = (INDEX, index)
    assert list(repository.referrers(subject)) == [one, two]


def test_a_referrer_is_found_by_tag_where_there_is_no_api(registry: Registry, store: Store) -> None:
    subject = image(store, b"layer")
    referrer = image(store, b"statement")
    repository = Machine().repository(registry)
    Pusher(repository, store.blobs).refer(subject.digest, referrer)
    Pusher(repository, store.blobs).refer(subject.digest, referrer)
    assert [d.digest for d in repository.referrers(subject.digest)] == [referrer.digest]
