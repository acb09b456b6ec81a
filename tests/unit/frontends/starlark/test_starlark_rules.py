"""The shipped rules lowered: goldens of their graphs, and what they refuse with its place."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.frontends.starlark.labels import Label
from buildtool.frontends.starlark.packagelock import read_package_lock
from buildtool.frontends.starlark.requirements import read_requirements
from buildtool.frontends.starlark.workspace import Workspace
from buildtool.graph.dump import dump
from buildtool.graph.model import FetchSource, GitSource, Image, Platform, Run, Step, walk
from tests.support.starlark_services import CannedServices, debian_package

AMD64 = Platform("linux", "amd64")
EPOCH = 315532800
INTEGRITY = "sha512-" + "A" * 86 + "=="

RULES = {
    "users": (
        """load("@rules//users.star", "account", "users")
users(
    name = "t",
    accounts = [account("app", 1000, home = "/srv", groups = ["audio"])],
    groups = {"audio": 29},
)
""",
        {},
    ),
    "ca-certificates": (
        """load("@rules//certificates.star", "ca_certificates")
ca_certificates(name = "t", extra = ["own.crt"])
""",
        {"own.crt": "own"},
    ),
    "static-binary": (
        """load("@rules//static.star", "static_binary")
load("@rules//archive.star", "fetch")
fetch(name = "tool", url = "https://example.org/d/tool", sha256 = "a" * 64, executable = True)
static_binary(name = "t", src = ":tool", args = ["-v"], env = {"A": "b"}, exposed_ports = [80])
""",
        {},
    ),
    "archives": (
        """load("@rules//archive.star", "archive", "fetch", "git")
load("@rules//layer.star", "layer")
archive(name = "a", url = "https://example.org/a-1.tgz", strip_prefix = "a-1")
archive(name = "b", source = "b.zip")
fetch(name = "f", url = "https://example.org/f.txt")
git(name = "g", remote = "https://example.org/r.git", ref = "main", subdir = "lib")
layer(name = "t", srcs = [":a", ":b", ":f", ":g", "s/x/y.txt"], dest = "/opt", strip_prefix = "s")
""",
        {"b.zip": "", "s/x/y.txt": ""},
    ),
    "run": (
        """load("@rules//run.star", generate = "run")
load("@rules//layer.star", "layer")
generate(
    name = "made",
    base = "tools:1",
    command = ["cc", "-o", "x", "x.c"],
    srcs = ["x.c"],
    outs = ["x"],
    env = {"A": "b"},
)
layer(name = "t", srcs = [":made"], dest = "/bin")
""",
        {"x.c": ""},
    ),
    "distroless": (
        """load("@rules//debian.star", "distroless")
distroless(name = "t", packages = ["tzdata"], exclude = ["debconf"])
""",
        {},
    ),
    "python": (
        """load("@rules//python.star", "python_app")
python_app(
    name = "t",
    base = "python:3",
    srcs = ["m.py"],
    requirements = "requirements.txt",
    module = "m",
    user = "app",
)
""",
        {"m.py": "", "requirements.txt": "one>=1\ntwo  # comment\n"},
    ),
    "node": (
        """load("@rules//node.star", "node_app")
node_app(name = "t", base = "node:20", srcs = ["index.js"])
""",
        {
            "index.js": "",
            "package-lock.json": json.dumps(
                {
                    "lockfileVersion": 3,
                    "packages": {
                        "": {},
                        "node_modules/ms": {
                            "version": "2.1.3",
                            "integrity": INTEGRITY,
                            "bin": {"ms": "./cli.js"},
                        },
                    },
                }
            ),
        },
    ),
}


def canned() -> CannedServices:
    names = ("ca-certificates", "debconf", "openssl", "tzdata")
    return CannedServices(packages=[debian_package(n) for n in names])


def write(folder: Path, text: str, files: dict[str, str]) -> None:
    (folder / "BUILD.star").write_text(text)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def lowered(
    folder: Path, text: str, files: dict[str, str] | None = None, services: CannedServices | None = None
) -> Image:
    write(folder, text, files or {})
    with Workspace.open(str(folder)) as workspace:
        return workspace.lower(Label("", "t"), AMD64, EPOCH, services or canned())


def kinds(root: Step, kind: type) -> list[Step]:
    return [s for s in walk([root]) if isinstance(s, kind)]


@pytest.mark.parametrize("name", sorted(RULES))
def test_graph(name: str, tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    text, files = RULES[name]
    golden(f"starlark/rules/{name}.dump", dump([lowered(tmp_path, text, files)]))


def test_index(tmp_path: Path) -> None:
    text = 'load("@rules//index.star", "index")\nnative.image("i", base = "b:1")\nindex("t", image = ":i")\n'
    write(tmp_path, text, {})
    with Workspace.open(str(tmp_path)) as workspace:
        images = workspace.images(Label("", "t"), AMD64, EPOCH, canned())
        assert [str(i.platform) for i in images] == ["linux/amd64", "linux/arm64"]
        with pytest.raises(BuildError, match="is several images"):
            workspace.lower(Label("", "t"), AMD64, EPOCH, canned())


def test_names_of_what_is_fetched_are_those_that_people_know(tmp_path: Path) -> None:
    image = lowered(tmp_path, *RULES["archives"])
    fetched = [s.name for s in kinds(image, FetchSource) if isinstance(s, FetchSource)]
    assert sorted(fetched) == ["a-1.tgz", "f.txt"]
    (git,) = kinds(image, GitSource)
    assert isinstance(git, GitSource)
    assert (git.url, git.commit, git.subdir) == ("https://example.org/r.git", "c" * 40, "lib")


def test_a_python_request(tmp_path: Path) -> None:
    services = canned()
    lowered(tmp_path, *RULES["python"], services=services)
    (request,) = services.python
    assert (request.name, request.platform, request.requirements) == (
        "//:t.packages",
        "manylinux_2_28_x86_64",
        ("one>=1", "two"),
    )


def test_steps_of_a_python_app_run_no_setup_code(tmp_path: Path) -> None:
    runs = kinds(lowered(tmp_path, *RULES["python"]), Run)
    assert [r.network for r in runs if isinstance(r, Run)] == ["none", "none"]
    assert all("compileall" in r.argv[3] for r in runs if isinstance(r, Run))


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('load("@rules//push.star", "push")\npush("t", ":i", "r/a")\n', "not-an-image", "pushes an image"),
        ('load("@rules//test.star", "image_test")\nimage_test("t", ":i")\n', "not-an-image", "is a test"),
        (
            'load("@rules//users.star", "account", "users")\nusers("t", [account("a", 0)])\n',
            "starlark",
            "two users",
        ),
        ('load("@rules//archive.star", "fetch")\nfetch("t", url = "ftp://x/y")\n', "bad-argument", "address"),
        (
            'native.debian_packages("t", suites = "sid", packages = "tzdata", exclude = "zzz")\n',
            "nothing-to-exclude",
            "zzz",
        ),
        (
            'load("@rules//python.star", "python_app")\npython_app("t", base = "b:1")\n',
            "starlark",
            "one of module",
        ),
    ],
)
def test_what_is_refused_is_placed_in_the_build_file(tmp_path: Path, text: str, code: str, said: str) -> None:
    with pytest.raises(BuildError) as caught:
        lowered(tmp_path, text + 'native.image("i")\n')
    error = caught.value
    assert error.span is not None
    assert error.span.file == "BUILD.star"
    assert said in error.message
    assert error.code.startswith(code)


# ---------------------------------------------------------------- requirements


def requirements(**files: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    named = {name.replace("_", "."): text.encode() for name, text in files.items()}
    return read_requirements("a.txt", named.__getitem__, "")


def test_requirements_files() -> None:
    text = """\
# comment
Requests [socks] >= 2 ; python_version >= "3.8"   # why
one==1 \\
    --hash=sha256:BBB \\
    --hash=sha256:AAA
-r b.txt
--constraint=c.txt
--require-hashes
""".replace("BBB", "b" * 64).replace("AAA", "a" * 64)
    wanted, limits = requirements(a_txt=text, b_txt="two\n-r a.txt\n", c_txt="three<3\n")
    assert wanted == (
        'Requests[socks]>=2; python_version >= "3.8"',
        f"one==1 --hash=sha256:{'a' * 64} --hash=sha256:{'b' * 64}",
        "two",
    )
    assert limits == ("three<3",)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("-i https://index", "does not belong"),
        ("-e .", "does not belong"),
        ("one @ https://x/y.whl", "from an address"),
        ("one ==", "is not a requirement"),
        ("-r ../b.txt", "outside of the package"),
        ("one --global-option=x", "--global-option does not belong"),
    ],
)
def test_requirements_that_cannot_be_pinned(row: str, said: str) -> None:
    with pytest.raises(BuildError, match=said) as caught:
        requirements(a_txt=f"zero\n{row}\n")
    assert caught.value.span is not None
    assert (caught.value.span.file, caught.value.span.line) == ("a.txt", 2)


def test_requirements_of_a_project() -> None:
    text = b"""[project]\ndependencies = ["one>=1"]\n[project.optional-dependencies]\nfast = ["two"]
[dependency-groups]\ndev = ["three"]\n"""
    assert read_requirements("pyproject.toml", lambda p: text, "", ("fast", "dev"))[0] == (
        "one>=1",
        "two",
        "three",
    )
    with pytest.raises(BuildError, match="no extra or group 'zzz'"):
        read_requirements("pyproject.toml", lambda p: text, "", ("zzz",))


# ---------------------------------------------------------------- package-lock.json


def node(**packages: object) -> list[str]:
    tree = {
        "lockfileVersion": 3,
        "packages": {"": {}, **{f"node_modules/{n}": p for n, p in packages.items()}},
    }
    found = read_package_lock(
        json.dumps(tree).encode(), "package-lock.json", "amd64", dev=False, optional=True
    )
    return [f"{p.folder} {p.archive.place}" for p in found]


def test_packages_for_this_platform() -> None:
    common = {"version": "1.0.0", "integrity": INTEGRITY}
    found = node(
        a={**common, "resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz"},
        b={**common, "dev": True},
        c={**common, "optional": True, "os": ["darwin"]},
        d={**common, "optional": True, "cpu": ["x64"], "libc": ["musl"]},
        e={**common, "optional": True, "os": ["!win32"], "cpu": ["x64"]},
        f={**common, "resolved": "https://own.example/f.tgz?x=1"},
        g={**common, "inBundle": True},
        h={"version": "2.0.0", "name": "@s/real", "integrity": f"sha1-{'A' * 27}= {INTEGRITY}"},
    )
    assert found == [
        "node_modules/a npm:a/-/a-1.0.0.tgz",
        "node_modules/e npm:e/-/e-1.0.0.tgz",
        "node_modules/f https://own.example/f.tgz?x=1",
        "node_modules/h npm:@s/real/-/real-2.0.0.tgz",
    ]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"version": "1", "resolved": "git+ssh://x"}, "has no integrity"),
        ({"link": True, "resolved": "packages/a"}, "is a link"),
        ({"version": "1", "integrity": "x"}, "is not an integrity"),
        ({"version": "../../x", "integrity": INTEGRITY}, "is not a place"),
    ],
)
def test_packages_that_no_registry_serves(entry: object, said: str) -> None:
    with pytest.raises(BuildError, match=said) as caught:
        node(a=entry)
    assert caught.value.code == "bad-package-lock"


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"lockfileVersion": 1, "packages": {}}'])
def test_what_is_no_package_lock(data: bytes) -> None:
    with pytest.raises(BuildError, match="it is not"):
        read_package_lock(data, "package-lock.json", "amd64", dev=False, optional=True)
