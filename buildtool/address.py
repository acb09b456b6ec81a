"""Addresses as they may be written down: without the credentials that some have."""

import re

#: Parameters of a query that are credentials or belong to a signature, by the names in use.
_NAMES = (
    r"(?i:access_?key(?:_?id)?|access_?token|api_?key|auth(?:orization)?|awsaccesskeyid|client_?secret"
    r"|credential|expires|googleaccessid|jwt|key-pair-id|pass(?:word|wd)?|policy|private_?token|secret"
    r"|se|sig|signature|sp|sr|st|sv|token|x-amz-[a-z-]+|x-goog-[a-z-]+)"
)
_SECRET = re.compile(_NAMES)
_END = r"\s\"'#"
#: In any text: what stands before the `@` of an address, and the value of such a parameter.
_HIDDEN = re.compile(rf"(?<=://)[^/?{_END}]*(?=@)|(?<=[?&]){_NAMES}=[^&{_END}]*")


def public(url: str) -> str:
    """The URL without user, password, fragment, and parameters that are credentials by their names.

    Two addresses that differ in nothing else are one file to a lock.
    """
    # Not imported above: most builds name no address, and starting up is counted in milliseconds.
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(url)
    query = "&".join(p for p in parts.query.split("&") if not _SECRET.fullmatch(p.partition("=")[0]))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def shown(text: str) -> str:
    """Any text, the users, passwords and credentials of the addresses in it taken out."""
    return _HIDDEN.sub("", text).replace("://@", "://") if "://" in text else text


def masked(text: str) -> str:
    """Any text, a star for each letter of the credentials of addresses in it, so that columns stay."""
    return _HIDDEN.sub(lambda m: "*" * len(m[0]), text) if "://" in text else text


def has_credentials(text: str) -> bool:
    """Whether an address with a user, a password or other credentials stands in the text."""
    return "://" in text and _HIDDEN.search(text) is not None
