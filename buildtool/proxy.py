"""Proxies of this machine: which of them serves an address, as the environment says."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Proxies:
    """Proxy URLs by scheme, and the hosts that are reached without one (as in `no_proxy`)."""

    by_scheme: Mapping[str, str]
    exempt: str = ""

    def of(self, url: str, fallback: Mapping[str, str]) -> str:
        """The proxy for `url`, or an empty string."""
        parts = urlsplit(url)
        if _exempt(parts.hostname or "", parts.port, self.exempt):
            return ""
        return self.by_scheme.get(parts.scheme) or fallback.get(parts.scheme, "")


def _exempt(host: str, port: int | None, exempt: str) -> bool:
    """Whether `no_proxy` names the host: `*`, a name or address, or a domain with all below it."""
    for item in exempt.lower().replace(",", " ").split():
        name = item.removeprefix("*").lstrip(".")
        if item == "*" or host == name or f"{host}:{port}" == name or host.endswith(f".{name}"):
            return True
    return False


def environment_proxies(environ: Mapping[str, str]) -> Proxies:
    """What `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` (or upper case) say."""

    def value(name: str) -> str:
        return environ.get(name) or environ.get(name.upper()) or ""

    every = value("all_proxy")
    found = {scheme: value(f"{scheme}_proxy") or every for scheme in ("http", "https")}
    return Proxies({s: url for s, url in found.items() if url}, value("no_proxy"))
