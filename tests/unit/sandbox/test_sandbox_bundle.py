"""The OCI configuration of a process: what a step gets, as a pure function."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from buildtool.diag import BuildError
from buildtool.sandbox import seccomp
from buildtool.sandbox.bundle import CAPABILITIES, CLOCK_TARGET, HostMount, Machine, Process, config


@dataclass(frozen=True)
class Named:
    path: str


PROCESS = Process(
    argv=("/bin/sh", "-c", "echo hello"),
    env=(("PATH", "/usr/bin:/bin"), ("EMPTY", "")),
    cwd="/work",
    uid=0,
    gid=0,
    groups=(),
    hostname="buildkitsandbox",
    mounts=(HostMount("/in", "/snapshots/1"), HostMount("/tmp", kind="tmpfs", read_only=False, size=4096)),
    network=Named("/proc/7/fd/3"),
    clock=315532800,
    architecture="amd64",
)
ROOT = Machine(user_namespace=False, open_files=(1024, 524288), filter="Zm9v")
USER = Machine(user_namespace=True, open_files=(1024, 4096))


def test_the_whole_document(golden: Callable[[str, str], None]) -> None:
    binds = (HostMount("/etc/hosts", "/state/hosts", read_only=False),)
    document = config(PROCESS, "/mnt/root", binds, ROOT)
    golden("sandbox/config.json", json.dumps(document, indent=1) + "\n")


def test_root_has_dockers_capabilities_and_passes_none_on() -> None:
    held = config(PROCESS, "/", (), ROOT)["process"]["capabilities"]
    assert held["effective"] == held["permitted"] == held["bounding"] == list(CAPABILITIES)
    assert len(CAPABILITIES) == 14
    assert held["inheritable"] == held["ambient"] == []


def test_another_user_has_a_bounding_set_alone() -> None:
    document = config(replace(PROCESS, uid=33, gid=44, groups=(44, 45)), "/", (), ROOT)["process"]
    assert document["capabilities"]["bounding"] == list(CAPABILITIES)
    assert document["capabilities"]["effective"] == document["capabilities"]["permitted"] == []
    assert document["user"] == {"uid": 33, "gid": 44, "additionalGids": [44, 45], "umask": 0o022}


@pytest.mark.parametrize(
    ("env", "clock", "wanted"),
    [
        ((), 0, CLOCK_TARGET),
        ((), None, None),
        ((("LD_PRELOAD", "/lib/their.so"),), 0, f"{CLOCK_TARGET}:/lib/their.so"),
        ((("LD_PRELOAD", "/lib/their.so"),), None, "/lib/their.so"),
    ],
)
def test_preloading(env: tuple[tuple[str, str], ...], clock: int | None, wanted: str | None) -> None:
    found = config(replace(PROCESS, env=env, clock=clock), "/", (), ROOT)["process"]["env"]
    assert found == ([] if wanted is None else [f"LD_PRELOAD={wanted}"])


@pytest.mark.parametrize("bad", ["a\0b", "lone \udc80 surrogate"])
@pytest.mark.parametrize("field", ["argv", "env", "cwd"])
def test_text_that_no_process_can_have(field: str, bad: str) -> None:
    value: object = {"argv": (bad,), "env": (("N", bad),), "cwd": bad}[field]
    with pytest.raises(BuildError) as caught:
        config(replace(PROCESS, **{field: value}), "/", (), ROOT)  # type: ignore[arg-type]
    assert caught.value.code == "bad-process"


def test_networks() -> None:
    isolated = config(PROCESS, "/", (), USER)
    assert {"type": "network", "path": "/proc/7/fd/3"} in isolated["linux"]["namespaces"]
    shared = config(replace(PROCESS, network="host"), "/", (), USER)
    assert all(n["type"] != "network" for n in shared["linux"]["namespaces"])
    # In a user namespace only the owner of the network may mount its sysfs.
    (sys,) = [m for m in shared["mounts"] if m["destination"] == "/sys"]
    assert (sys["source"], "rbind" in sys["options"], "ro" in sys["options"]) == ("/sys", True, True)
    (own,) = [m for m in isolated["mounts"] if m["destination"] == "/sys"]
    assert own["type"] == "sysfs"


def test_the_profile_is_spelled_out_where_no_program_is_known() -> None:
    document = config(PROCESS, "/", (), USER)
    assert document["linux"]["seccomp"] == seccomp.profile("amd64", rseq=False)
    running = config(replace(PROCESS, clock=None), "/", (), USER)
    assert running["linux"]["seccomp"] == seccomp.profile("amd64")
    assert "annotations" not in document
    assert "seccomp" not in config(PROCESS, "/", (), ROOT)["linux"]
    assert "seccomp" not in config(replace(PROCESS, architecture="riscv64"), "/", (), USER)["linux"]


def _names(architecture: str, action: str) -> set[str]:
    profile = seccomp.profile(architecture)
    assert profile is not None
    return {
        name
        for rule in profile["syscalls"]
        if rule["action"] == action and not rule.get("args")
        for name in rule["names"]
    }


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_what_the_filter_lets_through(architecture: str) -> None:
    allowed = _names(architecture, "SCMP_ACT_ALLOW")
    assert {"openat", "execve", "chroot", "ptrace", "fchmodat2", "getdents64"} <= allowed
    assert not allowed & {
        "add_key", "bpf", "clock_settime", "clone", "clone3", "init_module", "io_uring_setup", "kexec_load",
        "keyctl", "mount", "open_by_handle_at", "perf_event_open", "personality", "pivot_root", "reboot",
        "setns", "settimeofday", "socket", "umount2", "unshare", "userfaultfd",
    }  # fmt: skip
    assert ("arch_prctl" in allowed) == (architecture == "amd64")
    assert _names(architecture, "SCMP_ACT_ERRNO") == {"clone3"}


def test_numbers_of_processors_are_kept_from_those_who_see_other_ones() -> None:
    for rseq, action in (True, "SCMP_ACT_ALLOW"), (False, "SCMP_ACT_ERRNO"):
        profile = seccomp.profile("arm64", rseq=rseq)
        assert profile is not None
        (rule,) = [r for r in profile["syscalls"] if "rseq" in r["names"]]
        assert rule["action"] == action


def test_sockets_of_the_host_are_out_of_reach() -> None:
    profile = seccomp.profile("amd64")
    assert profile is not None
    families = {r["args"][0]["value"] for r in profile["syscalls"] if r["names"] == ["socket"]}
    assert {1, 2, 10, 16, 17} <= families
    af_alg, af_vsock = 38, 40
    assert not families & {af_alg, af_vsock}
