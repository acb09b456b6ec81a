"""Dependency resolution, case by case."""

import hashlib
from collections.abc import Callable

import pytest

from buildtool.archives.choose import choose
from buildtool.archives.packages import Universe
from buildtool.diag import BuildError, render
from buildtool.lock.debian import DebianRequest

Golden = Callable[[str, str], None]


def universe(*texts: str) -> Universe:
    """Packages written `name version; Field: value; ...`; a leading `!` is a suite that is not automatic."""
    found = Universe()
    for text in texts:
        head, *rest = (part.strip() for part in text.removeprefix("!").split(";"))
        name, version = head.split()
        stanza = f"Package: {name}\nVersion: {version}\nArchitecture: all\n" + "".join(f"{r}\n" for r in rest)
        digest = hashlib.sha256(stanza.encode()).hexdigest()
        stanza += f"Filename: pool/{name}_{version.replace(':', '')}_all.deb\nSize: 10\nSHA256: {digest}\n"
        found.add(stanza.encode(), "debian", automatic=not text.startswith("!"))
    return found


def chosen(packages: Universe, *wanted: str, variant: str = "custom") -> list[str]:
    request = DebianRequest("//:root", ("bookworm",), ("main",), "amd64", wanted, variant)
    return [f"{p.name} {p.version}" for p in choose(packages, request)]


def test_dependencies_come_first() -> None:
    packages = universe("aa 1; Depends: bb, cc", "bb 1; Pre-Depends: dd", "cc 1", "dd 1; Depends: cc", "xx 1")
    assert chosen(packages, "aa") == ["cc 1", "dd 1", "bb 1", "aa 1"]


def test_the_order_of_the_index_does_not_matter() -> None:
    texts = [
        "aa 1; Depends: vv",
        "pp 1; Provides: vv",
        "oo 1; Provides: vv",
        "ee 1; Essential: yes; Depends: pp | oo",
    ]
    assert chosen(universe(*texts), "aa") == chosen(universe(*reversed(texts)), "aa")


def test_cycles() -> None:
    packages = universe("aa 1; Depends: bb", "bb 1; Depends: aa")
    assert chosen(packages, "aa", "bb") == ["bb 1", "aa 1"]


def test_the_first_alternative_wins() -> None:
    assert chosen(universe("aa 1; Depends: bb | cc", "bb 1", "cc 1"), "aa") == ["bb 1", "aa 1"]


def test_an_alternative_that_is_wanted_anyway_wins() -> None:
    packages = universe("aa 1; Depends: bb | cc, dd", "bb 1", "cc 1", "dd 1; Depends: cc")
    assert chosen(packages, "aa") == ["cc 1", "dd 1", "aa 1"]
    assert chosen(packages, "aa", "cc") == ["cc 1", "dd 1", "aa 1"]


def test_an_alternative_that_does_not_exist_is_passed_over() -> None:
    assert chosen(universe("aa 1; Depends: nope | cc (>= 2) | dd", "cc 1", "dd 1"), "aa") == ["dd 1", "aa 1"]


def test_a_merged_usr_is_taken_for_granted() -> None:
    packages = universe("init 1; Depends: usrmerge | usr-is-merged", "usrmerge 1", "usr-is-merged 1")
    assert chosen(packages, "init") == ["usr-is-merged 1", "init 1"]


def test_providers_go_by_priority_then_name() -> None:
    packages = universe(
        "aa 1; Depends: awk",
        "gawk 1; Priority: optional; Provides: awk",
        "bawk 1; Priority: optional; Provides: awk",
        "mawk 1; Priority: required; Provides: awk",
    )
    assert chosen(packages, "aa") == ["mawk 1", "aa 1"]
    two = universe("aa 1; Depends: awk", "gawk 1; Provides: awk", "bawk 1; Provides: awk")
    assert chosen(two, "aa") == ["bawk 1", "aa 1"]


def test_versioned_provides() -> None:
    packages = universe(
        "aa 1; Depends: api (>= 2)",
        "one 1; Provides: api",
        "two 1; Provides: api (= 1)",
        "zwei 1; Provides: api (= 2)",
    )
    assert chosen(packages, "aa") == ["zwei 1", "aa 1"]


def test_the_highest_version_of_all_suites() -> None:
    assert chosen(universe("aa 1.9", "aa 1.10", "aa 1.10~rc1"), "aa") == ["aa 1.10"]
    assert chosen(universe("aa 1.9", "aa 1.10"), "aa=1.9") == ["aa 1.9"]


def test_backports_only_when_nothing_else_serves() -> None:
    packages = universe("aa 1; Depends: bb", "!bb 2", "bb 1", "cc 1; Depends: bb (>= 2)")
    assert chosen(packages, "aa") == ["bb 1", "aa 1"]
    assert chosen(packages, "cc") == ["bb 2", "cc 1"]
    assert chosen(packages, "aa", "cc") == ["bb 2", "aa 1", "cc 1"]


def test_conflicts_pass_over_an_alternative() -> None:
    packages = universe("aa 1; Depends: bb | cc, kk", "bb 1; Conflicts: kk", "cc 1", "kk 1")
    assert chosen(packages, "aa", "kk") == ["cc 1", "kk 1", "aa 1"]
    breaking = universe("aa 1; Depends: bb | cc", "bb 1", "cc 1", "kk 1; Breaks: bb (<< 2)")
    assert chosen(breaking, "aa", "kk") == ["cc 1", "aa 1", "kk 1"]


def test_a_package_may_conflict_with_what_it_provides() -> None:
    packages = universe("aa 1; Provides: mta; Conflicts: mta; Replaces: mta")
    assert chosen(packages, "aa") == ["aa 1"]


def test_variants() -> None:
    packages = universe(
        "ee 1; Essential: yes; Priority: required; Depends: lib",
        "lib 1",
        "rr 1; Priority: required",
        "ii 1; Priority: important",
        "apt 1; Priority: required",
        "was 1; Essential: yes; Priority: required",
        "was 2; Priority: optional",
        "ww 1",
    )
    assert chosen(packages, "ww") == ["ww 1"]
    assert chosen(packages, "ww", variant="essential") == ["lib 1", "ee 1", "ww 1"]
    assert chosen(packages, variant="required") == ["lib 1", "ee 1", "apt 1", "rr 1"]
    assert chosen(packages, variant="minbase") == ["lib 1", "ee 1", "apt 1", "rr 1"]
    assert chosen(packages, variant="important") == ["lib 1", "ee 1", "apt 1", "ii 1", "rr 1"]


def test_essential_marks_what_essential_packages_need() -> None:
    packages = universe("ee 1; Essential: yes; Depends: lib", "lib 1", "ww 1")
    request = DebianRequest("//:rr", ("ss",), ("main",), "amd64", ("ww",), "essential")
    assert {p.name: p.essential for p in choose(packages, request)} == {"lib": True, "ee": True, "ww": False}


def test_a_long_chain_needs_no_recursion() -> None:
    texts = [f"p{n} 1; Depends: p{n + 1}" for n in range(3000)]
    assert len(chosen(universe(*texts, "p3000 1"), "p0")) == 3001


UNRESOLVABLE = {
    "missing": (("aa 1; Depends: bb", "bb 1; Depends: cc (>= 2)", "cc 1"), ("aa",)),
    "nowhere": (("aa 1; Depends: bb", "bb 1; Depends: cc | dd (= 3)"), ("aa",)),
    "conflict": (("aa 1; Depends: bb", "bb 1; Conflicts: kk", "kk 1"), ("kk", "aa")),
    "two-versions": (("aa 1; Depends: bb (= 1)", "bb 1", "bb 2"), ("bb=2", "aa")),
    "unknown-package": (("python3 3.11",), ("pyton3",)),
    "unknown-version": (("python3 3.11", "python3 3.12"), ("python3=3.13",)),
}


@pytest.mark.parametrize("case", UNRESOLVABLE)
def test_unresolvable(case: str, golden: Golden) -> None:
    packages, wanted = UNRESOLVABLE[case]
    with pytest.raises(BuildError) as caught:
        chosen(universe(*packages), *wanted)
    golden(f"archives/unresolvable/{case}.txt", render(caught.value) + "\n")
