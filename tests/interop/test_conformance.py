"""The checks of the distribution-spec's conformance suite, against `buildtool serve`.

The suite itself is a Go program; these are its specifications in its four categories
(pull, push, content discovery, content management), in its words and order, with what
the specification says besides.
"""

import hashlib
import http.client
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from buildtool.store import Store
from tests.support.served_store import served

NAME = "myorg/myrepo"
OTHER = "myorg/other"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
OCTETS = {"Content-Type": "application/octet-stream"}
DUMMY = "sha256:" + "0" * 64
EMPTY = b"{}"
TYPE_A, TYPE_B = "application/vnd.nhl.peanut.butter.bagel", "application/vnd.nba.strawberry.jam.croissant"
KEY = "org.opencontainers.conformance.test"
ERROR_CODES = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "MANIFEST_UNVERIFIED", "NAME_INVALID", "NAME_UNKNOWN",
    "SIZE_INVALID", "TAG_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED",
}  # fmt: skip


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the error that it is, which has to be one of the specification's."""
        (first, *_) = self.json["errors"]
        assert first["code"] in ERROR_CODES
        return str(first["code"])


class Client:
    def __init__(self, address: str) -> None:
        self.address = address
        self.connection = http.client.HTTPConnection(address, timeout=60)

    def __call__(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        self.connection.request(method, path, body, headers or {})
        response = self.connection.getresponse()
        data = response.read()
        return Reply(response.status, {n.lower(): v for n, v in response.getheaders()}, data)

    def put_blob(self, data: bytes, name: str = NAME) -> str:
        begun = self("POST", f"/v2/{name}/blobs/uploads/")
        assert begun.status == 202
        reply = self("PUT", with_digest(begun.headers["location"], data), data, OCTETS)
        assert reply.status == 201
        assert reply.headers["location"]
        return digest_of(data)

    def put_manifest(self, data: bytes, version: str, kind: str = MANIFEST, name: str = NAME) -> Reply:
        return self("PUT", f"/v2/{name}/manifests/{version}", data, {"Content-Type": kind})


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def with_digest(location: str, data: bytes) -> str:
    path = urlsplit(location).path
    return f"{path}?digest={quote(digest_of(data))}"


def descriptor(data: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}


def manifest(config: bytes, *layers: bytes, kind: str = "", **more: Any) -> bytes:
    kind = kind or "application/vnd.oci.image.config.v1+json"
    layer = "application/vnd.oci.image.layer.v1.tar+gzip"
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(config, kind),
        "layers": [descriptor(data, layer) for data in layers],
        **more,
    }
    return json.dumps(document).encode()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with Store.open(str(tmp_path / "store")) as store, served(store) as address:
        yield Client(address)


CONFIG, LAYER = b'{"author":"conformance"}', os.urandom(3000)
IMAGE = manifest(CONFIG, LAYER)


def put_image(client: Client, *tags: str) -> None:
    client.put_blob(CONFIG)
    client.put_blob(LAYER)
    for tag in tags:
        assert client.put_manifest(IMAGE, tag).status == 201


# ---------------------------------------------------------------- pull


def test_pull_blobs(client: Client) -> None:
    put_image(client, "tagtest0")
    base = f"/v2/{NAME}/blobs"
    assert client("GET", "/v2/").status == 200
    assert client("HEAD", f"{base}/{DUMMY}").status == 404
    head = client("HEAD", f"{base}/{digest_of(CONFIG)}")
    assert (head.status, head.headers["docker-content-digest"]) == (200, digest_of(CONFIG))
    assert (head.headers["content-length"], head.body) == (str(len(CONFIG)), b"")
    assert client("GET", f"{base}/{DUMMY}").code == "BLOB_UNKNOWN"
    got = client("GET", f"{base}/{digest_of(LAYER)}")
    assert (got.status, got.body) == (200, LAYER)


def test_pull_parts_of_blobs(client: Client) -> None:
    path = f"/v2/{NAME}/blobs/{client.put_blob(LAYER)}"
    part = client("GET", path, headers={"Range": "bytes=10-19"})
    assert (part.status, part.body, part.headers["content-range"]) == (206, LAYER[10:20], "bytes 10-19/3000")
    rest = client("GET", path, headers={"Range": "bytes=2990-"})
    assert (rest.status, rest.body) == (206, LAYER[2990:])
    assert client("GET", path, headers={"Range": "bytes=3000-"}).status == 416


def test_pull_manifests(client: Client) -> None:
    put_image(client, "tagtest0")
    base = f"/v2/{NAME}/manifests"
    assert client("HEAD", f"{base}/.INVALID_MANIFEST_NAME").status == 404
    assert client("GET", f"{base}/nothing").code == "MANIFEST_UNKNOWN"
    assert client("GET", f"{base}/{DUMMY}").code == "MANIFEST_UNKNOWN"
    for version in ("tagtest0", digest_of(IMAGE)):
        for method in ("HEAD", "GET"):
            reply = client(method, f"{base}/{version}", headers={"Accept": MANIFEST})
            assert reply.status == 200
            assert reply.headers["docker-content-digest"] == digest_of(IMAGE)
            assert reply.headers["content-type"] == MANIFEST
            assert reply.headers["content-length"] == str(len(IMAGE))
            assert reply.body == (IMAGE if method == "GET" else b"")


@pytest.mark.parametrize(
    ("version", "kind", "data", "code"),
    [
        ("sha256:totallywrong", MANIFEST, b"blablabla", "DIGEST_INVALID"),
        ("tag", MANIFEST, b"blablabla", "MANIFEST_INVALID"),
        ("tag", "text/plain", b"{}", "MANIFEST_INVALID"),
        ("tag", INDEX, IMAGE, "MANIFEST_INVALID"),
        ("tag", MANIFEST, manifest(b"missing"), "MANIFEST_BLOB_UNKNOWN"),
        ("-bad", MANIFEST, b"{}", "TAG_INVALID"),
        (DUMMY, MANIFEST, IMAGE, "DIGEST_INVALID"),
    ],
)
def test_error_codes(client: Client, version: str, kind: str, data: bytes, code: str) -> None:
    reply = client.put_manifest(data, version, kind)
    assert (reply.status, reply.code) == (400, code)


# ---------------------------------------------------------------- push


def test_push_blob_streamed(client: Client) -> None:
    begun = client("POST", f"/v2/{NAME}/blobs/uploads/")
    sent = client("PATCH", begun.headers["location"], LAYER, OCTETS)
    assert (sent.status, sent.headers["range"]) == (202, f"0-{len(LAYER) - 1}")
    ended = client("PUT", with_digest(sent.headers["location"], LAYER), b"", OCTETS)
    assert ended.status == 201
    assert client("GET", ended.headers["location"]).body == LAYER


def test_push_blob_in_chunked_encoding(client: Client) -> None:
    begun = client("POST", f"/v2/{NAME}/blobs/uploads/")
    pieces = iter([LAYER[:7], LAYER[7:2000], LAYER[2000:]])
    client.connection.request("PATCH", begun.headers["location"], pieces, OCTETS, encode_chunked=True)
    response = client.connection.getresponse()
    response.read()
    assert response.status == 202
    assert client("PUT", with_digest(begun.headers["location"], LAYER), b"", OCTETS).status == 201


def test_push_blob_monolithic(client: Client) -> None:
    path = f"/v2/{NAME}/blobs/{digest_of(CONFIG)}"
    assert client("GET", path).status == 404
    posted = client("POST", f"/v2/{NAME}/blobs/uploads/?digest={digest_of(CONFIG)}", CONFIG, OCTETS)
    assert (posted.status, posted.headers["location"]) == (201, path)
    assert client("GET", path).body == CONFIG
    client.put_blob(LAYER)
    assert client("GET", f"/v2/{NAME}/blobs/{digest_of(LAYER)}").status == 200


def test_push_blob_with_another_digest(client: Client) -> None:
    begun = client("POST", f"/v2/{NAME}/blobs/uploads/")
    reply = client("PUT", with_digest(begun.headers["location"], b"other"), b"data", OCTETS)
    assert (reply.status, reply.code) == (400, "DIGEST_INVALID")
    for data in (b"other", b"data"):
        assert client("GET", f"/v2/{NAME}/blobs/{digest_of(data)}").status == 404
    assert client("GET", begun.headers["location"]).code == "BLOB_UPLOAD_UNKNOWN"


def test_push_blob_chunked(client: Client) -> None:
    first, second = LAYER[:1000], LAYER[1000:]
    ranges = "0-999", f"1000-{len(LAYER) - 1}"
    begun = client("POST", f"/v2/{NAME}/blobs/uploads/")
    early = client("PATCH", begun.headers["location"], second, {**OCTETS, "Content-Range": ranges[1]})
    assert early.status == 416

    begun = client("POST", f"/v2/{NAME}/blobs/uploads/")
    one = client("PATCH", begun.headers["location"], first, {**OCTETS, "Content-Range": ranges[0]})
    assert (one.status, one.headers["range"]) == (202, "0-999")
    again = client("PATCH", begun.headers["location"], first, {**OCTETS, "Content-Range": ranges[0]})
    assert again.status == 416
    stale = client("GET", begun.headers["location"])
    assert (stale.status, stale.headers["range"]) == (204, "0-999")
    two = client("PATCH", stale.headers["location"], second, {**OCTETS, "Content-Range": ranges[1]})
    assert two.status == 202
    assert client("PUT", with_digest(two.headers["location"], LAYER), b"", OCTETS).status == 201
    assert client("GET", f"/v2/{NAME}/blobs/{digest_of(LAYER)}").body == LAYER


def test_the_last_chunk_may_come_with_the_digest(client: Client) -> None:
    begun = client("POST", f"/v2/{NAME}/blobs/uploads/")
    client("PATCH", begun.headers["location"], LAYER[:1000], {**OCTETS, "Content-Range": "0-999"})
    headers = {**OCTETS, "Content-Range": "1000-2999"}
    ended = client("PUT", with_digest(begun.headers["location"], LAYER), LAYER[1000:], headers)
    assert ended.status == 201


def test_a_cancelled_upload_is_gone(client: Client) -> None:
    begun = client("POST", f"/v2/{NAME}/blobs/uploads/")
    assert client("DELETE", begun.headers["location"]).status == 204
    assert client("PATCH", begun.headers["location"], b"x", OCTETS).code == "BLOB_UPLOAD_UNKNOWN"


def test_cross_repository_mount(client: Client) -> None:
    uploads = f"/v2/{OTHER}/blobs/uploads/"
    without = client("POST", f"{uploads}?mount={DUMMY}")
    assert (without.status, bool(without.headers["location"])) == (202, True)
    client.put_blob(LAYER)
    mounted = client("POST", f"{uploads}?mount={digest_of(LAYER)}&from={quote(NAME)}")
    assert (mounted.status, mounted.headers["location"]) == (201, f"/v2/{OTHER}/blobs/{digest_of(LAYER)}")
    assert client("GET", mounted.headers["location"]).body == LAYER
    missing = client("POST", f"{uploads}?mount={DUMMY}&from={quote(NAME)}")
    assert missing.status == 202
    assert missing.headers["location"].startswith(uploads)


def test_push_manifests(client: Client) -> None:
    put_image(client, *(f"test{n}" for n in range(4)))
    reply = client.put_manifest(manifest(CONFIG), "emptylayer")
    assert (reply.status, bool(reply.headers["location"])) == (201, True)
    assert reply.headers["docker-content-digest"] == digest_of(manifest(CONFIG))
    assert client("GET", f"/v2/{NAME}/manifests/{digest_of(IMAGE)}").status == 200
    too_large = client.put_manifest(b" " * ((4 << 20) + 1), "large")
    assert too_large.status == 413


def test_an_index_and_its_images(client: Client) -> None:
    put_image(client)
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(IMAGE, MANIFEST)]})
    assert client.put_manifest(index.encode(), "multi", INDEX).code == "MANIFEST_BLOB_UNKNOWN"
    assert client.put_manifest(IMAGE, digest_of(IMAGE)).status == 201
    assert client.put_manifest(index.encode(), "multi", INDEX).status == 201
    assert client("GET", f"/v2/{NAME}/manifests/multi").headers["content-type"] == INDEX
    assert client("GET", f"/v2/{NAME}/tags/list").json["tags"] == ["multi"]


# ---------------------------------------------------------------- content discovery


def test_discover_tags(client: Client) -> None:
    put_image(client, *(f"test{n}" for n in (3, 1, 0, 2)))
    path = f"/v2/{NAME}/tags/list"
    every = client("GET", path)
    assert every.json == {"name": NAME, "tags": ["test0", "test1", "test2", "test3"]}
    half = client("GET", f"{path}?n=2")
    assert half.json["tags"] == ["test0", "test1"]
    assert half.headers["link"] == f'<{path}?n=2&last=test1>; rel="next"'
    rest = client("GET", f"{path}?n=2&last=test1")
    assert rest.json["tags"] == ["test2", "test3"]
    assert "link" not in rest.headers
    assert client("GET", f"{path}?n=0").json["tags"] == []
    assert client("GET", f"/v2/{OTHER}/tags/list").json["tags"] == []
    assert client("GET", "/v2/_catalog").json == {"repositories": [NAME]}


def refer(client: Client, subject: bytes, blob: bytes, kind: str, note: str, *, by_config: bool) -> str:
    """Push a manifest about another one, its type told by its config or by itself; its digest."""
    client.put_blob(EMPTY)
    client.put_blob(blob)
    more: dict[str, Any] = {"subject": descriptor(subject, MANIFEST), "annotations": {KEY: note}}
    if by_config:
        data = manifest(blob, EMPTY, kind=kind, **more)
    else:
        empty = "application/vnd.oci.empty.v1+json"
        data = manifest(EMPTY, blob, kind=empty, artifactType=kind, **more)
    reply = client.put_manifest(data, digest_of(data))
    assert reply.status == 201
    assert reply.headers["oci-subject"] == digest_of(subject)
    return digest_of(data)


def test_discover_referrers(client: Client) -> None:
    path = f"/v2/{NAME}/referrers"
    nothing = client("GET", f"{path}/{DUMMY}")
    assert (nothing.status, nothing.headers["content-type"]) == (200, INDEX)
    assert nothing.json["manifests"] == []
    notes = {
        refer(client, IMAGE, b"NHL Peanut Butter on my NHL bagel", TYPE_A, "a1", by_config=True): "a1",
        refer(client, IMAGE, b"NHL Peanut Butter on my NHL bagel", TYPE_A, "a2", by_config=False): "a2",
    }
    put_image(client, "subject")
    notes |= {
        refer(client, IMAGE, b"NBA Strawberry Jam", TYPE_B, "b1", by_config=True): "b1",
        refer(client, IMAGE, b"NBA Strawberry Jam", TYPE_B, "b2", by_config=False): "b2",
    }
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "artifactType": "application/vnd.food.stand",
        "manifests": [],
        "subject": descriptor(IMAGE, MANIFEST),
        "annotations": {KEY: "index"},
    }
    data = json.dumps(index).encode()
    assert client.put_manifest(data, digest_of(data), INDEX).headers["oci-subject"] == digest_of(IMAGE)
    notes[digest_of(data)] = "index"
    orphan = refer(client, b"not there", b"c", TYPE_A, "c", by_config=False)

    found = client("GET", f"{path}/{digest_of(IMAGE)}")
    assert (found.status, found.headers["content-type"]) == (200, INDEX)
    assert {m["digest"]: m["annotations"][KEY] for m in found.json["manifests"]} == notes
    some = client("GET", f"{path}/{digest_of(IMAGE)}?artifactType={quote(TYPE_A, safe='')}")
    assert some.headers["oci-filters-applied"] == "artifactType"
    assert sorted(m["annotations"][KEY] for m in some.json["manifests"]) == ["a1", "a2"]
    assert {m["artifactType"] for m in some.json["manifests"]} == {TYPE_A}
    missing = client("GET", f"{path}/{digest_of(b'not there')}")
    assert [m["digest"] for m in missing.json["manifests"]] == [orphan]
    assert client("GET", f"/v2/{OTHER}/referrers/{digest_of(IMAGE)}").json["manifests"] == []


# ---------------------------------------------------------------- content management


def test_manage_manifests(client: Client) -> None:
    put_image(client, "tagtest0", "tagtest1", "tagtest2")
    base = f"/v2/{NAME}/manifests"
    assert client("DELETE", f"{base}/tagtest0").status == 202
    assert client("GET", f"{base}/tagtest0").status == 404
    assert client("DELETE", f"{base}/tagtest0").status == 404
    assert client("GET", f"/v2/{NAME}/tags/list").json["tags"] == ["tagtest1", "tagtest2"]
    assert client("DELETE", f"{base}/{digest_of(IMAGE)}").status == 202
    assert client("GET", f"{base}/{digest_of(IMAGE)}").status == 404
    assert client("GET", f"/v2/{NAME}/tags/list").json["tags"] == []


def test_manage_blobs(client: Client) -> None:
    put_image(client, "tagtest0")
    path = f"/v2/{NAME}/blobs/{digest_of(CONFIG)}"
    needed = client("DELETE", path)
    assert (needed.status, needed.code) == (405, "UNSUPPORTED")
    client("DELETE", f"/v2/{NAME}/manifests/{digest_of(IMAGE)}")
    assert client("DELETE", path).status == 202
    assert client("GET", path).status == 404
    assert client("DELETE", path).status == 404


# ---------------------------------------------------------------- what is ours


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/", 404),
        ("GET", "/v2/UPPER/tags/list", 400),
        ("GET", "/v2/a/../b/tags/list", 400),
        ("GET", "/v2/a//b/tags/list", 400),
        ("GET", f"/v2/{'x' * 300}/tags/list", 400),
        ("GET", f"/v2/{NAME}/blobs/sha256:../../x", 404),
        ("GET", f"/v2/{NAME}/blobs/sha256:short", 400),
        ("PATCH", f"/v2/{NAME}/blobs/uploads/nothing", 404),
        ("POST", f"/v2/{NAME}/manifests/x", 405),
        ("GET", f"/v2/{NAME}/tags/list?n=x", 400),
    ],
)
def test_what_is_refused(client: Client, method: str, path: str, status: int) -> None:
    reply = client(method, path)
    assert reply.status == status
    assert reply.code


def test_names_with_a_port_are_no_repositories(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "store")) as store, served(store) as address:
        client = Client(address)
        put_image(client, "1")
        store.refs.set("host:5000/app:1", store.refs.all()[f"{NAME}:1"], len(IMAGE), MANIFEST)
        assert client("GET", "/v2/_catalog").json == {"repositories": [NAME]}
        client("DELETE", f"/v2/{NAME}/manifests/1")
        assert client("DELETE", f"/v2/{NAME}/blobs/{digest_of(LAYER)}").status == 405


def test_a_page_of_the_web_cannot_speak_to_it(client: Client) -> None:
    assert client("GET", "/v2/", headers={"Host": "rebound.example.com"}).code == "DENIED"
    assert client("GET", "/v2/", headers={"Host": "localhost:5000"}).status == 200


def test_logins_and_read_only(tmp_path: Path) -> None:
    import base64

    with Store.open(str(tmp_path / "store")) as store:
        with served(store, logins={"me": "secret"}) as address:
            client = Client(address)
            refused = client("GET", "/v2/")
            assert (refused.code, refused.headers["www-authenticate"][:6]) == ("UNAUTHORIZED", "Basic ")
            for pair, status in ((b"me:secret", 200), (b"me:wrong", 401), (b"you:", 401), (b"me", 401)):
                header = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
                assert client("GET", "/v2/", headers=header).status == status
            assert client("GET", "/v2/", headers={"Authorization": "Basic ???"}).status == 401
        with served(store, read_only=True) as address:
            assert Client(address)("POST", f"/v2/{NAME}/blobs/uploads/").code == "UNSUPPORTED"
