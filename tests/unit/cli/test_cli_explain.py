"""Why a target would be built again, told after builds that really happened."""

from pathlib import Path

import pytest

from buildtool.cli.main import run

BUILD = """\
load("@rules//image.star", "image")

image(
    name = "app",
    steps = [copy(["src"], "/src/")],
    env = {"A": "1"},
)
"""


@pytest.mark.root
def test_what_changed_since_the_last_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BUILDTOOL_STORE", str(tmp_path / "store"))
    root = tmp_path / "ws"
    (root / "src").mkdir(parents=True)
    monkeypatch.chdir(root)
    (root / "BUILD.star").write_text(BUILD)
    for name in ("a", "b", "c"):
        (root / "src" / name).write_text(name)
        (root / "src" / name).chmod(0o644)

    def told(*more: str) -> list[str]:
        capsys.readouterr()
        assert run(["explain", ":app", *more]) == 0
        return capsys.readouterr().out.splitlines()

    assert told() == ["//:app: was not built here before"]
    assert run(["build", "-q", ":app"]) == 0
    assert told() == ["//:app: nothing changed since it was built"]
    (root / "src" / "a").write_text("new")
    (root / "src" / "b").unlink()
    (root / "src" / "c").chmod(0o600)
    (root / "src" / "d").touch()
    title, source, *reasons = told()
    assert title == "//:app: 3 of its steps changed since it was built"
    assert source.startswith("  files src  (BUILD.star:")
    assert reasons == [
        "    src/a: changed",
        "    src/b: gone",
        "    src/c: mode 644 -> 600",
        "    src/d: new",
    ]
    assert "    its input changed: files src" in told("--all")
    assert run(["build", "-q", ":app"]) == 0
    (root / "BUILD.star").write_text(BUILD.replace('"1"', '"2"'))
    assert "    config.env[1][1]: '1' -> '2'" in told()
