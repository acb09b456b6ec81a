"""Documents: strict and bounded reading, canonical writing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.diag import BuildError
from buildtool.oci.model import (
    INDEX,
    LARGEST_DOCUMENT,
    MANIFEST,
    ConfigRecord,
    Execution,
    IndexRecord,
    Manifest,
    RootFs,
    decode,
    decode_manifest,
    encode,
    oci_type,
)

BLOB = {"mediaType": "x/y", "digest": "sha256:" + "ab" * 32, "size": 3}


def manifest(**more: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "config": BLOB, "layers": [BLOB], **more}).encode()


def test_a_manifest_and_an_index_are_told_apart() -> None:
    found = decode_manifest(manifest(mediaType=MANIFEST, unknown=[1]), MANIFEST, "it")
    assert isinstance(found, Manifest)
    assert found.layers[0].size == 3
    index = json.dumps({"schemaVersion": 2, "manifests": [BLOB]}).encode()
    assert isinstance(decode_manifest(index, INDEX, "it"), IndexRecord)


def test_docker_types_are_understood() -> None:
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    assert isinstance(decode_manifest(manifest(mediaType=kind), kind, "it"), Manifest)
    assert oci_type("application/vnd.docker.image.rootfs.diff.tar.gzip").endswith("layer.v1.tar+gzip")
    assert oci_type("text/plain") == "text/plain"


@pytest.mark.parametrize(
    ("data", "kind", "code"),
    [
        (manifest(manifests=[BLOB]), MANIFEST, "ambiguous-manifest"),
        (manifest(manifests=None), MANIFEST, "ambiguous-manifest"),
        (manifest(), INDEX, "ambiguous-manifest"),
        (manifest(mediaType=INDEX), MANIFEST, "ambiguous-manifest"),
        (manifest(mediaType=INDEX), INDEX, "ambiguous-manifest"),
        (manifest(mediaType="text/plain"), MANIFEST, "ambiguous-manifest"),
        (b'{"schemaVersion":2,"manifests":[]}', MANIFEST, "ambiguous-manifest"),
        (manifest(schemaVersion=1), MANIFEST, "bad-document"),
        (manifest(layers=[{**BLOB, "size": -1}]), MANIFEST, "bad-document"),
        (manifest(layers=[{**BLOB, "size": "3"}]), MANIFEST, "bad-document"),
        (manifest(layers=[{**BLOB, "digest": "../../etc/passwd"}]), MANIFEST, "bad-digest"),
        (manifest(layers=None), MANIFEST, "bad-document"),
        (manifest()[:-1], MANIFEST, "bad-document"),
        (b"[" * 100_000, MANIFEST, "bad-document"),
        (b'{"config":' * 100_000, MANIFEST, "bad-document"),
        (b"\xff\xfe", MANIFEST, "bad-document"),
        (b" " * (LARGEST_DOCUMENT + 1), MANIFEST, "bad-document"),
    ],
)
def test_what_is_refused(data: bytes, kind: str, code: str) -> None:
    with pytest.raises(BuildError) as error:
        decode_manifest(data, kind, "manifest sha256:12 of somewhere")
    assert error.value.code == code


def test_nulls_and_texts_as_docker_writes_them() -> None:
    data = (
        b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":null},"history":null,'
        b'"config":{"Cmd":"sh","Entrypoint":null,"Volumes":null,"OnBuild":null,"Labels":null,"Env":null,'
        b'"Image":"","Healthcheck":null},"container_config":{"Hostname":"x"}}'
    )
    found = decode(data, ConfigRecord, "config")
    assert found.config == Execution(cmd="sh")
    assert found.rootfs.diff_ids is None


@given(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(codec="utf-8")))
)
def test_writing_is_canonical_and_loses_nothing(labels: dict[str, str]) -> None:
    def record(pairs: dict[str, str]) -> ConfigRecord:
        return ConfigRecord("amd64", "linux", RootFs("layers"), config=Execution(labels=pairs))

    data = encode(record(labels))
    assert data == encode(record(dict(reversed(labels.items()))))
    assert decode(data, ConfigRecord, "it") == record(labels)
    parsed = json.loads(data)
    assert list(parsed) == sorted(parsed)
    names = [name.encode() for name in json.loads(data)["config"].get("Labels", {})]
    assert names == sorted(names)


def test_text_that_is_no_unicode_is_told() -> None:
    with pytest.raises(BuildError) as error:
        encode(ConfigRecord("amd64", "linux", RootFs("layers"), author="\udcff"))
    assert error.value.code == "not-unicode"
