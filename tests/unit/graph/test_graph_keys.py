"""Keys: golden, moved by every field that counts and by no hint, fed by the same walk as explanations."""

import dataclasses
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Literal, get_args, get_origin

import pytest

from buildtool.diag import Span
from buildtool.digest import Digest
from buildtool.graph import model
from buildtool.graph.dump import dump
from buildtool.graph.keys import definition_keys, explain, fields_of, key
from buildtool.graph.model import (
    BaseLayer,
    CopyAction,
    FetchSource,
    FileOp,
    GitSource,
    Healthcheck,
    History,
    Image,
    ImageConfig,
    ImageSource,
    Index,
    LiteralFile,
    LiteralSource,
    LocalSource,
    MakeFolderAction,
    MakeLinkAction,
    Origin,
    Owner,
    Platform,
    Run,
    Step,
    UnpackDebsAction,
    walk,
)
from buildtool.graph.mounts import BindMount, CacheMount, SecretMount, SshMount, TmpfsMount
from buildtool.graph.unpacking import JoinAction, UnpackArchiveAction, UnpackWheelAction

A, B = Digest("sha256:" + "a" * 64), Digest("sha256:" + "b" * 64)
LINUX = Platform("linux", "arm64", "v8")

LOCAL = LocalSource(include=("src", "*.py"), ignore=("*.pyc",), folder="/somewhere")
FETCH = FetchSource(digest=A, name="tool.tar", mode=0o644, size=12, urls=("https://example.org/tool.tar",))
DATED = replace(FETCH, mtime=7)
GIT = GitSource("https://example.org/x.git", "0123456789abcdef" * 2 + "01234567", "docs", True, False)
LITERAL = LiteralSource((LiteralFile("etc/motd", b"hello\n", 0o640),))
BASE = ImageSource(
    manifest=A, layers=(BaseLayer(A, B, 9, "x"),), location="oci-layout:/x", reference="base:1"
)
FILES = FileOp(
    base=BASE,
    actions=(
        CopyAction(
            LOCAL, ("src",), "/app/", Owner("app", "staff"), "0755", ("*.md",), True, True, True, False
        ),
        MakeFolderAction("/var/lib/app", Owner("1"), 0o700),
        MakeLinkAction("/bin/app", "../app/run", Owner("2")),
        UnpackDebsAction(FETCH),
        CopyAction(LITERAL, ("etc",), "/etc/"),
    ),
    epoch=100,
)
UNPACKING = FileOp(
    base=BASE,
    actions=(
        UnpackDebsAction(FETCH, status=True),
        UnpackArchiveAction(FETCH, "/opt", "tool-*/lib", True, ("bin/tool",)),
        UnpackWheelAction(FETCH, "/opt/venv", "3.11"),
        JoinAction(LOCAL, ("*.crt",), "/etc/all.crt", 0o600),
    ),
    epoch=100,
)
RUN = Run(
    base=FILES,
    argv=("/bin/sh", "-c", "true"),
    env=(("PATH", "/bin"),),
    cwd="/app",
    user="app",
    clock=100,
    network="none",
    hostname="build",
    mounts=(
        BindMount(FILES, "/mnt", "/app", False),
        TmpfsMount("/tmp", 1024, True),
        CacheMount("/cache", "pip", FILES, "/app", 0o700, 1, 2, "locked", True),
        SecretMount("token", "/run/token", "TOKEN", True, 0o440, 3, 4),
        SshMount("default", "/run/agent", True, 0o660, 5, 6),
    ),
    finishers=("pyc-mtime",),
    frozen=False,
    security="insecure",
    platform=LINUX,
    proxies=(("http_proxy", "http://proxy.example"),),
)
CONFIG = ImageConfig(
    env=(("A", "b"),),
    entrypoint=("/run",),
    cmd=("x",),
    working_dir="/app",
    user="app",
    labels=(("k", "v"),),
    exposed_ports=("80/tcp",),
    volumes=("/data",),
    stop_signal="SIGINT",
    shell=("/bin/bash", "-c"),
    healthcheck=Healthcheck(("CMD", "true"), 1, 2, 3, 4, 5),
    on_build=("RUN true",),
    args_escaped=True,
)
IMAGE = Image(
    rootfs=RUN,
    config=CONFIG,
    platform=LINUX,
    created=100,
    history=(History("RUN true", True, "c", "me", "2000-01-01T00:00:00Z"),),
    author="me",
    annotations=(("org.example", "1"),),
)
INDEX = Index(images=(IMAGE,), annotations=(("x", "y"),))
ALL: list[Step] = [LOCAL, FETCH, DATED, GIT, LITERAL, BASE, FILES, UNPACKING, RUN, IMAGE, INDEX]


def keys_of(root: Step) -> dict[str, str]:
    keys = definition_keys([root])
    return {type(s).__name__: keys[id(s)] for s in walk([root])}


def test_every_kind_is_tried_here() -> None:
    assert {type(s) for s in ALL} == set(model.STEP_KINDS)


def test_keys_are_golden(golden: Callable[[str, str], None]) -> None:
    text = "".join(f"{name} {value}\n" for name, value in keys_of(INDEX).items())
    golden("graph/keys.txt", text)


def test_keys_of_sources_that_came_later_are_golden(golden: Callable[[str, str], None]) -> None:
    text = "".join(f"{name} {value}\n" for step in (DATED, GIT) for name, value in keys_of(step).items())
    golden("graph/keys-later.txt", text)


def test_keys_of_file_operations_that_came_later_are_golden(golden: Callable[[str, str], None]) -> None:
    golden("graph/keys-unpacking.txt", f"FileOp {keys_of(UNPACKING)['FileOp']}\n" + dump([UNPACKING]))


def test_a_later_field_takes_part_unless_it_has_its_default() -> None:
    assert keys_of(replace(DATED, mtime=None)) == keys_of(FETCH)
    assert keys_of(DATED) != keys_of(FETCH)
    assert "mtime" in dump([DATED])
    assert "mtime" not in dump([FETCH])


def test_the_dump_is_golden(golden: Callable[[str, str], None]) -> None:
    golden("graph/dump.txt", dump([INDEX]))


def values(instance: Any, path: str = "") -> list[tuple[str, Any, Callable[[Any], Any], bool]]:
    """Every field below a step: path, value, how to rebuild the step with another, and whether it counts."""
    found: list[tuple[str, Any, Callable[[Any], Any], bool]] = []
    for f in fields(instance):
        value = getattr(instance, f.name)
        counts = f.metadata.get("identity", True)

        def rebuild(new: Any, name: str = f.name) -> Any:
            return replace(instance, **{name: new})

        found.append((f"{path}{f.name}", value, rebuild, counts))
        if not counts or model.is_step(value):
            continue
        if dataclasses.is_dataclass(value):
            for inner, old, make, inner_counts in values(value, f"{path}{f.name}."):
                found.append((inner, old, lambda new, m=make, r=rebuild: r(m(new)), inner_counts))
        if isinstance(value, tuple):
            for n, item in enumerate(value):
                if dataclasses.is_dataclass(item) and not model.is_step(item):
                    for inner, old, make, inner_counts in values(item, f"{path}{f.name}[{n}]."):

                        def swap(
                            new: Any, n: int = n, m: Any = make, r: Any = rebuild, v: Any = value
                        ) -> Any:
                            return r((*v[:n], m(new), *v[n + 1 :]))

                        found.append((inner, old, swap, inner_counts))
    return found


def another(value: Any, path: str) -> Any:
    """A value of the same type that is not this one."""
    if model.is_step(value):
        return FileOp(None, (MakeFolderAction("/else"),), 1) if not isinstance(value, Image) else IMAGE2
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if path == "commit":
        return "f" * 40
    if path.endswith("network"):
        return "host"
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, bytes):
        return value + b"x"
    if value is None or isinstance(value, Owner | Platform | Healthcheck | ImageConfig | Origin):
        replaced = {
            Owner: Owner("z"),
            Platform: Platform("a", "b"),
            Healthcheck: None,
            ImageConfig: ImageConfig(),
        }
        return replaced.get(type(value), Origin("title", Span("f", 1)))
    if isinstance(value, tuple):
        if value and isinstance(value[0], Image):
            return (IMAGE2,)
        return (*value, value[0]) if not path.endswith("files") else (*value, LiteralFile("new", b""))
    raise TypeError(f"{path}: {value!r}")


IMAGE2 = replace(IMAGE, created=101, platform=Platform("linux", "s390x"))
CASES = [(step, *case) for step in ALL for case in values(step)]


@pytest.mark.parametrize(
    ("step", "path", "value", "rebuild", "counts"),
    CASES,
    ids=[f"{type(c[0]).__name__}.{c[1]}" for c in CASES],
)
def test_every_field_moves_the_key_unless_it_is_a_hint(
    step: Step, path: str, value: Any, rebuild: Callable[[Any], Any], counts: bool
) -> None:
    changed = rebuild(another(value, path) if value != () or not counts else (("x", "y"),))
    before, after = definition_keys([step])[id(step)], definition_keys([changed])[id(changed)]
    assert (before != after) is counts


def test_no_field_of_the_samples_is_left_at_its_default() -> None:
    empty = [
        f"{type(s).__name__}.{p}"
        for s in ALL
        for p, v, _, counts in values(s)
        if counts and v in (None, (), "", False) and not isinstance(v, int) and s is not FETCH
    ]
    # The second copy action and a null base are here to have both forms in the goldens.
    assert [e for e in empty if not e.startswith("FileOp.actions[")] == []


def test_a_key_depends_on_outputs_where_outputs_are_given() -> None:
    by_output = {id(LOCAL): "one", id(BASE): "two", id(FETCH): "three", id(LITERAL): "four"}
    first = key(FILES, lambda s: by_output[id(s)])
    by_output[id(LOCAL)] = "changed"
    assert key(FILES, lambda s: by_output[id(s)]) != first


def test_explain_names_the_field_that_moved_the_key() -> None:
    changed = replace(RUN, user="other")
    old = fields_of(RUN, lambda s: type(s).__name__)
    new = fields_of(changed, lambda s: type(s).__name__)
    assert list(explain(old, new)) == ["user: 'app' -> 'other'"]


def test_equal_steps_are_dumped_once() -> None:
    twins = [FileOp(None, (MakeFolderAction("/a"),), 1), FileOp(None, (MakeFolderAction("/a"),), 1)]
    assert dump(list(twins)).count("FileOp") == 1


def test_walk_gives_inputs_first_and_each_step_once_even_in_a_deep_graph() -> None:
    step: Step = FileOp(None, (MakeFolderAction("/a"),), 1)
    for n in range(5000):
        step = FileOp(step, (MakeFolderAction(f"/{n}"),), 1)
    order = walk([step, step])
    assert len(order) == 5001
    assert order[-1] is step


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: LocalSource(include=()),
        lambda: FetchSource(digest=A, name="../x"),
        lambda: replace(GIT, commit="main"),
        lambda: CopyAction(LOCAL, (), "/a"),
        lambda: CopyAction(LOCAL, ("a",), "a"),
        lambda: FileOp(None, (), 1),
        lambda: replace(RUN, argv=()),
        lambda: replace(RUN, cwd="app"),
        lambda: Index((IMAGE, IMAGE)),
        lambda: LiteralSource((LiteralFile("a", b""), LiteralFile("a", b""))),
    ],
)
def test_a_step_that_makes_no_sense_cannot_be_made(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="not true of this step"):
        wrong()


def test_networks_are_a_closed_set() -> None:
    assert get_origin(model.Network) is Literal
    assert get_args(model.Network) == ("default", "none", "host")
