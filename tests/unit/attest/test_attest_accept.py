"""Acceptance: what counts, and every reason why something does not, word for word."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from buildtool.attest import dsse
from buildtool.attest.accept import judge
from buildtool.attest.keys import PrivateKey, generate, read_private
from buildtool.attest.statement import PROVENANCE, Statement, Subject, decoded, encoded, rebuilt
from buildtool.attest.trusted import TrustedKey, read_trusted
from buildtool.diag import BuildError
from buildtool.digest import sha256

DIGEST, OTHER = sha256(b"an image"), sha256(b"another image")
NOW = 1_800_000_000  # 2027-01-15
NAMES = ("alpha", "beta", "gamma", "stranger", "old", "young")

KEYS = """[keys.alpha]
file = "alpha.pub"
[keys.beta]
file = "beta.pub"
owner = "team"
[keys.gamma]
file = "gamma.pub"
owner = "team"
[keys.old]
file = "old.pub"
expires = 2027-01-15
[keys.young]
file = "young.pub"
begins = 2027-01-16T00:00:00Z
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("keys")
    for number, name in enumerate(NAMES):
        private, public = generate(("ed25519", "ecdsa-p256")[number % 2])
        (made / f"{name}.pem").write_bytes(private)
        (made / f"{name}.pub").write_bytes(public)
    (made / "keys.toml").write_text(KEYS)
    return made


@pytest.fixture(scope="module")
def private(folder: Path) -> dict[str, PrivateKey]:
    return {name: read_private(str(folder / f"{name}.pem")) for name in NAMES}


@pytest.fixture(scope="module")
def trusted(folder: Path) -> tuple[TrustedKey, ...]:
    return read_trusted([str(folder / "keys.toml")])


def by(key: PrivateKey, body: bytes = b"", kind: str = dsse.IN_TOTO) -> bytes:
    return dsse.seal(kind, body or rebuilt(DIGEST, {}), key)


def flipped(envelope: bytes, member: str) -> bytes:
    """The envelope with a bit of its payload or its signature turned over."""
    document = json.loads(envelope)
    holder = document if member == "payload" else document["signatures"][0]
    data = bytearray(base64.b64decode(holder[member]))
    data[len(data) // 2] ^= 1
    holder[member] = base64.b64encode(data).decode()
    return json.dumps(document).encode()


def test_enough_rebuilders_agree(private: dict[str, PrivateKey], trusted: tuple[TrustedKey, ...]) -> None:
    found = judge(DIGEST, [("a", by(private["alpha"])), ("b", by(private["beta"]))], trusted, 2, NOW)
    assert found.accepted
    assert found.owners == ("alpha", "team")
    assert [j.refused for j in found.judged] == ["", ""]
    assert not judge(DIGEST, [("a", by(private["alpha"]))], trusted, 2, NOW).accepted
    assert not judge(DIGEST, [], trusted, 1, NOW).accepted


def test_an_envelope_with_two_signatures_counts_for_both(
    private: dict[str, PrivateKey], trusted: tuple[TrustedKey, ...]
) -> None:
    one, two = (json.loads(by(private[name])) for name in ("alpha", "beta"))
    one["signatures"] += two["signatures"]
    for signature in one["signatures"]:
        del signature["keyid"]
    found = judge(DIGEST, [("both", json.dumps(one).encode())], trusted, 2, NOW)
    assert found.accepted, "the names of keys are hints: nobody needs them"


def test_every_refusal_has_its_reason(
    private: dict[str, PrivateKey],
    trusted: tuple[TrustedKey, ...],
    golden: Callable[[str, str | bytes], None],
) -> None:
    provenance = encoded(Statement((Subject({"sha256": DIGEST[7:]}),), PROVENANCE, {}))
    unnamed = json.loads(by(private["stranger"]))
    del unnamed["signatures"][0]["keyid"]
    stolen = json.loads(by(private["stranger"]))
    stolen["signatures"][0]["keyid"] = private["alpha"].public.id
    cases = {
        "good.json": by(private["alpha"]),
        "again.json": by(private["alpha"]),
        "statement-changed.json": flipped(by(private["beta"]), "payload"),
        "signature-changed.json": flipped(by(private["beta"]), "sig"),
        "name-of-another-key.json": json.dumps(stolen).encode(),
        "unknown.json": by(private["stranger"]),
        "unnamed.json": json.dumps(unnamed).encode(),
        "expired.json": by(private["old"]),
        "early.json": by(private["young"]),
        "other-digest.json": by(private["beta"], rebuilt(OTHER, {})),
        "provenance.json": by(private["beta"], provenance),
        "type-changed.json": by(private["beta"], kind="application/json"),
        "no-statement.json": by(private["beta"], b"{}"),
        "cut.json": by(private["beta"])[:-40],
        "counts.json": by(private["beta"]),
        "same-owner.json": by(private["gamma"]),
    }
    found = judge(DIGEST, list(cases.items()), trusted, 3, NOW)
    stranger = private["stranger"].public.id[:12]
    rows = [f"{j.place}: {j.name or '-'}: {j.refused or 'counts'}: {j.why}" for j in found.judged]
    rows.append(f"{len(found.owners)} of {found.threshold}: {found.accepted}")
    golden("attest/refusals.txt", "\n".join(rows).replace(stranger, "STRANGER") + "\n")
    assert len({j.refused for j in found.judged}) == 10


def test_key_files(folder: Path, tmp_path: Path) -> None:
    (bare,) = read_trusted([str(folder / "alpha.pub")])
    assert (bare.name, bare.owner, bare.begins, bare.expires) == ("alpha", "alpha", None, None)
    with pytest.raises(BuildError, match="the same key"):
        read_trusted([str(folder / "alpha.pub"), str(folder / "keys.toml")])
    path = tmp_path / "keys.toml"
    for text, said in {
        "": "holds tables",
        "[key.a]": "holds tables",
        "keys = 1": "holds tables",
        "[keys.a]\n": "has no file",
        "[keys.a]\nfile = 'x'\nexpire = 2027-01-01": "a key has no 'expire'",
        f"[keys.a]\nfile = '{folder}/alpha.pub'\nexpires = 'soon'": "'soon' of the key a is not a date",
        f"[keys.a]\nfile = '{folder}/alpha.pub'\nowner = 1": "the owner of a is a text",
        "[keys.a]\nfile = 'none.pub'": "cannot read the key",
        "[": "keys.toml",
    }.items():
        path.write_text(text)
        with pytest.raises(BuildError) as caught:
            read_trusted([str(path)])
        assert said in caught.value.message, text


def test_statements_are_canonical() -> None:
    first = rebuilt(DIGEST, {"b": 1, "a": {"d": 1, "c": 2}})
    assert first == rebuilt(DIGEST, {"a": {"c": 2, "d": 1}, "b": 1})
    assert decoded(first).is_about(DIGEST)
    assert not decoded(first).is_about(OTHER)
    with pytest.raises(BuildError, match="not known"):
        decoded(first.replace(b"Statement/v1", b"Statement/v9"))
