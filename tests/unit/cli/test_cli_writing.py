"""Results in every form: folders and archives of files, several outputs, several platforms."""

import json
import os
import tarfile
from pathlib import Path

import pytest

from buildtool.cli.frontends import index_of
from buildtool.diag import BuildError
from buildtool.graph.model import Image, ImageConfig, Platform
from tests.support.elsewhere import build

EPOCH = 315532800


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "context"
    (made / "amd64").mkdir(parents=True)
    (made / "arm64").mkdir()
    for name in ("amd64", "arm64"):
        (made / name / "f").write_text(name)
        os.symlink("f", made / name / "link")
        os.link(made / name / "f", made / name / "twin")
    (made / "Dockerfile").write_text(
        "FROM scratch\nARG TARGETARCH\nCOPY --chown=7:8 $TARGETARCH /d/\nWORKDIR /w\n"
    )
    return made


def test_a_folder_is_filled_beside_what_is_there(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "root"
    out.mkdir()
    (out / "mine").write_text("stays")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.symlink(elsewhere, out / "d")
    (out / "w").write_text("makes way")
    ran = build(folder, "--platform=amd64", "-o", f"type=local,dest={out}", ".")
    assert ran.status == 0, ran.said
    assert os.listdir(elsewhere) == []
    assert (out / "mine").read_text() == "stays"
    assert (out / "d" / "f").read_text() == "amd64"
    assert os.readlink(out / "d" / "link") == "f"
    assert (out / "d" / "f").stat().st_ino == (out / "d" / "twin").stat().st_ino
    assert (out / "d" / "f").stat().st_uid == os.getuid()
    assert (out / "w").stat().st_mtime == EPOCH
    again = build(folder, "--platform=amd64", "-o", str(out), ".", out=False)
    assert again.status == 0, again.said


def test_an_archive_of_files_is_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.tar", tmp_path / "two.tar"
    outputs = ("-o", f"type=tar,dest={one}", "-o", f"type=local,dest={tmp_path / 'root'}")
    assert build(folder, "--platform=amd64", *outputs, ".").status == 0
    assert build(folder, "--platform=amd64", "--no-cache", "-o", f"type=tar,dest={two}", ".").status == 0
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as archive:
        found = {m.name: m for m in archive}
    assert list(found) == ["d", "d/f", "d/link", "d/twin", "w"]
    assert (found["d/f"].uid, found["d/f"].gid, found["d/f"].mtime) == (7, 8, EPOCH)
    assert (found["d/twin"].type, found["d/twin"].linkname) == (tarfile.LNKTYPE, "d/f")
    assert (tmp_path / "root" / "d" / "f").exists()


def test_an_image_without_files(folder: Path, tmp_path: Path) -> None:
    (folder / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    out = tmp_path / "x.tar"
    assert (
        build(folder, "-o", f"type=tar,dest={out}", "-o", f"type=local,dest={tmp_path / 'r'}", ".").status
        == 0
    )
    with tarfile.open(out) as archive:
        assert archive.getmembers() == []
    assert os.listdir(tmp_path / "r") == []


def test_several_platforms_make_an_index(folder: Path, tmp_path: Path) -> None:
    identity, about, root, files = (tmp_path / n for n in ("iid", "about.json", "root", "x.tar"))
    ran = build(
        folder, "--platform=linux/amd64,linux/arm64", "-t", "app:1", ".",
        "-o", f"type=oci,dest={tmp_path / 'layout'},tar=false", "-o", "type=image,push=false",
        "-o", "type=cacheonly",
        "-o", f"type=local,dest={root}", "-o", f"type=tar,dest={files}",
        "--iidfile", str(identity), "--metadata-file", str(about), out=False,
    )  # fmt: skip
    assert ran.status == 0, ran.said
    index = json.loads((tmp_path / "layout" / "index.json").read_text())
    (entry,) = index["manifests"]
    assert entry["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert entry["annotations"]["io.containerd.image.name"] == "docker.io/library/app:1"
    assert identity.read_text() == entry["digest"]
    inner = json.loads((tmp_path / "layout" / "blobs" / entry["digest"].replace(":", "/")).read_text())
    assert [m["platform"]["architecture"] for m in inner["manifests"]] == ["amd64", "arm64"]
    metadata = json.loads(about.read_text())
    assert metadata["containerimage.digest"] == entry["digest"]
    assert sorted(metadata["images"]) == ["linux/amd64", "linux/arm64"]
    assert (root / "linux_arm64" / "d" / "f").read_text() == "arm64"
    with tarfile.open(files) as archive:
        names = archive.getnames()
        assert archive.getmember("linux_arm64/d/twin").linkname == "linux_arm64/d/f"
    assert [n for n in names if n.count("/") == 0] == ["linux_amd64", "linux_arm64"]


def test_images_and_indexes_in_one_build(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "buildtool.toml").write_text("")
    (folder / "BUILD.star").write_text(
        'load("@rules//dockerfile.star", "dockerfile")\nload("@rules//index.star", "index")\n'
        'dockerfile(name = "one")\nindex(name = "both", image = ":one")\n'
    )
    about, layout = tmp_path / "about.json", tmp_path / "layout"
    monkeypatch.chdir(folder)
    output = f"type=oci,dest={layout},tar=false"
    ran = build(folder, "--platform=amd64", "-o", output, "--metadata-file", str(about), "//...", out=False)
    assert ran.status == 0, ran.said
    made = {record["target"]: record["containerimage.digest"] for record in json.loads(about.read_text())}
    assert list(made) == ["//:one", "//:both"]
    entries = json.loads((layout / "index.json").read_text())["manifests"]
    assert sorted(entry["digest"] for entry in entries) == sorted(made.values())
    for target, digest in made.items():
        assert any(row.startswith(digest) and row.endswith(target) for row in ran.said.splitlines()), ran.said


def test_docker_takes_one_platform(folder: Path, tmp_path: Path) -> None:
    output = f"type=docker,dest={tmp_path / 'x'}"
    ran = build(folder, "--platform=amd64", "--platform=arm64", "-o", output, ".", out=False)
    assert ran.status != 0
    assert "one platform" in ran.said


def test_two_platforms_that_give_the_same_are_no_index() -> None:
    image = Image(None, ImageConfig(), Platform("linux", "amd64"), EPOCH)
    with pytest.raises(BuildError) as caught:
        index_of((image, image))
    assert caught.value.code == "same-platform"
