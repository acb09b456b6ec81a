"""Acceptance: whether enough independent rebuilders say that an image is what they got too.

Pure: statements, keys and the present go in, a judgement of each signature comes out.
Nothing of a statement is believed, or even read, before a trusted key has signed it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from buildtool.attest import dsse
from buildtool.attest.statement import REBUILT, decoded
from buildtool.attest.trusted import TrustedKey
from buildtool.diag import BuildError
from buildtool.digest import Digest


@dataclass(frozen=True, slots=True)
class Judged:
    """A signature at a `place` (a file, an artifact), by the key `name` if known.

    `refused` is a stable code, empty where it counts; `why` says it in words.
    """

    place: str
    name: str
    refused: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What came of all statements; `owners` are those whose word counts."""

    digest: Digest
    threshold: int
    owners: tuple[str, ...]
    judged: tuple[Judged, ...]

    @property
    def accepted(self) -> bool:
        """Whether there are enough of them."""
        return len(self.owners) >= self.threshold


def judge(
    digest: Digest,
    statements: Sequence[tuple[str, bytes]],
    keys: Sequence[TrustedKey],
    threshold: int,
    now: int,
) -> Acceptance:
    """Judge envelopes, each with the place that it is from, at an instant in seconds since 1970."""
    owners: dict[str, None] = {}
    judged: list[Judged] = []
    for place, data in statements:
        try:
            signed = dsse.opened(data)
        except BuildError as error:
            judged.append(Judged(place, "", error.code, error.message))
            continue
        for signature in signed.signatures:
            found, key = _judge(place, signed, signature, digest, keys, now)
            if key is not None and key.owner in owners:
                found = Judged(place, key.name, "repeated-key", f"the word of {key.owner} is counted already")
            elif key is not None:
                owners[key.owner] = None
            judged.append(found)
    return Acceptance(digest, threshold, tuple(owners), tuple(judged))


def _judge(
    place: str,
    signed: dsse.Signed,
    signature: dsse.Signature,
    digest: Digest,
    keys: Sequence[TrustedKey],
    now: int,
) -> tuple[Judged, TrustedKey | None]:
    """The judgement of a signature, and the key if it counts."""
    key = next((k for k in keys if k.key.verifies(signature.data, signed.authenticated)), None)
    if key is None:
        claimed = next((k for k in keys if k.key.id == signature.keyid), None)
        if claimed is not None:
            why = "the signature does not fit: it or the statement was changed"
            return Judged(place, claimed.name, "bad-signature", why), None
        by = f"the key {signature.keyid[:12]}" if signature.keyid else "a key that does not say its name"
        return Judged(place, "", "unknown-key", f"it is signed by {by}, which is none of yours"), None
    refused, why = _refusal(signed, key, digest, now)
    return Judged(place, key.name, refused, why), None if refused else key


def _refusal(signed: dsse.Signed, key: TrustedKey, digest: Digest, now: int) -> tuple[str, str]:
    """Why what a key truly signed does not count: a code and words, both empty if it does."""
    if key.expires is not None and now >= key.expires:
        return "expired-key", f"the key expired on {_day(key.expires)}"
    if key.begins is not None and now < key.begins:
        return "early-key", f"the key counts from {_day(key.begins)} on"
    if signed.kind != dsse.IN_TOTO:
        return "wrong-type", f"it is {signed.kind[:80]!r}, not an in-toto statement"
    try:
        statement = decoded(signed.body)
    except BuildError as error:
        return error.code, error.message
    if statement.predicate_type != REBUILT:
        return "wrong-type", f"it says something else: {statement.predicate_type[:80]}"
    if not statement.is_about(digest):
        about = next((s.digest.get("sha256", "")[:12] for s in statement.subject), "nothing")
        return "other-digest", f"it is about another image: sha256:{about}…"
    return "", ""


def _day(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%d")
