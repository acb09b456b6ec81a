"""`.dockerignore`: Moby's rules, the oracle's folders walked as a scanner does, and speed."""

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.diag import BuildError
from buildtool.graph.ignore import IgnoreMatcher, parse_ignore

CASES = Path(__file__).parents[5] / "shared" / "oracle" / "cases"


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("**", "file", True),
        ("**", "file/", True),
        ("**/", "dir/file", True),
        ("**/**", "dir/file", True),
        ("dir/**", "dir", False),
        ("dir/**", "dir/file", True),
        ("**/dir", "dir", True),
        ("**/dir", "x/dir/file", True),
        ("**/dir2/*", "dir/dir2/file", True),
        ("**/dir2/**", "dir/dir2/dir2/file", True),
        ("**file", "dir/dir/file", True),
        ("**/file*txt", "dir/dir/file.txt", True),
        ("**/**/*.txt", "file.txt", True),
        ("a**/*.txt", "a/file/dir/file.txt", True),
        ("a/*.txt", "a/b/file.txt", False),
        ("a[b-d]e", "ae", False),
        ("a[b-d]e", "ace", True),
        ("a[^b-d]e", "aze", True),
        ("a[^b-d]e", "a/e", True),
        ("a[]", "a]", None),
        ("a\\*", "a*", True),
        ("a\\*", "ax", False),
        (".?.", "a.b", False),
        ("x.y", "xzy", False),
        ("*", "dir/file", True),
        ("dir/", "dir/file", True),
        ("/dir", "dir/file", True),
        ("./dir/../other", "other", True),
        ("$a(b)+", "$a(b)+", True),
    ],
)
def test_one_pattern(pattern: str, path: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(BuildError):
            parse_ignore(pattern.encode())
        return
    assert IgnoreMatcher(parse_ignore(pattern.encode())).matches(path) is expected


def test_lines() -> None:
    text = b"\xef\xbb\xbf# comment\n\n  a/ \r\n#b\n !/c/../d \n//e\nf/./g\n"
    assert parse_ignore(text) == ("a", "!d", "e", "f/g")


@pytest.mark.parametrize("line", ["[a", "a\\", "[]", "[a-]", "!", "[-a]", "[^]"])
def test_bad_pattern_is_located(line: str) -> None:
    with pytest.raises(BuildError) as caught:
        parse_ignore(f"ok\n{line}\n".encode())
    assert caught.value.code == "bad-ignore-pattern"
    assert caught.value.span is not None
    assert caught.value.span.line == 2


def test_an_exception_counts_below_a_folder_only_where_the_folder_was_out() -> None:
    """Moby walks folder by folder and asks an exception only of what is left out at that point."""
    matcher = IgnoreMatcher(("d/x", "!d"))
    assert matcher.matches("d/x")
    assert not matcher.matches("d/y")
    matcher = IgnoreMatcher(("d", "!d/x"))
    assert matcher.matches("d/y")
    assert not matcher.matches("d/x/deep")


def test_pruning() -> None:
    matcher = IgnoreMatcher(("*", "!a/b/*.c", "!x*/y", "!deep/**/z"))
    assert matcher.may_contain_included("a")
    assert matcher.may_contain_included("a/b")
    assert not matcher.may_contain_included("a/c")
    assert not matcher.may_contain_included("a/b/c")
    assert matcher.may_contain_included("xx")
    assert matcher.may_contain_included("deep/er/down")
    assert not matcher.may_contain_included("other")


def walked(folder: Path, matcher: IgnoreMatcher) -> set[str]:
    """What is sent of a context: what is not left out, and the folders above it."""
    sent: set[str] = set()

    def visit(relative: str) -> None:
        for entry in os.scandir(folder / relative):
            path = f"{relative}/{entry.name}" if relative else entry.name
            out = matcher.matches(path)
            is_folder = entry.is_dir(follow_symlinks=False)
            if not out:
                parts = path.split("/")
                sent.update("/".join(parts[: n + 1]) for n in range(len(parts)))
            if is_folder and (not out or matcher.may_contain_included(path)):
                visit(path)

    visit("")
    return sent


def oracle_cases() -> list[Path]:
    cases = sorted(CASES.glob("ignore-*")) if CASES.is_dir() else []
    return [
        c
        for c in cases
        if (c / "Dockerfile").exists()
        and (c / "Dockerfile").read_text() == "FROM scratch\nCOPY . /\n"
        and "files" in json.loads((c / "expected.json").read_text())
        and "[[setup]]" not in (c / "case.toml").read_text()
    ]


@pytest.mark.parametrize("case", oracle_cases(), ids=lambda c: c.name)
def test_oracle(case: Path) -> None:
    own = case / "Dockerfile.dockerignore"
    text = (own if own.exists() else case / "context" / ".dockerignore").read_bytes()
    expected = json.loads((case / "expected.json").read_text())["files"]
    assert walked(case / "context", IgnoreMatcher(parse_ignore(text))) == {p[1:] for p in expected}


_names = st.sampled_from(["a", "b", "ab", "a.b"])
_paths = st.lists(_names, min_size=1, max_size=4).map("/".join)
_globs = st.lists(st.sampled_from(["a", "b", "*", "**", "a*", "?b", "**b"]), min_size=1, max_size=3).map(
    "/".join
)
_patterns = st.lists(st.tuples(st.booleans(), _globs), max_size=5).map(
    lambda rules: tuple(("!" if negated else "") + glob for negated, glob in rules)
)


@given(_patterns, _paths)
def test_pruning_never_loses_a_file(patterns: tuple[str, ...], path: str) -> None:
    matcher = IgnoreMatcher(patterns)
    parts = path.split("/")
    if not matcher.matches(path):
        for n in range(1, len(parts)):
            above = "/".join(parts[:n])
            assert not matcher.matches(above) or matcher.may_contain_included(above)


@given(_patterns.map(lambda p: tuple(x for x in p if not x.startswith("!"))), _paths)
def test_the_fast_way_decides_as_the_exact_one(patterns: tuple[str, ...], path: str) -> None:
    fast = IgnoreMatcher(patterns)
    exact = IgnoreMatcher((*patterns, "!never/there"))
    assert fast.matches(path) == exact.matches(path)


def test_fifty_thousand_paths() -> None:
    patterns = (
        *("node_modules", "**/*.pyc", "**/__pycache__", "*.log", "build/**", "docs/*.md", ".git"),
        *("!docs/README.md", "!build/keep"),
    )
    paths = [f"src/{n % 100}/pkg{n % 7}/file{n}.py" for n in range(50_000)]
    matcher = IgnoreMatcher(patterns)
    start = time.process_time()
    assert not any(matcher.matches(p) for p in paths)
    assert time.process_time() - start < 2
