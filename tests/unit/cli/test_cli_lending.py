"""--secret, --ssh and --allow: what they say, and where values come from."""

import socket
from pathlib import Path

import pytest

from buildtool.cli.lending import LARGEST_SECRET, Lending, SecretFlag, parse_lending, parse_secret
from buildtool.diag import BuildError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id=a,src=b", SecretFlag("a", path="b")),
        ("type=file,id=a,source=b=c", SecretFlag("a", path="b=c")),
        ("id=a,env=B", SecretFlag("a", variable="B")),
        ("type=env,id=a,src=B", SecretFlag("a", variable="B")),
        ("type=env,id=a", SecretFlag("a", variable="a")),
        ("id=SET", SecretFlag("SET", variable="SET")),
        ("id=unset", SecretFlag("unset", path="unset")),
    ],
)
def test_secrets(text: str, expected: SecretFlag) -> None:
    assert parse_secret(text, {"SET": "1"}) == expected


@pytest.mark.parametrize(
    "text", ["", "hunter2", "id=", "src=a", "id=a,src=b,env=C", "id=a,type=vault", "id=a,x=y"]
)
def test_what_is_no_secret(text: str) -> None:
    with pytest.raises(BuildError) as caught:
        parse_secret(text, {})
    assert caught.value.code == "bad-usage"
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


def test_values_are_lent_and_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"canary\xff\n")
    flags = (f"id=a,src={tmp_path / 'token'}", "id=b,env=B")
    lending = parse_lending(flags, (), ("network.host,security.insecure", "fs.read=/"), {})
    with lending.lent({"B": "canary"}) as lent:
        assert dict(lent.secrets) == {"a": b"canary\xff\n", "b": b"canary"}
        assert lent.allow >= {"network.host", "security.insecure"}
        assert "canary" not in repr(lent)


@pytest.mark.parametrize("secret", ["id=a,src=/nowhere", "id=a,env=UNSET", "id=a,src=/dev/zero"])
def test_values_that_cannot_be_had(secret: str) -> None:
    with pytest.raises(BuildError) as caught, parse_lending((secret,), (), (), {}).lent({}):
        pass
    assert caught.value.code == "no-secret"
    assert LARGEST_SECRET == 500 << 10


def test_agents(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "agent"))
        environment = {"SSH_AUTH_SOCK": str(tmp_path / "agent")}
        with parse_lending((), ("default", f"x={tmp_path}/agent"), (), {}).lent(environment) as lent:
            assert lent.agents == {"default": str(tmp_path / "agent"), "x": str(tmp_path / "agent")}


def test_no_agents(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    for flag, code, hint in (
        ("default", "no-agent", "ssh-agent"),
        (f"x={tmp_path}/key", "bad-key", "ssh-keygen"),
        (f"x={tmp_path}/no", "no-agent", ""),
    ):
        with pytest.raises(BuildError) as caught, parse_lending((), (flag,), (), {}).lent({}):
            pass
        assert caught.value.code == code
        assert hint in caught.value.hint


def test_entitlements() -> None:
    with pytest.raises(BuildError, match="root"):
        parse_lending((), (), ("root",), {})
    with Lending().lent({}) as lent:
        assert lent.allow == frozenset()
