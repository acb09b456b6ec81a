"""Checks the signature of an `InRelease` file with gpgv, and gives back only what was signed."""

import base64
import binascii
import os
import shutil
import tempfile

from buildtool.diag import BuildError

_BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_END = b"-----END PGP SIGNATURE-----"
_SECONDS = 60

#: What gpgv says of a signature that does not count, and how that is told.
_USELESS = {
    "EXPKEYSIG": "the key {} has expired",
    "REVKEYSIG": "the key {} was revoked",
    "EXPSIG": "the signature by {} has expired",
    "NO_PUBKEY": "the key {} is not among the trusted ones",
    "ERRSIG": "the signature by {} cannot be checked",
}


def signed_text(message: bytes, keyring: bytes, title: str) -> bytes:
    """The text that a trusted key signed in a clear-signed message (RFC 9580, 7).

    `keyring` holds public keys, binary or armoured; one good signature is enough,
    and a bad one spoils the others, as in apt.  BuildError `bad-signature`,
    `unsigned` or `no-gpgv`; `title` names the message in them.
    """
    _check_frame(message, title)
    program = shutil.which("gpgv")
    if program is None:
        raise BuildError(
            "no-gpgv",
            "gpgv, which checks the signatures of Debian's archive, is not installed",
            hint="apt-get install gpgv",
            exit_status=1,
        )
    with tempfile.TemporaryDirectory(prefix="buildtool-gpgv-") as folder:
        status, text = _gpgv(program, folder, message, dearmour(keyring))
    _judge(status, title)
    return text


def dearmour(keys: bytes) -> bytes:
    """Public keys as bare packets; armoured blocks (RFC 9580, 6.2) may stand one after the other."""
    if b"-----BEGIN PGP PUBLIC KEY BLOCK-----" not in keys:
        return keys
    found = b""
    lines: list[bytes] | None = None
    header = False
    for row in keys.splitlines():
        row = row.strip()
        if row == b"-----BEGIN PGP PUBLIC KEY BLOCK-----":
            lines, header = [], True
        elif row == b"-----END PGP PUBLIC KEY BLOCK-----" and lines is not None:
            found += _decoded(b"".join(lines))
            lines = None
        elif lines is not None and header:
            header = bool(row)
        elif lines is not None and not row.startswith(b"="):
            lines.append(row)
    return found


def _decoded(block: bytes) -> bytes:
    try:
        return base64.b64decode(block, validate=True)
    except binascii.Error as e:
        raise BuildError("bad-keyring", f"a keyring is not base64: {e}") from e


def _check_frame(message: bytes, title: str) -> None:
    """One signed message and nothing around it, so that unsigned text can never be taken for signed."""
    rows = message.rstrip(b"\n").split(b"\n")
    framed = rows[0] == _BEGIN and rows[-1] == _END
    if not framed or rows.count(_BEGIN) != 1 or rows.count(_SIGNATURE) != 1 or rows.count(_END) != 1:
        raise BuildError(
            "unsigned",
            f"{title} is not a signed message",
            hint="the mirror may be answering with something else, such as a login page",
            exit_status=1,
        )


def _gpgv(program: str, folder: str, message: bytes, keyring: bytes) -> tuple[str, bytes]:
    import subprocess

    paths = {name: os.path.join(folder, name) for name in ("keyring.gpg", "message", "text")}
    for name, data in (("keyring.gpg", keyring), ("message", message)):
        with open(paths[name], "wb") as file:
            file.write(data)
    argv = [program, "--homedir", folder, "--keyring", paths["keyring.gpg"], "--status-fd", "1"]
    argv += ["--weak-digest", "SHA1", "--weak-digest", "RIPEMD160"]
    argv += ["--output", paths["text"], paths["message"]]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            env={"LC_ALL": "C", "PATH": os.environ.get("PATH", "/usr/bin:/bin")},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise BuildError("no-gpgv", f"gpgv could not be run: {e}", exit_status=1) from e
    text = b""
    if os.path.exists(paths["text"]):
        with open(paths["text"], "rb") as file:
            text = file.read()
    return done.stdout.decode("ascii", "replace"), text


def _judge(status: str, title: str) -> None:
    """Read gpgv's status lines (GnuPG, doc/DETAILS); its exit code also counts keys that are missing."""
    good = False
    reasons = []
    for row in status.splitlines():
        word, _, rest = row.removeprefix("[GNUPG:] ").partition(" ")
        key = rest.split(" ")[0]
        if word == "BADSIG":
            raise BuildError(
                "bad-signature",
                f"the signature of {title} by the key {key} does not fit its text",
                hint="the file was changed on its way; try another mirror",
                exit_status=1,
            )
        if word == "GOODSIG":
            good = True
        elif word in _USELESS:
            reasons.append((word, _USELESS[word].format(key)))
    if not good:
        told = [text for word, text in reasons if word != "ERRSIG"] or [text for _, text in reasons]
        raise BuildError(
            "bad-signature",
            f"no trusted key has signed {title}: "
            + (", ".join(dict.fromkeys(told)) or "it has no signature"),
            hint="give the archive's keys with `keyring`, or update buildtool for newer keys of Debian",
            exit_status=1,
        )
