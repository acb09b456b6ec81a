"""`buildtool attest`: builds an image again and signs that it came out the same."""

import os
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from buildtool.cli.access import DOCKER, Access
from buildtool.cli.claims import claim_of, claim_options, how_of
from buildtool.cli.switches import SwitchCommand
from buildtool.diag import BuildError

if TYPE_CHECKING:
    from buildtool.digest import Digest


@click.command("attest", cls=SwitchCommand)
@claim_options
@click.option("--key", required=True, metavar="FILE", help="The private key that signs, in PEM form.")
@click.option(
    "-o", "--output", default="-", metavar="FILE", help="Where to write. [default: standard output]"
)
@click.option(
    "--attach", default="", metavar="oci:FOLDER|docker://NAME", help="Put it beside the image there."
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    what: tuple[str, ...],
    key: str,
    output: str,
    attach: str,
    access: Access,
    **options: Any,
) -> int:
    """Build without cache, and sign: I rebuilt this and got that digest, on such a machine.

    What is built is as for verify: a CONTEXT, a LABEL, or an IMAGE by its provenance, which
    must come to the digest that was published. With --rounds it must also come out the same in
    other worlds. The statement is an in-toto statement in a DSSE envelope.
    """
    from buildtool.attest.dsse import IN_TOTO, seal
    from buildtool.attest.keys import read_private
    from buildtool.attest.machine import described
    from buildtool.attest.statement import rebuilt
    from buildtool.cli import verifying

    access = access.to_places(*what, attach)
    private = read_private(key)
    claim, how = claim_of(ctx, access), how_of(ctx)
    rounds = how.rounds or 0
    found = verifying.examined(claim, how, rounds, sys.stderr)
    if found.here.status or not claim.holds(found):
        return found.here.status or 1
    if len(found.here.digests) != 1:
        raise BuildError("bad-usage", f"a statement is about one image, and {claim.name} is several")
    (digest,) = found.here.digests
    how_often = {"builds": found.asked, "perturbed": [p.name for p in how.possible if rounds]}
    envelope = seal(IN_TOTO, rebuilt(digest, {**described(), **how_often}), private)
    if attach:
        _attach(attach, digest, envelope, access)
    if output != "-" or not attach:
        _write(output, envelope)
    return 0


def _write(path: str, envelope: bytes) -> None:
    if path == "-":
        click.echo(envelope, nl=False)
        return
    from buildtool.oci.export import write_whole

    def write_to(sink: BinaryIO) -> None:
        sink.write(envelope)

    write_whole(path, write_to)


def _attach(place: str, digest: "Digest", envelope: bytes, access: Access) -> None:
    """Put the statement beside the image in a layout or a registry; BuildError if that has no such image."""
    from buildtool.attest.dsse import MEDIA_TYPE
    from buildtool.cli import remote
    from buildtool.oci.artifact import referrer
    from buildtool.oci.export import Export, write_layout
    from buildtool.oci.layout import open_layout
    from buildtool.store import Store

    with Store.open() as store:
        if place.startswith(DOCKER):
            reference = remote.reference_of(place).at(digest)
            image = remote.published(f"{DOCKER}{reference}", store, access)
            made = referrer(store.blobs, image, MEDIA_TYPE, envelope)
            remote.refer([made], digest, [reference], access.registries(os.getcwd()), store)
            return
        folder = place.removeprefix("oci:")
        image = open_layout(folder).named("", digest)
        made = referrer(store.blobs, image, MEDIA_TYPE, envelope)
        export = Export(made.digest, made.size, made.media_type, artifact_type=made.artifact_type)
        write_layout(folder, [export], store.blobs)
