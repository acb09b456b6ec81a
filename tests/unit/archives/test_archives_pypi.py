"""Choosing wheels: pages of indexes, tags and markers of the target, extras, conflicts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from buildtool.archives.hostindex import npm_registry, pip_indexes
from buildtool.archives.pypi import IndexFile, metadata_of, parse_page
from buildtool.archives.wheels import choose, platform_tags
from buildtool.diag import BuildError
from buildtool.digest import sha256
from buildtool.lock.pypi import PythonRequest
from tests.support.wheels import wheel

LINUX = "manylinux_2_28_x86_64"


@dataclass
class Canned:
    """An index with wheels that are nothing but their metadata."""

    wheels: dict[str, list[IndexFile]] = field(default_factory=dict)
    needs: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def add(
        self,
        name: str,
        version: str,
        *requires: str,
        tag: str = "py3-none-any",
        python: str = "",
        yanked: bool = False,
    ) -> "Canned":
        filename = f"{name.replace('-', '_')}-{version}-{tag}.whl"
        file = IndexFile(
            filename, f"https://index/{filename}", sha256(filename.encode()), 10, python, yanked=yanked
        )
        self.wheels.setdefault(name, []).append(file)
        rows = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
        self.needs[filename] = "\n".join(rows) + "\n\nText\n"
        return self

    def files(self, project: str) -> Sequence[IndexFile]:
        self.asked.append(project)
        if project not in self.wheels:
            raise BuildError("no-such-package", f"the index has no project {project!r}")
        return self.wheels[project]

    def bring_pages(self, projects: Sequence[str]) -> None:
        pass

    def metadata(self, file: IndexFile) -> str:
        return self.needs[file.filename]

    def chosen(
        self, *requirements: str, python: str = "3.11", platform: str = LINUX, **more: object
    ) -> list[str]:
        request = PythonRequest("//a:b", requirements, python, platform, **more)  # type: ignore[arg-type]
        return [w.filename.removesuffix(".whl") for w in choose(self, request)]


def test_the_newest_versions_with_all_they_need() -> None:
    index = Canned().add("a", "1.0").add("a", "1.10", "B-c>=2").add("b-c", "1").add("b-c", "2.1")
    assert index.chosen("A") == ["a-1.10-py3-none-any", "b_c-2.1-py3-none-any"]


def test_a_conflict_goes_back_to_an_older_version() -> None:
    index = Canned().add("a", "2", "c<2").add("a", "1", "c").add("b", "1", "c>=2").add("c", "1").add("c", "2")
    assert index.chosen("a", "b") == ["a-1-py3-none-any", "b-1-py3-none-any", "c-2-py3-none-any"]


def test_the_best_wheel_for_the_target() -> None:
    index = Canned()
    for tag in (
        "py3-none-any",
        "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "cp311-cp311-manylinux_2_34_x86_64",
        "cp311-cp311-musllinux_1_2_aarch64",
        "cp312-cp312-manylinux_2_17_x86_64",
        "cp38-abi3-manylinux_2_17_x86_64",
    ):
        index.add("a", "1", tag=tag)
    assert index.chosen("a") == ["a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"]
    assert index.chosen("a", platform="manylinux_2_36_x86_64") == ["a-1-cp311-cp311-manylinux_2_34_x86_64"]
    assert index.chosen("a", platform="musllinux_1_2_aarch64") == ["a-1-cp311-cp311-musllinux_1_2_aarch64"]
    assert index.chosen("a", python="3.13") == ["a-1-cp38-abi3-manylinux_2_17_x86_64"]


def test_markers_are_those_of_the_target() -> None:
    index = Canned().add(
        "a", "1", "old; python_version<'3.10'", "arm; platform_machine=='aarch64'", "w; os_name=='nt'"
    )
    index.add("old", "1").add("arm", "1")
    assert index.chosen("a") == ["a-1-py3-none-any"]
    assert "old-1-py3-none-any" in index.chosen("a", python="3.9")
    assert "arm-1-py3-none-any" in index.chosen("a", platform="manylinux_2_28_aarch64")


def test_extras() -> None:
    index = Canned().add("a", "1", "b; extra=='Fast_io'", "a[more]; extra=='all'", "c; extra=='more'", "d")
    for name in "bcd":
        index.add(name, "1")
    assert index.chosen("a") == ["a-1-py3-none-any", "d-1-py3-none-any"]
    assert index.chosen("a[fast-io]") == [f"{n}-1-py3-none-any" for n in "abd"]
    assert index.chosen("a[all]") == [f"{n}-1-py3-none-any" for n in "acd"]


def test_what_is_passed_over() -> None:
    index = Canned().add("a", "1").add("a", "2", yanked=True).add("a", "3rc1").add("a", "4", python=">=3.12")
    assert index.chosen("a") == ["a-1-py3-none-any"]
    assert index.chosen("a==2") == ["a-2-py3-none-any"]
    assert index.chosen("a>=3rc1") == ["a-3rc1-py3-none-any"]
    assert index.chosen("a", python="3.12") == ["a-4-py3-none-any"]
    assert Canned().add("b", "1b1").chosen("b") == ["b-1b1-py3-none-any"]


def test_constraints_limit_what_is_chosen_and_add_nothing() -> None:
    index = Canned().add("a", "1").add("a", "2")
    assert index.chosen("a", constraints=("a<2", "z==1")) == ["a-1-py3-none-any"]


def test_hashes_limit_the_files() -> None:
    index = Canned().add("a", "1").add("a", "2")
    digest = sha256(b"a-1-py3-none-any.whl").removeprefix("sha256:")
    assert index.chosen(f"a --hash=sha256:{digest}") == ["a-1-py3-none-any"]


@pytest.mark.parametrize(
    ("requirements", "code", "said"),
    [
        (("a<1",), "python-unresolvable", "no such version has a wheel"),
        (("a<2", "a>=2"), "python-unresolvable", "the requirements ask for a>=2"),
        (("a[",), "bad-requirement", "is not a requirement"),
        (("a @ https://example.org/a.whl",), "bad-requirement", "names an address"),
        (("zzz",), "no-such-package", "no project 'zzz'"),
        (("only-source",), "python-unresolvable", "source is never built"),
    ],
)
def test_what_cannot_be_chosen(requirements: tuple[str, ...], code: str, said: str) -> None:
    index = Canned().add("a", "1").add("a", "2").add("only-source", "1", tag="cp27-cp27m-win32")
    with pytest.raises(BuildError) as caught:
        index.chosen(*requirements)
    assert caught.value.code == code
    assert said in caught.value.message + " ".join(n.message for n in caught.value.notes)


def test_platforms_from_the_newest_to_the_oldest() -> None:
    tags = list(platform_tags(LINUX))
    assert tags[0] == LINUX
    assert tags[-1] == "linux_x86_64"
    assert {"manylinux2014_x86_64", "manylinux1_x86_64", "manylinux_2_5_x86_64"} <= set(tags)
    assert "manylinux_2_16_aarch64" not in list(platform_tags("manylinux_2_28_aarch64"))
    assert list(platform_tags("musllinux_1_1_x86_64")) == [
        "musllinux_1_1_x86_64",
        "musllinux_1_0_x86_64",
        "linux_x86_64",
    ]


# ---------------------------------------------------------------- pages

A = "a" * 64
PAGE = "https://user:pw@index.example/simple/x/"


def test_a_page_in_json() -> None:
    items = [
        {
            "filename": "x-1.whl",
            "url": "../../f/x-1.whl",
            "hashes": {"sha256": A},
            "size": 5,
            "yanked": "bad",
        },
        {
            "filename": "x-2.whl",
            "url": "https://files.example/x-2.whl",
            "hashes": {"sha256": A},
            "core-metadata": {"sha256": A},
            "requires-python": ">=3.8",
        },
        {"filename": "x-3.whl", "url": "x", "hashes": {}},
    ]
    one, two = parse_page(json.dumps({"files": items}).encode(), PAGE)
    assert (one.url, one.size, one.yanked) == ("https://user:pw@index.example/f/x-1.whl", 5, True)
    assert (two.url, two.metadata, two.requires_python) == (
        "https://files.example/x-2.whl",
        f"sha256:{A}",
        ">=3.8",
    )


def test_a_page_in_html() -> None:
    page = f"""<!DOCTYPE html><a href="/f/x-1%2Bl.whl#sha256={A}" data-requires-python="&gt;=3.8"
      data-core-metadata="true">x</a> <a href="/f/x-2.whl" >no hash</a>"""
    (file,) = parse_page(page.encode(), PAGE)
    assert (file.filename, file.requires_python, file.metadata) == ("x-1+l.whl", ">=3.8", "yes")
    assert file.url == "https://user:pw@index.example/f/x-1%2Bl.whl"


@pytest.mark.parametrize("page", [b"{", b'{"files": [1]}', b'{"files": {"a": 1}}'])
def test_a_page_that_is_none(page: bytes) -> None:
    with pytest.raises(BuildError, match="cannot be read") as caught:
        parse_page(page, PAGE)
    assert caught.value.code == "bad-index"


def test_metadata_out_of_a_wheel_that_holds_other_packages(tmp_path: Path) -> None:
    inner = "my_app/_vendor/other-2.dist-info/METADATA"
    path = tmp_path / "w.whl"
    path.write_bytes(wheel("my_app", "1.0", {inner: b"Name: other"}, requires=("b",)))
    assert "Requires-Dist: b" in metadata_of(str(path), "my_app-1.0.whl")


# ---------------------------------------------------------------- settings of the host


def test_indexes_of_pip(tmp_path: object) -> None:
    environment = {"PIP_CONFIG_FILE": f"{tmp_path}/pip.conf", "HOME": f"{tmp_path}"}
    with open(f"{tmp_path}/pip.conf", "w") as file:
        file.write(
            "[global]\nindex-url = https://one/simple\nextra-index-url = https://two/\n  file:///three\n"
        )
    assert pip_indexes(environment) == ("https://one/simple", "https://two/")
    assert pip_indexes({**environment, "PIP_INDEX_URL": "https://env"})[0] == "https://env"


def test_registry_of_npm(tmp_path: object) -> None:
    with open(f"{tmp_path}/.npmrc", "w") as file:
        file.write("; comment\nregistry = https://registry.example/\n")
    assert npm_registry({"HOME": f"{tmp_path}"}) == ("https://registry.example/",)
    assert npm_registry({"HOME": f"{tmp_path}", "npm_config_registry": "https://e"}) == ("https://e",)
