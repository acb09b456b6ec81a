"""The values of --cache-from and --cache-to."""

import pytest

from buildtool.cli.cachespecs import CacheSpec, parse_cache_from, parse_cache_to
from buildtool.diag import BuildError

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("type=local,src=x", CacheSpec("local", "x")),
        (f"type=local,src=x,tag=t,digest={DIGEST}", CacheSpec("local", "x", "t", DIGEST)),
        ("type=registry,ref=example.com/app:cache", CacheSpec("registry", "example.com/app:cache")),
        ("example.com/app:cache", CacheSpec("registry", "example.com/app:cache")),
        ('type=local,"src=a,b"', CacheSpec("local", "a,b")),
    ],
)
def test_from(text: str, spec: CacheSpec) -> None:
    assert parse_cache_from(text) == spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("type=local,dest=x", CacheSpec("local", "x")),
        ("type=local,dest=x,mode=max,tag=t", CacheSpec("local", "x", "t", whole=True)),
        ("type=registry,ref=a/b,mode=min,ignore-error=true", CacheSpec("registry", "a/b", lenient=True)),
        ("type=registry,ref=a/b,oci-mediatypes=true,image-manifest=true", CacheSpec("registry", "a/b")),
        ("a/b", CacheSpec("registry", "a/b")),
        ("type=inline", CacheSpec("inline")),
    ],
)
def test_to(text: str, spec: CacheSpec) -> None:
    assert parse_cache_to(text) == spec


@pytest.mark.parametrize(
    "text",
    ["", "type=gha", "type=local", "type=registry", "type=local,dest=x", "type=local,src=x,mode=max"],
)
def test_bad_from(text: str) -> None:
    with pytest.raises(BuildError) as caught:
        parse_cache_from(text)
    assert caught.value.code == "bad-cache"


@pytest.mark.parametrize(
    "text",
    [
        "type=s3,bucket=x",
        "type=local,src=x",
        "type=local,dest=x,mode=most",
        "type=inline,mode=max",
        "type=registry,ref=a/b,oci-mediatypes=false",
        "type=local,dest=x,tag",
    ],
)
def test_bad_to(text: str) -> None:
    with pytest.raises(BuildError) as caught:
        parse_cache_to(text)
    assert caught.value.code == "bad-cache"
