"""Conversion: images of the graph to documents, documents of base images to the graph."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.diag import BuildError
from buildtool.digest import sha256
from buildtool.graph.model import BaseLayer, Healthcheck, History, Image, ImageConfig, Platform
from buildtool.oci.convert import (
    assemble,
    assemble_index,
    config_of,
    diff_ids_of,
    rfc3339,
    seconds_of,
)
from buildtool.oci.model import LAYER_GZIP, ConfigRecord, HistoryRecord, Manifest, RootFs, decode

LINUX = Platform("linux", "amd64")
LAYERS = tuple(BaseLayer(sha256(b"%d" % n), sha256(b"z%d" % n), n + 5, LAYER_GZIP) for n in range(2))

FULL = Image(
    rootfs=None,
    config=ImageConfig(
        env=(("PATH", "/bin"), ("EMPTY", ""), ("A", "b=c"), ("QUOTED", '"é<&>\n\x01')),
        entrypoint=("/init", "--"),
        cmd=("run", ""),
        working_dir="/srv",
        user="app:app",
        labels=(("z", "1"), ("a", "2"), ("é", "3")),
        exposed_ports=("443/tcp", "53/udp"),
        volumes=("/data", "/var/lib/x"),
        stop_signal="SIGINT",
        shell=("/bin/bash", "-c"),
        healthcheck=Healthcheck(("CMD-SHELL", "true"), 1_000_000_000, 2, 3, 4, 5),
        on_build=("RUN true",),
        args_escaped=True,
    ),
    platform=Platform("linux", "arm", "v7"),
    created=315532800,
    history=(
        History("base layer", created="2020-02-02T02:02:02.5Z", author="someone", comment="theirs"),
        History("no time", empty_layer=True, created=""),
        History("RUN make # buildtool"),
        History("CMD", empty_layer=True),
    ),
    author="me",
    annotations=(("org.example.b", "2"), ("org.example.a", "1")),
)
BARE = Image(rootfs=None, config=ImageConfig(), platform=LINUX, created=0)


class Finished:
    def __init__(self, image: Image, layers: tuple[BaseLayer, ...]) -> None:
        data, _ = assemble(image, layers)
        self.manifest = sha256(data)
        self.manifest_size = len(data)
        self.platform = image.platform


def test_documents_of_an_image_with_everything(golden: Callable[[str, str | bytes], None]) -> None:
    manifest, config = assemble(FULL, LAYERS)
    golden("oci/full.manifest.json", manifest)
    golden("oci/full.config.json", config)
    assert decode(manifest, Manifest, "it").config.digest == sha256(config)


def test_documents_of_an_image_with_nothing(golden: Callable[[str, str | bytes], None]) -> None:
    manifest, config = assemble(BARE, ())
    golden("oci/bare.manifest.json", manifest)
    golden("oci/bare.config.json", config)


def test_an_index_has_the_order_of_the_platforms(golden: Callable[[str, str | bytes], None]) -> None:
    images = [Finished(FULL, LAYERS), Finished(BARE, ())]
    data = assemble_index(images, (("note", "x"),))
    golden("oci/index.json", data)
    assert data == assemble_index(images[::-1], (("note", "x"),))
    assert [m["platform"]["architecture"] for m in json.loads(data)["manifests"]] == ["amd64", "arm"]


def test_a_history_of_other_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="history of 2 layers for 1 layers"):
        assemble(FULL, LAYERS[:1])


def test_what_is_read_back_is_what_was_written() -> None:
    config, history, platform, author = config_of(decode(assemble(FULL, LAYERS)[1], ConfigRecord, "it"))
    expected = FULL.config
    assert config.labels == tuple(sorted(expected.labels))
    assert (config.env, config.cmd, config.entrypoint) == (expected.env, expected.cmd, expected.entrypoint)
    assert (config.healthcheck, config.shell) == (expected.healthcheck, expected.shell)
    assert (config.exposed_ports, config.volumes) == (expected.exposed_ports, expected.volumes)
    assert (platform, author) == (FULL.platform, FULL.author)
    assert [entry.created for entry in history] == [
        "2020-02-02T02:02:02.5Z",
        "",
        "1980-01-01T00:00:00Z",
        "1980-01-01T00:00:00Z",
    ]


@given(st.builds(dict, a=st.text(st.characters(codec="utf-8")), b=st.text(st.characters(codec="utf-8"))))
def test_a_config_comes_back_for_any_text(values: dict[str, str]) -> None:
    config = ImageConfig(env=tuple(values.items()), labels=tuple(values.items()), user=values["a"])
    image = Image(rootfs=None, config=config, platform=LINUX, created=0)
    assert config_of(decode(assemble(image, ())[1], ConfigRecord, "it"))[0] == config


@pytest.mark.parametrize(
    ("filled", "layers", "expected"),
    [
        ((False, True), 1, [False, True]),
        ((), 2, [False, False]),
        ((False, True), 2, [False, True, False]),
        ((False, False), 1, [False]),
    ],
)
def test_a_base_history_is_made_to_fit(filled: tuple[bool, ...], layers: int, expected: list[bool]) -> None:
    doc = ConfigRecord(
        "amd64",
        "linux",
        RootFs("layers", tuple(sha256(b"%d" % n) for n in range(layers))),
        history=tuple(HistoryRecord(empty_layer=empty) for empty in filled),
    )
    assert [entry.empty_layer for entry in config_of(doc)[1]] == expected


def test_an_unknown_root_filesystem_is_refused() -> None:
    with pytest.raises(BuildError) as error:
        diff_ids_of(ConfigRecord("amd64", "linux", RootFs("windows")))
    assert error.value.code == "bad-document"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (315532800, "1980-01-01T00:00:00Z"),
        (-62135596800, "0001-01-01T00:00:00Z"),
        (253402300799, "9999-12-31T23:59:59Z"),
    ],
)
def test_instants(seconds: int, text: str) -> None:
    assert rfc3339(seconds) == text
    assert seconds_of(text) == max(0, seconds)


@pytest.mark.parametrize("seconds", [-62135596801, 253402300800, 10**30])
def test_instants_out_of_range(seconds: int) -> None:
    with pytest.raises(BuildError) as error:
        rfc3339(seconds)
    assert error.value.code == "bad-epoch"


def test_times_of_bases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    assert seconds_of("2021-01-01T00:00:00.123456789Z") == 1609459200
    assert seconds_of("2021-01-01T02:00:00+02:00") == 1609459200
    assert seconds_of("2021-01-01T00:00:00") == 1609459200
    assert seconds_of("yesterday") == seconds_of(None) == 0
