"""A published image as a claim: what its provenance says to build comes to the digest that it has."""

from dataclasses import replace
from typing import TYPE_CHECKING

from buildtool.attest.provenance import differences
from buildtool.attest.statement import Statement, decoded
from buildtool.cli.access import Access
from buildtool.cli.parameters import work_again
from buildtool.cli.told import checked_provenance, provenance_in, provenance_of
from buildtool.cli.verifying import Claim
from buildtool.cli.whole import digest_of, whole
from buildtool.diag import BuildError
from buildtool.store import Store

if TYPE_CHECKING:
    from buildtool.digest import Digest
    from buildtool.verify.building import Outcome

_LARGEST = 64 << 20
_MOST_REASONS = 20


def published(text: str, source: str, provenance: str, given: tuple[str, ...], access: Access) -> Claim:
    """The claim of an image; `provenance` is a file's path, or empty for what stands beside the image.

    `given` are options for the build of whoever verifies.
    """
    digest = digest_of(text)
    data = _read(provenance) if provenance else None
    with Store.open() as store:
        if digest is not None:
            data = data or provenance_in(store, digest)
        else:
            layout, descriptor = whole(text, store, access)
            digest = descriptor.digest
            data = data or provenance_of(text, store, layout, digest, access)
    if data is None:
        raise BuildError(
            "no-provenance",
            f"nothing is known of where {digest} comes from",
            hint="--provenance FILE tells; buildtool provenance prints it where the image was built",
        )
    statement = checked_provenance(data, digest)
    parameters = statement.predicate["buildDefinition"].get("externalParameters", {})
    work = work_again(parameters, source, given)
    work = replace(work, arguments=(*work.arguments, *access.arguments()))

    def why(outcome: "Outcome") -> list[str]:
        return _reasons(statement, outcome)

    return Claim(text.partition("@")[0] if "@" in text else text, work, (digest,), "its provenance", why)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise BuildError("no-provenance", f"cannot read {path}: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise BuildError("bad-provenance", f"{path} has more than {_LARGEST} bytes")
    return data


def _reasons(statement: Statement, outcome: "Outcome") -> list[str]:
    """What the rebuild had otherwise than the first build; a row that says so if it had nothing."""
    digest: Digest = outcome.digests[0]
    with Store.open(outcome.store) as store:
        data = provenance_in(store, digest)
    rows = differences(statement, decoded(data)) if data is not None else []
    more = [f"... and {len(rows) - _MOST_REASONS} more"] if len(rows) > _MOST_REASONS else []
    return rows[:_MOST_REASONS] + more or ["every input was the same: a step is not reproducible"]
