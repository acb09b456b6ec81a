"""The values of --output."""

from pathlib import Path

import pytest

from buildtool.cli.outputs import Output, one_compression, parse_output
from buildtool.diag import BuildError


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("type=oci,dest=x.tar", Output("oci", "x.tar")),
        ("type=oci,dest=new,tar=false", Output("oci", "new", tar=False)),
        ("type=oci,dest=-,compression=zstd", Output("oci", "-", compression="zstd")),
        ("type=docker", Output("docker")),
        ("type=docker,dest=x.tar,rewrite-timestamp=true", Output("docker", "x.tar")),
        ('type=image,"name=a,b"', Output("image", names=("a", "b"))),
        ("folder", Output("local", "folder")),
        ("-", Output("tar", "-")),
        ("type=local,dest=x", Output("local", "x")),
        ("type=tar,dest=x.tar", Output("tar", "x.tar")),
        ("type=cacheonly", Output("cacheonly")),
        ("type=oci,dest=x.tar,push=false,oci-mediatypes=true", Output("oci", "x.tar")),
    ],
)
def test_outputs(text: str, output: Output) -> None:
    assert parse_output(text) == output


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad-output"),
        ("type=ocl,dest=x", "bad-output"),
        ("type=oci", "bad-output"),
        ("type=oci,dest=x,compresion=zstd", "bad-output"),
        ("type=oci,dest=x,compression=xz", "bad-output"),
        ("type=oci,dest=x,compression-level=9", "bad-output"),
        ("type=oci,dest=x,tar=perhaps", "bad-output"),
        ("type=oci,dest=-,tar=false", "bad-output"),
        ("type=docker,dest=x,tar=false", "bad-output"),
        ("type=image,dest=x", "bad-output"),
        ("type=local", "bad-output"),
        ("type=tar", "bad-output"),
        ("type=local,dest=-", "bad-output"),
        ("type=local,dest=x,name=y", "bad-output"),
        ("type=cacheonly,name=y", "bad-output"),
        ("type=registry,dest=x", "bad-output"),
        ("type=oci,dest=x,push=true", "bad-output"),
        ("type=oci,dest=x,force-compression=true", "not-yet"),
        ("type=oci,dest=x,annotation.a=b", "not-yet"),
    ],
)
def test_refused_outputs(text: str, code: str) -> None:
    with pytest.raises(BuildError) as caught:
        parse_output(text)
    assert caught.value.code == code


def test_a_wrong_key_is_told_with_the_nearest() -> None:
    with pytest.raises(BuildError) as caught:
        parse_output("type=oci,dst=x")
    assert caught.value.hint == "did you mean dest?"


def test_a_folder_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        parse_output(f"type=oci,dest={tmp_path}")
    assert "tar=false" in caught.value.hint


def test_layers_are_compressed_once() -> None:
    both = (Output("oci", "a"), Output("oci", "b", compression="zstd"))
    with pytest.raises(BuildError):
        one_compression(both)
    assert one_compression(both[1:]) == "zstd"
    assert one_compression(()) == "gzip"
