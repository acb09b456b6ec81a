"""Access to registries: which commands have its options, and whose the login of the command line is."""

import importlib

import click
import pytest

from buildtool.cli.access import Access
from buildtool.cli.main import COMMANDS, group
from buildtool.cli.options import request_of
from buildtool.cli.request import BuildRequest
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError

#: Commands that never speak to a registry, or whose login has a form of its own.
WITHOUT = {
    "dockerfile", "fmt", "images", "init", "keygen", "lint", "load", "login", "logout", "prune", "query",
    "save", "serve", "tag", "validate",
}  # fmt: skip
OPTIONS = {"--authfile", "--creds", "--tls-verify", "--retry"}


def options_of(module: str) -> set[str]:
    command = importlib.import_module(module).command
    # `--tls-verify=false` is how skopeo and podman have it.
    assert isinstance(command, SwitchCommand) or "--tls-verify" not in {
        o for p in command.params for o in p.opts
    }
    return {name for parameter in command.params for name in parameter.opts} & OPTIONS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_speaks_to_registries_has_the_options(name: str) -> None:
    if name not in ("login", "logout"):
        assert options_of(COMMANDS[name].module) == (set() if name in WITHOUT else OPTIONS)


def test_the_parts_of_lock_have_them_too() -> None:
    for name in ("lockbundle", "lockpush"):
        assert options_of(f"buildtool.cli.{name}") == OPTIONS


def test_a_login_is_for_the_one_registry_that_is_named() -> None:
    access = Access(creds="me:secret")
    assert access.to_places("docker://one.example/a", "app", "docker://one.example/b").host == "one.example"
    assert access.to_places("docker://debian").host == "docker.io"
    for places in ((), ("one.example/a",), ("docker://one.example/a", "docker://two.example/a")):
        with pytest.raises(BuildError) as raised:
            access.to_places(*places)
        assert raised.value.code == "bad-usage"
    assert Access().to_places("docker://one.example/a", "docker://two.example/a") == Access()
    assert "secret" not in repr(access)


def test_builds_of_other_processes_get_the_options_without_the_login() -> None:
    access = Access("/a/file", "me:secret", False, 7, "one.example")
    assert access.arguments() == ("--authfile", "/a/file", "--no-tls-verify", "--retry", "7")
    assert Access().arguments() == ("--retry", "3")


def request(**options: object) -> BuildRequest:
    plain = dict.fromkeys(("file", "target"), "") | dict.fromkeys(
        ("build_arg", "build_context", "platform", "label", "annotation"), ()
    )
    fixed = {"source_date_epoch": None, "network": "default", "locked": False, "no_lock": False}
    return request_of(what=(".",), access=Access(creds="me:secret"), **{**plain, **fixed, **options})  # type: ignore[arg-type]


def test_a_build_hands_the_login_to_what_its_command_line_names() -> None:
    pushed = request(
        tag=("one.example/a:1", "one.example/a:2"),
        output=("type=registry",),
        cache_from=("type=registry,ref=two.example/cache",),
    )
    assert pushed.access.host == "one.example"
    assert request(cache_from=("two.example/cache",)).access.host == "two.example"
    assert request(build_context=("base=docker-image://three.example/base",)).access.host == "three.example"
    for options in ({}, {"tag": ("one.example/a",)}, {"cache_to": ("type=local,dest=out",)}):
        with pytest.raises(BuildError, match="here are none"):
            request(**options)


def test_a_switch_of_the_command_in_an_image_is_left_alone() -> None:
    command = importlib.import_module(COMMANDS["run"].module).command
    words = ["--tls-verify=false", "-ite", "A=B", "--platform", "linux/amd64", "app", "tool", "--tty=false"]
    ours = click.Context(group, **group.context_settings)
    context = command.make_context("run", words, ours)
    found = {name: context.params[name] for name in ("tls_verify", "tty", "env", "place", "arguments")}
    assert found == {
        "tls_verify": False,
        "tty": True,
        "env": ("A=B",),
        "place": "app",
        "arguments": ("tool", "--tty=false"),
    }
    assert command.make_context("run", ["-eA=e", "app", "--rm=x"], ours).params["arguments"] == ("--rm=x",)
