"""Credentials: what `docker login` and `podman login` have left on this machine, and helper programs.

Files are looked through in this order, the first that answers counts:

    --authfile, else $REGISTRY_AUTH_FILE                         where given, no other
    $XDG_RUNTIME_DIR/containers/auth.json                        containers-auth.json(5)
    ~/.config/containers/auth.json
    $DOCKER_CONFIG/config.json, else ~/.docker/config.json       docker login

In each: `credHelpers` of the host, `auths` by the longest path, `credsStore`.
"""

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from buildtool.diag import BuildError
from buildtool.reference import DOCKER

_LARGEST = 4 << 20
_LONGEST_SECRET = 64 << 10
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_HELPER_SECONDS = 60
#: The user name with which helpers and files say that the secret is an identity token.
_TOKEN = "<token>"
#: Docker's name of its own registry in such files.
_DOCKER_KEY = "https://index.docker.io/v1/"


@dataclass(frozen=True, slots=True)
class Credential:
    """A user and a password, or an identity token (OAuth2 refresh token) in its place."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        pair = f"{self.user}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")


def parse_creds(text: str) -> Credential:
    """`USER:PASSWORD`; BuildError `bad-usage`."""
    user, colon, password = text.partition(":")
    if not colon or not user:
        raise BuildError("bad-usage", "a login is given as USER:PASSWORD")
    return Credential(user, password)


class Keyring:
    """Finds the credential for a repository.

    `fixed` are those of the command line: they are for the hosts named, and for no other.
    """

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        authfile: str = "",
        fixed: Mapping[str, Credential] | None = None,
    ) -> None:
        self._environ = environ
        self._authfile = authfile or environ.get("REGISTRY_AUTH_FILE", "")
        self._fixed = fixed or {}

    def find(self, host: str, path: str) -> Credential | None:
        """The credential for `HOST/PATH`; None for anonymous use.

        BuildError `bad-auth-file`, `credential-helper`.
        """
        if host in self._fixed:
            return self._fixed[host]
        for file in self.files():
            found = find_in(read_auth(file), file, host, path, self._environ)
            if found is not None:
                return found
        return None

    def files(self) -> list[str]:
        """The files to look through."""
        if self._authfile:
            return [self._authfile]
        found = []
        if runtime := self._environ.get("XDG_RUNTIME_DIR"):
            found.append(f"{runtime}/containers/auth.json")
        home = self._environ.get("HOME", "")
        if config := self._environ.get("XDG_CONFIG_HOME") or (home and f"{home}/.config"):
            found.append(f"{config}/containers/auth.json")
        if place := self.docker_file():
            found.append(place)
        return found

    def docker_file(self) -> str:
        """Docker's own file; empty without a home."""
        if folder := self._environ.get("DOCKER_CONFIG"):
            return f"{folder}/config.json"
        home = self._environ.get("HOME", "")
        return f"{home}/.docker/config.json" if home else ""

    def login_file(self) -> str:
        """The file that a login is kept in; BuildError `no-home`."""
        found = self._authfile or self.docker_file()
        if not found:
            raise BuildError(
                "no-home", "there is no home directory to keep a login in", hint="use --authfile"
            )
        return found


def read_auth(path: str) -> dict[str, Any]:
    """The document of an auth file; empty where there is none.  BuildError `bad-auth-file`."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as e:
        raise BuildError("bad-auth-file", f"{path} cannot be read: {e.strerror}") from e
    try:
        found = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError):
        found = None
    if len(data) > _LARGEST or not isinstance(found, dict):
        raise BuildError("bad-auth-file", f"{path} is not a file of credentials: it has to be a JSON object")
    return found


def find_in(
    document: Mapping[str, Any], file: str, host: str, path: str, environ: Mapping[str, str]
) -> Credential | None:
    """The credential that one document has for `HOST/PATH`."""
    host = normal_key(host)
    helpers = document.get("credHelpers")
    for name in host_names(host):
        if isinstance(helpers, dict) and isinstance(helpers.get(name), str):
            return helper_get(helpers[name], helper_key(host), environ)
    auths = document.get("auths")
    if isinstance(auths, dict):
        known = {normal_key(key): value for key, value in auths.items()}
        for key in _keys(host, path):
            entry = known.get(key)
            if isinstance(entry, dict) and (found := _entry(entry, file, key)) is not None:
                return found
    store = document.get("credsStore")
    return helper_get(store, helper_key(host), environ) if isinstance(store, str) and store else None


def normal_key(key: str) -> str:
    """A key of `auths` without scheme and API version, `docker.io` for all of Docker's names."""
    bare = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    for version in ("/v1", "/v2"):
        bare = bare.removesuffix(version)
    return DOCKER if bare in host_names(DOCKER) else bare


def host_names(host: str) -> tuple[str, ...]:
    """The names that a registry goes by in files."""
    return (host,) if host != DOCKER else (_DOCKER_KEY, "index.docker.io", DOCKER, "registry-1.docker.io")


def helper_key(host: str) -> str:
    """What helper programs are asked for."""
    return _DOCKER_KEY if host == DOCKER else host


def _keys(host: str, path: str) -> list[str]:
    """`HOST/a/b`, `HOST/a`, `HOST`: the longest first."""
    parts = path.split("/") if path else []
    return ["/".join((host, *parts[:count])) for count in range(len(parts), -1, -1)]


def _entry(entry: Mapping[str, Any], file: str, key: str) -> Credential | None:
    token = entry.get("identitytoken")
    user, password = entry.get("username"), entry.get("password")
    packed = entry.get("auth")
    if isinstance(packed, str) and packed:
        try:
            pair = base64.b64decode(packed, validate=False).decode()
        except (binascii.Error, UnicodeDecodeError) as e:
            raise BuildError("bad-auth-file", f"{file}: the entry of {key} cannot be decoded") from e
        user, _, password = pair.rstrip("\0").partition(":")
    if isinstance(token, str) and token:
        return Credential(identity_token=token)
    if not isinstance(user, str) or not isinstance(password, str) or not (user or password):
        return None
    return _credential(user, password)


def _credential(user: str, secret: str) -> Credential:
    return Credential(identity_token=secret) if user == _TOKEN else Credential(user, secret)


# ---------------------------------------------------------------- helper programs


def helper_get(name: str, server: str, environ: Mapping[str, str]) -> Credential | None:
    """What `docker-credential-NAME get` answers; None where it knows nothing of the server."""
    status, out = run_helper(name, "get", server.encode(), environ)
    if status != 0:
        if b"credentials not found" in out:
            return None
        raise _helper_failed(name, out)
    try:
        found = json.loads(out)
        return _credential(str(found["Username"]), str(found["Secret"]))
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise BuildError(
            "credential-helper", f"docker-credential-{name} answers something else than a credential"
        ) from e


def helper_store(name: str, server: str, credential: Credential, environ: Mapping[str, str]) -> None:
    """Let a helper keep a credential."""
    user = credential.user or _TOKEN
    secret = credential.password or credential.identity_token
    document = json.dumps({"ServerURL": server, "Username": user, "Secret": secret}).encode()
    status, out = run_helper(name, "store", document, environ)
    if status != 0:
        raise _helper_failed(name, out)


def helper_erase(name: str, server: str, environ: Mapping[str, str]) -> bool:
    """Let a helper forget a credential; whether it had one."""
    if helper_get(name, server, environ) is None:
        return False
    status, out = run_helper(name, "erase", server.encode(), environ)
    if status != 0:
        raise _helper_failed(name, out)
    return True


def run_helper(name: str, verb: str, data: bytes, environ: Mapping[str, str]) -> tuple[int, bytes]:
    """Run `docker-credential-NAME VERB` with data on its input; its status and output, bounded."""
    if not _HELPER.fullmatch(name):
        raise BuildError("credential-helper", f"{name[:100]!r} cannot be the name of a credential helper")
    try:
        done = subprocess.run(
            (f"docker-credential-{name}", verb),
            input=data,
            capture_output=True,
            timeout=_HELPER_SECONDS,
            env=dict(environ),
        )
    except FileNotFoundError as e:
        raise BuildError(
            "credential-helper",
            f"the program docker-credential-{name} is not installed",
            hint="the file of credentials asks for it; install it, or log in with --authfile",
        ) from e
    except (OSError, subprocess.TimeoutExpired) as e:
        raise BuildError("credential-helper", f"docker-credential-{name} gives no answer") from e
    return done.returncode, (done.stdout or done.stderr)[:_LONGEST_SECRET]


def _helper_failed(name: str, out: bytes) -> BuildError:
    said = " ".join(out.decode("utf-8", "replace").split())[:200]
    return BuildError("credential-helper", f"docker-credential-{name} fails: {said}", exit_status=1)
