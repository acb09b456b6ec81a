"""Archives, wheels and packages unpacked without running anything, and files joined."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.executor.api import Advance, BuildOptions
from buildtool.executor.progress import Progress
from buildtool.executor.run import Executor
from buildtool.graph.model import (
    Action,
    FetchSource,
    FileOp,
    GitSource,
    History,
    Image,
    ImageConfig,
    ImageSource,
    LiteralFile,
    LiteralSource,
    LocalSource,
    Platform,
    UnpackDebsAction,
)
from buildtool.graph.unpacking import JoinAction, UnpackArchiveAction, UnpackWheelAction
from buildtool.store import Store
from tests.support.debian_archive import make_deb
from tests.support.wheels import record_row, wheel

EPOCH = 315532800
LINUX = Platform("linux", "amd64")


class Nowhere:
    def fetch_file(self, step: FetchSource, advance: Advance) -> None:
        raise BuildError("no-network", step.name)

    def fetch_layer(self, step: ImageSource, digest: object, advance: Advance) -> None:
        raise BuildError("no-network", str(digest))

    def fetch_git(self, step: GitSource) -> object:
        raise BuildError("no-network", step.url)


class Bench:
    """A store, and layers made of its blobs."""

    def __init__(self, path: Path) -> None:
        self.store = Store.open(str(path))

    def blob(self, name: str, data: bytes) -> FetchSource:
        return FetchSource(self.store.blobs.put(data), name, 0o644)

    def layer(self, *actions: Action) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
        image = Image(FileOp(None, actions, EPOCH), ImageConfig(), LINUX, EPOCH, (History("step"),))
        executor = Executor(self.store, Nowhere(), Nowhere(), Progress(), BuildOptions(jobs=2, present=EPOCH))  # type: ignore[arg-type]
        built = executor.build([image])
        (layer,) = built.images[0].layers
        with tarfile.open(fileobj=io.BytesIO(self.store.blobs.read(layer.digest, 1 << 30))) as tar:
            return {
                m.name: (m, (tar.extractfile(m) or io.BytesIO()).read() if m.isreg() else b"") for m in tar
            }


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "store")


def tar(files: dict[str, bytes], *, mode: int = 0o664) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime, info.uid, info.gid = len(data), mode, 1_000_000_000, 1000, 1000
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


# ---------------------------------------------------------------- archives


def test_a_folder_of_an_archive_is_taken_without_its_owners(bench: Bench) -> None:
    source = bench.blob("a.tgz", tar({"tool-1/bin/tool": b"x", "tool-1/README": b"r", "other/file": b"no"}))
    found = bench.layer(UnpackArchiveAction(source, "/opt/tool", "tool-1"))
    files = {n: (m.mode, m.uid, m.mtime) for n, (m, _) in found.items() if m.isreg()}
    assert files == {
        "opt/tool/README": (0o664, 0, 1_000_000_000),
        "opt/tool/bin/tool": (0o664, 0, 1_000_000_000),
    }


def test_plain_gives_up_the_times_and_modes_of_the_packer(bench: Bench) -> None:
    source = bench.blob("p.tgz", tar({"package/cli.js": b"#!", "package/lib/a.js": b"a"}))
    action = UnpackArchiveAction(source, "/m/p", "*", plain=True, executable=("cli.js", "gone.js"))
    found = bench.layer(action)
    assert {n: (m.mode, m.mtime) for n, (m, _) in found.items() if m.isreg()} == {
        "m/p/cli.js": (0o755, EPOCH),
        "m/p/lib/a.js": (0o644, EPOCH),
    }


def test_a_zip_archive(bench: Bench) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        entry = zipfile.ZipInfo("d/run")
        entry.external_attr = 0o100755 << 16
        archive.writestr(entry, b"#!/bin/sh\n")
        link = zipfile.ZipInfo("d/link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, b"run")
    found = bench.layer(UnpackArchiveAction(bench.blob("a.zip", out.getvalue()), "/", "d"))
    assert found["run"][0].mode == 0o755
    assert found["link"][0].linkname == "run"


@pytest.mark.parametrize("name", ["../x", "/x", "a\\b"])
def test_a_name_that_leads_out_of_a_zip_is_refused(bench: Bench, name: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(BuildError, match="leads out") as caught:
        bench.layer(UnpackArchiveAction(bench.blob("a.zip", out.getvalue()), "/a"))
    assert caught.value.code == "unsafe-archive"


def test_an_archive_in_a_folder_of_its_own(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "a.tgz").write_bytes(tar({"a": b"1"}))
    source = LocalSource(("d/e/a.tgz",), folder=str(tmp_path))
    assert "a" in bench.layer(UnpackArchiveAction(source, "/"))
    with pytest.raises(BuildError, match="is not one file"):
        bench.layer(UnpackArchiveAction(LocalSource(("",), folder=str(tmp_path / "d" / "..")), "/"))


def test_a_folder_that_the_archive_does_not_have(bench: Bench) -> None:
    source = bench.blob("a.tgz", tar({"a/b": b""}))
    with pytest.raises(BuildError, match="holds nothing below 'c'") as caught:
        bench.layer(UnpackArchiveAction(source, "/", "c"))
    assert caught.value.code == "nothing-to-unpack"


# ---------------------------------------------------------------- wheels


PREFIX = "opt/venv"
SITE = f"{PREFIX}/lib/python3.11/site-packages"


def installed(
    bench: Bench, data: bytes, name: str = "My_App-1.0-py3-none-any.whl"
) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    return bench.layer(UnpackWheelAction(bench.blob(name, data), "/opt/venv", "3.11"))


def test_a_wheel_is_laid_out_as_a_virtual_environment_has_it(bench: Bench) -> None:
    points = b"[console_scripts]\nmy-app = my_app:cli.main [x]\n[other]\na = b\n"
    files = {
        "my_app/__init__.py": b"x = 1\n",
        "my_app/fast.so": b"\x7fELF",
        "My_App-1.0.data/scripts/old": b"#!python\nprint()\n",
        "My_App-1.0.data/data/share/doc": b"doc",
        "My_App-1.0.data/headers/a.h": b"h",
        "My_App-1.0.data/platlib/extra.py": b"",
        "My_App-1.0.dist-info/entry_points.txt": points,
    }
    found = installed(bench, wheel("My_App", "1.0", files, executable=("my_app/fast.so",)))
    modes = {n: m.mode for n, (m, _) in found.items() if m.isreg()}
    assert modes == {
        f"{PREFIX}/bin/my-app": 0o755,
        f"{PREFIX}/bin/old": 0o755,
        f"{PREFIX}/include/site/python3.11/My_App/a.h": 0o644,
        f"{PREFIX}/share/doc": 0o644,
        f"{SITE}/extra.py": 0o644,
        f"{SITE}/my_app/__init__.py": 0o644,
        f"{SITE}/my_app/fast.so": 0o755,
        **{f"{SITE}/My_App-1.0.dist-info/{n}": 0o644 for n in ("INSTALLER", "METADATA", "RECORD", "WHEEL")},
        f"{SITE}/My_App-1.0.dist-info/entry_points.txt": 0o644,
    }
    assert {m.mtime for m, _ in found.values()} == {EPOCH}
    assert found[f"{PREFIX}/bin/old"][1] == b"#!/opt/venv/bin/python\nprint()\n"
    script = found[f"{PREFIX}/bin/my-app"][1].decode()
    assert script.startswith("#!/opt/venv/bin/python\n")
    assert "from my_app import cli" in script
    assert "cli.main()" in script


def test_record_names_what_is_there_now(bench: Bench) -> None:
    entry = b"[console_scripts]\na = b:c\n"
    found = installed(
        bench, wheel("My_App", "1.0", {"b.py": b"", "My_App-1.0.dist-info/entry_points.txt": entry})
    )
    rows = found[f"{SITE}/My_App-1.0.dist-info/RECORD"][1].decode().splitlines()
    assert rows == sorted(rows)
    assert record_row("../../../bin/a", found[f"{PREFIX}/bin/a"][1]) in rows
    assert record_row("b.py", b"") in rows
    assert "My_App-1.0.dist-info/RECORD,," in rows


@pytest.mark.parametrize(
    ("record", "why"),
    [("", "RECORD has no hash"), (record_row("b.py", b"other") + "\n", "RECORD")],
)
def test_a_wheel_that_is_not_what_its_record_says(bench: Bench, record: str, why: str) -> None:
    with pytest.raises(BuildError, match=why) as caught:
        installed(bench, wheel("My_App", "1.0", {"b.py": b"one"}, record=record))
    assert caught.value.code == "bad-wheel"


def test_a_wheel_of_another_name(bench: Bench) -> None:
    with pytest.raises(BuildError, match=r"no \.dist-info folder of its name"):
        installed(bench, wheel("other", "1.0", {}))


def test_a_file_that_is_no_wheel(bench: Bench) -> None:
    with pytest.raises(BuildError, match="zip archive cannot be read") as caught:
        installed(bench, b"nothing of the kind")
    assert caught.value.code == "bad-archive"


# ---------------------------------------------------------------- packages, joined files


def test_packages_leave_their_description(bench: Bench) -> None:

    source = bench.blob("tool.deb", make_deb("tool", "1", {"./usr/bin/tool": b"x"}))
    found = bench.layer(UnpackDebsAction(source, status=True))
    assert found["var/lib/dpkg/status.d/tool"][1].startswith(b"Package: tool\n")
    assert "var/lib/dpkg/status.d/tool.md5sums" in found


def test_joined_files_follow_one_another_by_name(bench: Bench) -> None:
    source = LiteralSource(
        tuple(LiteralFile(p, d) for p, d in (("b/2", b"two"), ("b/1", b"one\n"), ("c", b"no")))
    )
    found = bench.layer(JoinAction(source, ("b/*",), "/etc/all", 0o600))
    assert found["etc/all"][1] == b"one\ntwo\n"
    assert found["etc/all"][0].mode == 0o600


def test_a_pattern_that_joins_nothing(bench: Bench) -> None:
    with pytest.raises(BuildError, match=r"no file 'x\*' to join"):
        bench.layer(JoinAction(LiteralSource((LiteralFile("a", b""),)), ("x*",), "/all"))
