"""Logins: proved right at the registry, kept in the file that docker uses, and forgotten."""

import base64
import json
import os
import re
import secrets
from collections.abc import Mapping
from typing import Any

from buildtool.diag import BuildError
from buildtool.reference import HOST, Reference
from buildtool.registry.client import Registries
from buildtool.registry.credentials import (
    Credential,
    Keyring,
    helper_erase,
    helper_key,
    helper_store,
    host_names,
    normal_key,
    read_auth,
)
from buildtool.registry.fault import Fault, error_of

_HOST = re.compile(HOST)


def host_of(text: str) -> str:
    """The registry that `text` names, with or without a scheme; BuildError `bad-usage`."""
    bare = normal_key(text)
    if not _HOST.fullmatch(bare):
        raise BuildError("bad-usage", f"{text[:200]!r} does not name a registry", hint="HOST or HOST:PORT")
    return bare


def check_login(registries: Registries, host: str) -> None:
    """See that a registry takes the credential that there is for it; BuildError `registry-denied`."""
    repository = registries.writing(Reference(host, ""))
    try:
        repository.check_access()
    except Fault as fault:
        raise error_of(fault, f"cannot log in to {host}") from fault


def keep(keyring: Keyring, host: str, credential: Credential, environ: Mapping[str, str]) -> str:
    """Keep a credential by the helper that the file of logins names, else in it; words for where."""
    file = keyring.login_file()
    document = read_auth(file)
    if helper := _helper(document, host):
        helper_store(helper, helper_key(host), credential, environ)
        return f"by docker-credential-{helper}"
    pair = base64.b64encode(f"{credential.user}:{credential.password}".encode()).decode("ascii")
    _without(document, host)
    document.setdefault("auths", {})[helper_key(host)] = {"auth": pair}
    _write(file, document)
    return f"in {file}"


def forget(keyring: Keyring, host: str, environ: Mapping[str, str]) -> bool:
    """Forget the credential of a registry; whether there was one."""
    file = keyring.login_file()
    document = read_auth(file)
    gone = False
    if helper := _helper(document, host):
        gone = helper_erase(helper, helper_key(host), environ)
    if _without(document, host):
        _write(file, document)
        gone = True
    return gone


def _helper(document: Mapping[str, Any], host: str) -> str:
    helpers = document.get("credHelpers")
    if isinstance(helpers, dict):
        for name in host_names(host):
            if isinstance(helpers.get(name), str):
                return str(helpers[name])
    store = document.get("credsStore")
    return store if isinstance(store, str) else ""


def _without(document: dict[str, Any], host: str) -> bool:
    """Take a host's entries out of a document; whether there were any."""
    auths = document.get("auths")
    if not isinstance(auths, dict):
        document.pop("auths", None)
        return False
    found = [key for key in auths if normal_key(key) == host]
    for key in found:
        del auths[key]
    return bool(found)


def _write(path: str, document: Mapping[str, Any]) -> None:
    """Replace the file whole; nobody but its owner may read it.  BuildError `bad-auth-file`."""
    unfinished = f"{path}.{secrets.token_hex(4)}"
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), 0o700, exist_ok=True)
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as out:
            json.dump(document, out, indent="\t")
            out.write("\n")
            out.flush()
            os.fsync(out.fileno())
        # A link, as dotfile managers make them, stays one.
        os.replace(unfinished, os.path.realpath(path))
    except OSError as e:
        try:
            os.unlink(unfinished)
        except OSError:
            pass
        raise BuildError("bad-auth-file", f"{path} cannot be written: {e.strerror}", exit_status=1) from e
