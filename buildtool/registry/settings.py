"""Settings: which places serve a name, from `[registries]` of buildtool.toml and registries.conf.

Both say the same of a prefix of names (`HOST`, `HOST/PATH`, `*.DOMAIN`): where it really
is, whether it is blocked or insecure, and its mirrors in order.  The longest prefix
counts; buildtool.toml goes before containers-registries.conf(5), version 2.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from buildtool.diag import BuildError
from buildtool.lock.toml import Kind, Table, parse
from buildtool.reference import Reference
from buildtool.registry.place import Place, is_loopback

CONFIG_NAME = "buildtool.toml"
_KIND = Kind("the configuration", "config", "see the manual, [registries]")
_CONTAINERS = Kind("registries.conf", "config", "see containers-registries.conf(5)")
_LARGEST = 1 << 20
_WHICH = ("all", "digest-only", "tag-only")


@dataclass(frozen=True, slots=True)
class Mirror:
    """Another place of the same images; `which` are pulled from it: all, digest-only or tag-only."""

    location: str
    insecure: bool = False
    which: str = "all"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is set for the names below a prefix."""

    prefix: str
    location: str = ""
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[Mirror, ...] = ()
    realms: tuple[str, ...] = ()
    chunk: int = 0

    def rest(self, name: str) -> str | None:
        """What follows the prefix in a name `HOST/PATH`; None where the rule is not for it."""
        if self.prefix.startswith("*."):
            host, slash, path = name.partition("/")
            return slash + path if host.partition(":")[0].endswith(self.prefix[1:]) else None
        rest = name.removeprefix(self.prefix)
        return rest if rest != name and rest[:1] in ("", "/") else None


class Settings:
    """The rules in force; `tls_verify` of the command line goes before all of them."""

    def __init__(self, rules: Iterable[Rule] = (), tls_verify: bool | None = None) -> None:
        self._rules = sorted(rules, key=lambda rule: len(rule.prefix), reverse=True)
        self._tls_verify = tls_verify

    def write_place(self, reference: Reference) -> Place:
        """Where an image is pushed to; BuildError `registry-blocked`."""
        return self._own_place(reference, self._rule(reference))

    def read_places(self, reference: Reference) -> tuple[Place, ...]:
        """Where an image is looked for, in order: mirrors, then the registry itself."""
        rule = self._rule(reference)
        own = self._own_place(reference, rule)
        if rule is None:
            return (own,)
        rest = rule.rest(reference.repository) or ""
        kind = "digest-only" if reference.digest else "tag-only"
        return (
            *(self._place(m.location + rest, m) for m in rule.mirrors if m.which in ("all", kind)),
            own,
        )

    def _rule(self, reference: Reference) -> Rule | None:
        for rule in self._rules:
            if rule.rest(reference.repository) is not None:
                return rule
        return None

    def _own_place(self, reference: Reference, rule: Rule | None) -> Place:
        if rule is not None and rule.blocked:
            raise BuildError(
                "registry-blocked",
                f"{reference} is not used: {rule.prefix} is blocked",
                hint="registries.conf or [registries] in buildtool.toml of this machine says so",
            )
        if rule is None:
            return self._place(reference.repository, Mirror(""))
        if not rule.location:
            return self._place(reference.repository, rule)
        return self._place(rule.location + (rule.rest(reference.repository) or ""), rule)

    def _place(self, name: str, rule: "Rule | Mirror") -> Place:
        host, _, path = name.partition("/")
        insecure = rule.insecure or is_loopback(host)
        if self._tls_verify is not None:
            insecure = not self._tls_verify
        realms = rule.realms if isinstance(rule, Rule) else ()
        chunk = rule.chunk if isinstance(rule, Rule) else 0
        return Place(host, path, insecure, realms, chunk)


def find_settings(
    folder: str | None, environ: Mapping[str, str] = os.environ, tls_verify: bool | None = None
) -> Settings:
    """The settings of this machine for the workspace or context `folder`; BuildError `config-...`."""
    rules: dict[str, Rule] = {}
    for path in _containers_files(environ):
        for rule in _containers_rules(path):
            rules[rule.prefix] = rule
    if folder is not None:
        for rule in _own_rules(os.path.join(folder, CONFIG_NAME)):
            rules[rule.prefix] = rule
    return Settings(rules.values(), tls_verify)


# ---------------------------------------------------------------- buildtool.toml


def _own_rules(path: str) -> Iterator[Rule]:
    registries = parse(_read(path), path, _KIND).table("registries")
    for prefix in registries.tree:
        table = registries.table(prefix)
        table.only("location", "insecure", "blocked", "mirrors", "realms", "chunk-size")
        mirrors = table.texts("mirrors") if "mirrors" in table.tree else ()
        yield Rule(
            prefix,
            table.text("location").rstrip("/") if "location" in table.tree else "",
            _flag(table, "insecure"),
            _flag(table, "blocked"),
            tuple(_mirror(text) for text in mirrors),
            table.texts("realms") if "realms" in table.tree else (),
            _bytes(table, "chunk-size"),
        )


def _mirror(text: str) -> Mirror:
    """`HOST/PATH`, or `http://HOST/PATH` for one that is reached without TLS."""
    if text.startswith("http://"):
        return Mirror(text.removeprefix("http://").rstrip("/"), insecure=True)
    return Mirror(text.removeprefix("https://").rstrip("/"))


def _flag(table: Table, key: str) -> bool:
    value = table.tree.get(key, False)
    if not isinstance(value, bool):
        table.wrong(key, "true or false")
    return value


def _bytes(table: Table, key: str) -> int:
    value = table.tree.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        table.wrong(key, "a number of bytes")
    return value


# ---------------------------------------------------------------- registries.conf


def _containers_files(environ: Mapping[str, str]) -> list[str]:
    """The files in force, those that count most last; drop-ins follow in the order of their names."""
    if chosen := environ.get("CONTAINERS_REGISTRIES_CONF"):
        return [chosen]
    home = environ.get("HOME", "")
    own = f"{home}/.config/containers/registries.conf" if home else ""
    first = own if own and os.path.exists(own) else "/etc/containers/registries.conf"
    found = [first]
    for folder in ("/etc/containers/registries.conf.d", f"{own}.d" if own else ""):
        try:
            names = sorted(os.listdir(folder)) if folder else []
        except OSError:
            continue
        found += [f"{folder}/{name}" for name in names if name.endswith(".conf")]
    return found


def _containers_rules(path: str) -> Iterator[Rule]:
    """The `[[registry]]` tables of a file; one in the form of version 1 says nothing that is used here."""
    top = parse(_read(path), path, _CONTAINERS)
    for item in _tables(top.tree.get("registry"), top):
        prefix, location = str(item.get("prefix") or ""), str(item.get("location") or "")
        by_digest = "digest-only" if item.get("mirror-by-digest-only") is True else ""
        mirrors = []
        for mirror in _tables(item.get("mirror"), top):
            which = by_digest or str(mirror.get("pull-from-mirror") or "all")
            where = str(mirror.get("location") or "").rstrip("/")
            if where and which in _WHICH:
                mirrors.append(Mirror(where, mirror.get("insecure") is True, which))
        if prefix or location:
            yield Rule(
                (prefix or location).rstrip("/"),
                location.rstrip("/"),
                item.get("insecure") is True,
                item.get("blocked") is True,
                tuple(mirrors),
            )


def _tables(value: object, top: Table) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        top.fail("a registry or mirror is written as a table: [[registry]]")
    return value


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as e:
        raise BuildError("config-unreadable", f"cannot read {path}: {e.strerror}") from e
