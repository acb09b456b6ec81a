"""What a person lends to the steps of a build: secrets, SSH agents, entitlements, as flags say it."""

import base64
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from buildtool.diag import BuildError
from buildtool.executor.api import INSECURE, Lent
from buildtool.frontends.dockerfile.request import NETWORK_HOST

#: Bytes of the largest secret, as in BuildKit.
LARGEST_SECRET = 500 << 10

#: Entitlements of buildx for what its client reads and its daemon does: no build here asks for them.
_NO_MEANING = ("fs", "fs.read", "fs.write", "device", "ssh")


@dataclass(frozen=True, slots=True)
class SecretFlag:
    """Where a secret is: a file's path, or the name of a variable of the environment."""

    id: str
    path: str = ""
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Lending:
    """The flags, read; the values of secrets are not looked at before a build."""

    secrets: tuple[SecretFlag, ...] = ()
    agents: tuple[tuple[str, str], ...] = ()
    allow: frozenset[str] = frozenset()

    @contextmanager
    def lent(self, environment: Mapping[str, str]) -> Iterator[Lent]:
        """The values themselves while a build lasts; BuildError where one cannot be had."""
        with ExitStack() as stack:
            yield Lent(
                {s.id: _value(s, environment) for s in self.secrets},
                {name: _agent(name, path, environment, stack) for name, path in self.agents},
                self.allow,
            )

    def git_login(self, environment: Mapping[str, str], trusted: frozenset[str], host: str) -> str:
        """The Authorization header for a host of git repositories, empty for none.

        As with BuildKit it comes from the secrets GIT_AUTH_HEADER and GIT_AUTH_TOKEN, with `.HOST` behind
        the name for one host.  Those without go to `trusted` hosts alone: ones that the command line names.
        """
        ids = {secret.id: secret for secret in self.secrets}
        for suffix in (f".{host}", *([""] if host in trusted else [])):
            for kind in ("HEADER", "TOKEN"):
                secret = ids.get(f"GIT_AUTH_{kind}{suffix}")
                if secret is not None:
                    return _header(secret.id, kind, _value(secret, environment).strip())
        return ""


def hosts_of(addresses: Iterable[str]) -> frozenset[str]:
    """The hosts of those addresses that are on the web, ports included."""
    from urllib.parse import urlsplit

    web = ("http://", "https://")
    full = (f"https://{a}" if a.startswith("github.com/") else a for a in addresses)
    return frozenset(urlsplit(a).netloc.rpartition("@")[2] for a in full if a.startswith(web))


def parse_lending(
    secrets: tuple[str, ...], agents: tuple[str, ...], allow: tuple[str, ...], environment: Mapping[str, str]
) -> Lending:
    """`--secret`, `--ssh` and `--allow`, as `docker buildx build` takes them."""
    return Lending(
        tuple(parse_secret(text, environment) for text in secrets),
        tuple(_parse_agent(text) for text in agents),
        frozenset(entitlement for text in allow for entitlement in _parse_allow(text)),
    )


def parse_secret(text: str, environment: Mapping[str, str]) -> SecretFlag:
    """`id=ID[,src=PATH|,env=VARIABLE]`; with the id alone, the variable or else the file of that name."""
    known = {"id": "id", "src": "path", "source": "path", "env": "variable", "type": "type"}
    found: dict[str, str] = {}
    for field in text.split(","):
        key, _, value = field.partition("=")
        name = known.get(key.strip().lower())
        if name is None or not value:
            raise BuildError(
                "bad-usage",
                "--secret is not right: it is id=ID,src=PATH or id=ID,env=VARIABLE",
                hint="" if "=" in text else "the value itself is never written on a command line",
            )
        found[name] = value
    kind = found.pop("type", "")
    if not found.get("id") or kind not in ("", "file", "env"):
        raise BuildError("bad-usage", "--secret needs an id, and its type is file or env")
    if kind == "env" and "variable" not in found:
        found["variable"] = found.pop("path", found["id"])
    if "path" in found and "variable" in found:
        raise BuildError("bad-usage", f"--secret {found['id']}: a file or a variable, not both")
    if len(found) == 1:
        found["variable" if found["id"] in environment else "path"] = found["id"]
    return SecretFlag(**found)


def _parse_agent(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not name:
        raise BuildError("bad-usage", "--ssh is default, ID=SOCKET, or ID=KEY[,KEY...]")
    return name, path


def _parse_allow(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in (INSECURE, NETWORK_HOST) and word.partition("=")[0] not in _NO_MEANING:
            raise BuildError(
                "bad-usage",
                f"--allow does not know {word!r}",
                hint=f"{NETWORK_HOST} and {INSECURE} can be allowed",
            )
    return words


def _header(name: str, kind: str, value: bytes) -> str:
    """The header that a secret is, or the one that takes a token for a password, as BuildKit makes it."""
    if not value.isascii() or any(byte < 0x20 for byte in value):
        raise BuildError("no-secret", f"the secret {name!r} is not one line of ASCII")
    if kind == "HEADER":
        return value.decode()
    return "Basic " + base64.b64encode(b"x-access-token:" + value).decode()


def _value(secret: SecretFlag, environment: Mapping[str, str]) -> bytes:
    if secret.variable:
        text = environment.get(secret.variable)
        if text is None:
            raise BuildError("no-secret", f"the secret {secret.id!r}: ${secret.variable} is not set")
        return os.fsencode(text)
    try:
        with open(secret.path, "rb") as file:
            data = file.read(LARGEST_SECRET + 1)
    except OSError as error:
        raise BuildError(
            "no-secret", f"the secret {secret.id!r}: cannot read {secret.path}: {error.strerror}"
        ) from None
    if len(data) > LARGEST_SECRET:
        raise BuildError("no-secret", f"the secret {secret.id!r} is larger than {LARGEST_SECRET >> 10} kB")
    return data


def _agent(name: str, path: str, environment: Mapping[str, str], stack: ExitStack) -> str:
    """The socket of an agent: the person's own, the one at `path`, or one of ours for the keys at `path`."""
    where = path or environment.get("SSH_AUTH_SOCK", "")
    if not where:
        raise BuildError(
            "no-agent",
            f"--ssh {name}: no SSH agent is running, $SSH_AUTH_SOCK is not set",
            hint='eval "$(ssh-agent)" starts one, ssh-add puts keys into it; ID=FILE takes a key by itself',
        )
    paths = path.split(",") if path else [where]
    try:
        sockets = [stat.S_ISSOCK(os.stat(one).st_mode) for one in paths]
    except OSError as error:
        raise BuildError("no-agent", f"--ssh {name}: {error.filename}: {error.strerror}") from None
    if sockets == [True]:
        return os.path.abspath(where)
    if any(sockets):
        raise BuildError("no-agent", f"--ssh {name}: one agent, or keys; not both")
    from buildtool.sandbox.keys import read_key, serving

    return stack.enter_context(serving([read_key(one) for one in paths]))
