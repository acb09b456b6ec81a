"""Control data."""

import pytest

from buildtool.archives.deb822 import field, fields, stanzas
from buildtool.diag import BuildError

TEXT = b"Package: a\nDescription: short\n long one\n .\n\tlonger\nVersion: 1\n\n\nPackage: b\nX-Package: c"


def test_stanzas_and_fields() -> None:
    first, second = stanzas(TEXT)
    assert fields(first) == {"package": "a", "description": "short\nlong one\n.\nlonger", "version": "1"}
    assert field(first, b"Version") == b"1"
    assert field(second, b"Package") == b"b"
    assert field(second, b"X-Package") == b"c"
    assert field(second, b"Version") == b""
    assert stanzas(b"\n\n\n") == []


@pytest.mark.parametrize("bad", [b"Package a", b" folded", b"A: 1\na: 2", b": x", b"A : 1"])
def test_bad_stanzas(bad: bytes) -> None:
    with pytest.raises(BuildError) as caught:
        fields(bad)
    assert caught.value.code == "bad-deb822"
