"""RUN --mount: its fields as BuildKit reads them, and the mounts that they make."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.diag import BuildError, Span
from buildtool.frontends.dockerfile.devices import read_device
from buildtool.frontends.dockerfile.lower import lower
from buildtool.frontends.dockerfile.mounts import mounted_from, read, split
from buildtool.frontends.dockerfile.parse import parse
from buildtool.frontends.dockerfile.request import FolderContext, Request
from buildtool.frontends.dockerfile.values import byte_size
from buildtool.graph.model import FileOp, Image, LocalSource, Platform, Run, walk
from buildtool.graph.mounts import BindMount, CacheMount, Mount, SecretMount, SshMount, TmpfsMount


class NoBases:
    def resolve(self, name: str, platform: Platform, span: Span | None) -> Image:
        raise BuildError("no-image", name)


def run_of(text: str, **more: object) -> Run:
    request = Request(folder="ctx", epoch=7, **more)  # type: ignore[arg-type]
    image = lower(parse(f"FROM scratch\n{text}\n".encode(), "Dockerfile"), request, NoBases()).image
    assert isinstance(image.rootfs, Run)
    return image.rootfs


def mount(text: str, before: str = "") -> Mount:
    (found,) = run_of(f"{before}\nRUN --mount={text} true").mounts
    return found


def without_source(found: Mount) -> dict[str, object]:
    return {name: getattr(found, name) for name in found.__dataclass_fields__ if name != "source"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type=tmpfs,target=/t", TmpfsMount("/t")),
        ("type=TMPFS,Target=/t/../u/,size=1.5m,ro", TmpfsMount("/u", 3 << 19, True)),
        ("type=cache,target=/c", CacheMount("/c", "/c")),
        ("type=cache,target=c/,id=", CacheMount("/w/c", "c")),
        (
            "type=cache,target=/c,id=n,mode=1777,uid=1,gid=2,sharing=Locked,ro=1",
            CacheMount("/c", "n", None, "/", 0o777, 1, 2, "locked", True),
        ),
        ("type=cache,target=/c,source=a/../b,mode=700", CacheMount("/c", "/c", None, "/b")),
        ("type=secret,id=a", SecretMount("a", "/run/secrets/a")),
        ("type=secret,id=a/b", SecretMount("a/b", "/run/secrets/b")),
        ("type=secret,src=a,dst=t", SecretMount("a", "/w/t")),
        ("type=secret,target=/etc/tok", SecretMount("tok", "/etc/tok")),
        ("type=secret,id=a,env=A", SecretMount("a", "", "A")),
        (
            "type=secret,id=a,env=A,dst=/t,required,mode=0440,uid=1",
            SecretMount("a", "/t", "A", True, 0o440, 1),
        ),
        ("type=ssh", SshMount("default", "/run/buildkit/ssh_agent.0")),
        (
            "type=ssh,id=x,target=/a,required=TRUE,mode=666,gid=9",
            SshMount("x", "/a", True, 0o666, 0, 9),
        ),
    ],
)
def test_what_a_mount_says(text: str, expected: Mount) -> None:
    found = mount(text, before="WORKDIR /w")
    assert type(found) is type(expected)
    assert without_source(found) == without_source(expected)


@pytest.mark.parametrize(
    ("text", "path", "read_only", "include"),
    [
        ("target=/m", "/", True, ""),
        ("target=/m,source=.,rw", "/", False, ""),
        ("type=bind,target=/m,src=../a/b/", "/a/b", True, "a/b"),
        ("target=/m,source=a*[b],readwrite=false", "/a*[b]", True, r"a\*\[b]"),
        ("target=/m,source=$X/y,ro=false", "/x x/y", False, "x x/y"),
    ],
)
def test_a_bind_mount_looks_only_at_what_it_names(
    text: str, path: str, read_only: bool, include: str
) -> None:
    found = mount(text, before='ARG X="x x"')
    assert isinstance(found, BindMount)
    assert (found.path, found.read_only) == (path, read_only)
    (source,) = [s for s in walk([found.source]) if isinstance(s, LocalSource)]
    assert source.include == (include,)
    assert isinstance(found.source, FileOp)


def test_outer_mounts_come_first_and_secrets_last() -> None:
    flags = ["type=secret,id=a,target=/a", "type=tmpfs,target=/m/n", "type=cache,target=/m", "type=ssh"]
    found = run_of("RUN " + " ".join(f"--mount={f}" for f in flags) + " true")
    assert [m.target for m in found.mounts] == ["/m", "/m/n", "/a", "/run/buildkit/ssh_agent.3"]


def test_the_way_to_the_agent_is_in_the_environment_unless_it_is_set() -> None:
    assert ("SSH_AUTH_SOCK", "/a") in run_of("RUN --mount=type=ssh,target=/a true").env
    assert ("SSH_AUTH_SOCK", "/mine") in run_of("ENV SSH_AUTH_SOCK=/mine\nRUN --mount=type=ssh true").env


def test_from_means_stages_by_name_contexts_and_nothing_by_number() -> None:
    text = "FROM scratch AS a\nCOPY x /x\nFROM scratch\nRUN --mount=from={},target=/m true\n"
    request = Request(folder="ctx", epoch=7, contexts={"other": FolderContext("elsewhere")})

    def source(name: str) -> str:
        image = lower(parse(text.format(name).encode(), "Dockerfile"), request, NoBases()).image
        return next(s.folder for s in walk([image]) if isinstance(s, LocalSource))

    assert source("A") == "ctx"
    assert source("other") == "elsewhere"
    with pytest.raises(BuildError, match="0"):
        source("0")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "type=bind",
        "target=/m,target",
        "target=/m,size=1",
        "target=/m,mode=700",
        "target=/m,required",
        "type=tmpfs,target=/m,uid=1",
        "type=secret,id=a,from=b",
        "type=secret,id=a,source=b",
        "type=secret,id=a,sharing=shared",
        "type=ssh,source=a",
        "type=cache,target=/c,uid=-1",
        "type=cache,target=/c,mode=9",
        "type=cache,target=/c,gid=4294967296",
        "target=/m,ro=yes",
        "target=/m,env=A",
        "target=/m,",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(BuildError) as caught:
        mount(text)
    assert caught.value.code == "bad-mount"


@pytest.mark.parametrize("text", ['a"b', '"a"b', '"a', '"a""', ""])
def test_quotes_that_are_not_in_order(text: str) -> None:
    with pytest.raises(BuildError):
        split(text)


@pytest.mark.parametrize("key", ["target", "source", "id", "env"])
def test_no_value_holds_a_zero_byte(key: str) -> None:
    with pytest.raises(BuildError, match="zero byte"):
        read(f"type=secret,{key}=$X", lambda text: text.replace("$X", "a\0b"))


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r")), min_size=1))
def test_fields_are_found_again(fields: list[str]) -> None:
    text = ",".join('"' + f.replace('"', '""') + '"' for f in fields)
    assert split(text) == fields


@given(st.text())
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        fields = split(text)
    except BuildError:
        fields = []
    assert all("," not in f for f in fields) or '"' in text
    assert mounted_from(text) == "" or "=" in text


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("0", 0), ("64", 64), ("1k", 1024), ("2MB", 2 << 20), ("1 GiB", 1 << 30), ("1.5tb", 3 << 39)],
)
def test_sizes(text: str, bytes_: int) -> None:
    assert byte_size(text) == bytes_


@pytest.mark.parametrize("text", ["", "-1", "m", "1x", "1e3", "1..5", "٣", "9" * 40])
def test_no_sizes(text: str) -> None:
    with pytest.raises(BuildError):
        byte_size(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vendor.com/gpu=all", ("vendor.com/gpu=all", False)),
        ("gpu,required", ("gpu", True)),
        ("name=a=b,required=false", ("a=b", False)),
        ("required", ("", True)),
    ],
)
def test_devices(text: str, expected: tuple[str, bool]) -> None:
    assert read_device(text) == expected


def test_a_step_runs_without_a_device_that_it_does_not_require() -> None:
    assert run_of("RUN --device=vendor.com/gpu=all true").mounts == ()


def test_privileges_and_networks() -> None:
    assert run_of("RUN --security=insecure true").security == "insecure"
    assert run_of("RUN --security=sandbox true").security == "sandbox"
    assert run_of("RUN --network=host true", allow=frozenset({"network.host"})).network == "host"
    assert run_of("RUN --network=none true", network="host").network == "none"
