"""Trust: the certificates by which registries are known, and we to them.

Authorities are OpenSSL's (SSL_CERT_FILE, SSL_CERT_DIR); for one registry those of
`certs.d/HOST` are added: `*.crt` are authorities, `*.cert` with `*.key` show who we are
(containers-certs.d(5), Docker's "Verify repository client with certificates").
"""

import os
import ssl
from collections.abc import Mapping

from buildtool.diag import BuildError

_FOLDERS = ("/etc/containers/certs.d", "/etc/docker/certs.d")


def context_for(host: str, environ: Mapping[str, str] = os.environ, *, verify: bool = True) -> ssl.SSLContext:
    """How a connection to a registry is secured; BuildError `bad-certificate`."""
    context = ssl.create_default_context()
    for folder in certificate_folders(host, environ):
        for name in sorted(os.listdir(folder)):
            path = f"{folder}/{name}"
            try:
                if name.endswith(".crt"):
                    context.load_verify_locations(path)
                elif name.endswith(".cert"):
                    context.load_cert_chain(path, f"{path.removesuffix('.cert')}.key")
            except OSError as e:
                raise BuildError("bad-certificate", f"{path} cannot be used: {e.strerror or e}") from e
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def certificate_folders(host: str, environ: Mapping[str, str]) -> list[str]:
    """The folders of certificates for one registry (`HOST[:PORT]`) that exist."""
    home = environ.get("HOME", "")
    config = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    own = [f"{config}/containers/certs.d"] if config else []
    return [path for f in (*own, *_FOLDERS) if host and os.path.isdir(path := f"{f}/{host}")]
