"""Control data of Debian (deb822, Debian policy 5.1): stanzas of fields, from bytes of any size.

A stanza stays bytes until a field of it is asked for: an index holds 60,000
stanzas, of which a resolution reads some hundred.
"""

from buildtool.diag import BuildError


def stanzas(data: bytes) -> list[bytes]:
    """The stanzas of a document, without the empty lines between them."""
    return [s for s in (part.strip(b"\n") for part in data.split(b"\n\n")) if s]


def field(stanza: bytes, name: bytes) -> bytes:
    """The one-line value of a field as `name` spells it; empty if the stanza has no such field."""
    start = 0 if stanza.startswith(name + b":") else stanza.find(b"\n" + name + b":") + 1
    if start == 0 and not stanza.startswith(name + b":"):
        return b""
    end = stanza.find(b"\n", start)
    return stanza[start + len(name) + 1 : len(stanza) if end < 0 else end].strip()


def fields(stanza: bytes) -> dict[str, str]:
    """The fields of a stanza by lower-case name; the lines of a folded value are joined by newlines.

    BuildError `bad-deb822` for a line that is neither, or a field that stands there twice.
    """
    found: dict[str, list[str]] = {}
    rows: list[str] = []
    for row in stanza.decode("utf-8", "replace").split("\n"):
        if row[:1] in (" ", "\t") and rows:
            rows.append(row.strip())
            continue
        name, colon, value = row.partition(":")
        key = name.lower()
        if not colon or not name or name != name.strip() or key in found:
            raise BuildError("bad-deb822", f"this is no field of control data: {row[:80]!r}", exit_status=1)
        rows = found[key] = [value.strip()]
    return {name: "\n".join(value).strip("\n") for name, value in found.items()}
