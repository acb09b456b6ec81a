"""Credentials: which of the files and helper programs answers for a repository."""

import base64
import json
import os
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.registry.credentials import Credential, Keyring, helper_erase, helper_store


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def docker_config(tmp_path: Path, document: object) -> dict[str, str]:
    (tmp_path / "docker").mkdir(exist_ok=True)
    (tmp_path / "docker" / "config.json").write_text(json.dumps(document))
    return {"DOCKER_CONFIG": str(tmp_path / "docker"), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}


def test_the_longest_path_counts(tmp_path: Path) -> None:
    auths = {"r.io": auth("host", "1"), "r.io/team": auth("team", "2"), "r.io/team/app": auth("app", "3")}
    keyring = Keyring(docker_config(tmp_path, {"auths": auths}))
    found = [keyring.find("r.io", path) for path in ("team/app", "team/other", "teammate/app", "team/app/x")]
    assert [f and f.user for f in found] == ["app", "team", "host", "app"]
    assert keyring.find("r.io:5000", "team/app") is None
    assert keyring.find("sub.r.io", "team/app") is None


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("https://index.docker.io/v1/", "registry-1.docker.io"),
        ("https://r.io", "r.io"),
        ("http://r.io:5000/v2/", "r.io:5000"),
    ],
)
def test_keys_as_docker_writes_them(tmp_path: Path, key: str, host: str) -> None:
    keyring = Keyring(docker_config(tmp_path, {"auths": {key: auth("me", "p:w")}}))
    assert keyring.find(host, "library/debian") == Credential("me", "p:w")


def test_identity_tokens(tmp_path: Path) -> None:
    entry = {**auth("00000000-0000-0000-0000-000000000000", ""), "identitytoken": "T"}
    keyring = Keyring(docker_config(tmp_path, {"auths": {"r.io": entry}}))
    assert keyring.find("r.io", "x") == Credential(identity_token="T")


def test_the_order_of_the_files(tmp_path: Path) -> None:
    environ = docker_config(tmp_path, {"auths": {"r.io": auth("docker", "1"), "only.io": auth("d", "1")}})
    run = tmp_path / "run" / "containers"
    run.mkdir(parents=True)
    (run / "auth.json").write_text(json.dumps({"auths": {"r.io": auth("podman", "1")}}))
    environ["XDG_RUNTIME_DIR"] = str(tmp_path / "run")
    keyring = Keyring(environ)
    first, second = keyring.find("r.io", "x"), keyring.find("only.io", "x")
    assert (first and first.user, second and second.user) == ("podman", "d")

    alone = tmp_path / "alone.json"
    alone.write_text("{}")
    assert Keyring({**environ, "REGISTRY_AUTH_FILE": str(alone)}).find("r.io", "x") is None
    assert Keyring(environ, authfile=str(alone)).find("r.io", "x") is None
    fixed = {"r.io": Credential("given", "1")}
    assert Keyring(environ, fixed=fixed).find("r.io", "x") == Credential("given", "1")
    other = Keyring(environ, fixed=fixed).find("only.io", "x")
    assert other is not None
    assert other.user == "d"


@pytest.mark.parametrize("text", ["[]", "{", '"x"'])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "auth.json"
    file.write_text(text)
    with pytest.raises(BuildError) as caught:
        Keyring({}, authfile=str(file)).find("r.io", "x")
    assert caught.value.code == "bad-auth-file"
    assert str(file) in caught.value.message


def test_secrets_are_in_no_representation() -> None:
    shown = repr(Credential("user", "hunter2", "tok3n"))
    assert "hunter2" not in shown
    assert "tok3n" not in shown


# ---------------------------------------------------------------- helper programs

HELPER = """#!/bin/sh
dir=$(dirname "$0")
case $1 in
get) read -r server; file="$dir/$(echo "$server" | tr -c 'a-z0-9.\\n' _)"
     test -f "$file" || { echo "credentials not found in native keychain"; exit 1; }; cat "$file";;
store) cat > "$dir/stored";;
erase) read -r server; rm "$dir/$(echo "$server" | tr -c 'a-z0-9.\\n' _)";;
esac
"""


@pytest.fixture
def helper(tmp_path: Path) -> dict[str, str]:
    place = tmp_path / "bin"
    place.mkdir()
    program = place / "docker-credential-box"
    program.write_text(HELPER)
    program.chmod(0o755)
    return {"PATH": f"{place}:{os.environ['PATH']}"}


def test_helpers_of_a_host_and_of_all(tmp_path: Path, helper: dict[str, str]) -> None:
    bin_ = tmp_path / "bin"
    (bin_ / "r.io").write_text('{"ServerURL":"r.io","Username":"me","Secret":"s"}')
    (bin_ / "https___index.docker.io_v1_").write_text('{"Username":"<token>","Secret":"t"}')
    environ = {**docker_config(tmp_path, {"credHelpers": {"r.io": "box"}}), **helper}
    assert Keyring(environ).find("r.io", "x") == Credential("me", "s")
    assert Keyring(environ).find("other.io", "x") is None
    environ = {**docker_config(tmp_path, {"credsStore": "box"}), **helper}
    assert Keyring(environ).find("docker.io", "x") == Credential(identity_token="t")
    assert Keyring(environ).find("other.io", "x") is None


def test_helpers_store_and_erase(tmp_path: Path, helper: dict[str, str]) -> None:
    helper_store("box", "r.io", Credential("me", "s"), helper)
    stored = json.loads((tmp_path / "bin" / "stored").read_text())
    assert stored == {"ServerURL": "r.io", "Username": "me", "Secret": "s"}
    assert not helper_erase("box", "r.io", helper)
    (tmp_path / "bin" / "r.io").write_text('{"Username":"me","Secret":"s"}')
    assert helper_erase("box", "r.io", helper)
    assert not (tmp_path / "bin" / "r.io").exists()


def test_a_helper_that_is_missing_or_no_name(tmp_path: Path) -> None:
    environ = docker_config(tmp_path, {"credsStore": "not-there"})
    with pytest.raises(BuildError, match="docker-credential-not-there is not installed"):
        Keyring(environ).find("r.io", "x")
    environ = docker_config(tmp_path, {"credsStore": "../../bin/sh"})
    with pytest.raises(BuildError) as caught:
        Keyring(environ).find("r.io", "x")
    assert caught.value.code == "credential-helper"
