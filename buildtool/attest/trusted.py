"""Keys that someone trusts: a `keys.toml`, which names them and says how long they count, or bare PEM files.

[keys.alpha]
file = "alpha.pub"         # beside this file
owner = "team-a"           # keys of one owner count once; by default each key is its own
begins = 2026-01-01        # dates or instants, UTC; both may be left out
expires = 2027-06-30
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from buildtool.attest.keys import PublicKey, read_public
from buildtool.diag import BuildError

_LARGEST = 1 << 20
_KNOWN = {"file", "owner", "begins", "expires"}


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key that counts from `begins` until before `expires`, in seconds since 1970; None: without bound."""

    name: str
    owner: str
    key: PublicKey
    begins: int | None = None
    expires: int | None = None


def read_trusted(paths: Iterable[str]) -> tuple[TrustedKey, ...]:
    """The keys of all files; BuildError `bad-keys`, `bad-key`."""
    found: list[TrustedKey] = []
    for path in paths:
        if path.endswith(".toml"):
            found += _of_file(path)
        else:
            name = os.path.basename(path).removesuffix(".pem").removesuffix(".pub")
            found.append(TrustedKey(name, name, read_public(path)))
    for one in found:
        same = [other.name for other in found if other.key.id == one.key.id and other is not one]
        if same:
            raise BuildError("bad-keys", f"{one.name} and {same[0]} are the same key")
        if sum(other.name == one.name for other in found) > 1:
            raise BuildError("bad-keys", f"two keys are called {one.name}")
    return tuple(found)


def _of_file(path: str) -> list[TrustedKey]:
    import tomli

    try:
        with open(path, "rb") as file:
            document = tomli.loads(file.read(_LARGEST).decode("utf-8"))
    except OSError as exc:
        raise BuildError("bad-keys", f"cannot read {path}: {exc.strerror}") from exc
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise BuildError("bad-keys", f"{path}: {exc}") from exc
    tables = document.pop("keys", {})
    if document or not isinstance(tables, dict) or not tables:
        raise BuildError("bad-keys", f"{path} holds tables [keys.NAME] and nothing else")
    return [_key(path, name, table) for name, table in tables.items()]


def _key(path: str, name: str, table: Any) -> TrustedKey:
    if not isinstance(table, dict) or not isinstance(table.get("file"), str):
        raise BuildError("bad-keys", f"{path}: the key {name} has no file")
    if unknown := sorted(table.keys() - _KNOWN):
        raise BuildError(
            "bad-keys", f"{path}: a key has no {unknown[0]!r}", hint=f"it has {', '.join(sorted(_KNOWN))}"
        )
    owner = table.get("owner", name)
    if not isinstance(owner, str):
        raise BuildError("bad-keys", f"{path}: the owner of {name} is a text")
    key = read_public(os.path.join(os.path.dirname(path), table["file"]))
    begins, expires = (_instant(path, name, table.get(bound)) for bound in ("begins", "expires"))
    return TrustedKey(name, owner, key, begins, expires)


def _instant(path: str, name: str, value: Any) -> int | None:
    """A date (its first moment) or an instant in seconds; without a zone it is UTC."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return int(value.replace(tzinfo=value.tzinfo or UTC).timestamp())
    if isinstance(value, date):
        return int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp())
    raise BuildError("bad-keys", f"{path}: {value!r} of the key {name} is not a date", hint="2027-06-30")
