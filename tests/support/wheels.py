"""Wheels for tests, made by hand."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping


def record_row(name: str, data: bytes) -> str:
    """A row of RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}"


def wheel(
    name: str,
    version: str,
    files: Mapping[str, bytes],
    *,
    requires: tuple[str, ...] = (),
    requires_python: str = "",
    executable: tuple[str, ...] = (),
    record: str | None = None,
) -> bytes:
    """A wheel with these files and a .dist-info folder; `record` replaces its RECORD."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {r}\n" for r in requires)
    metadata += f"Requires-Python: {requires_python}\n" if requires_python else ""
    every = {
        **files,
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [record_row(n, d) for n, d in every.items()] + [f"{info}/RECORD,,"]
    text = "\n".join(rows) + "\n" if record is None else record
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in {**every, f"{info}/RECORD": text.encode()}.items():
            entry = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100755 if path in executable else 0o100644) << 16
            archive.writestr(entry, data)
    return out.getvalue()
