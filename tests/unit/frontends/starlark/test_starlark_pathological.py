"""BUILD files that recurse, loop, allocate or nest without end: each is an error with a line, in time.

The time is processor time of the evaluating children, because the machine may be busy.
"""

import resource
from pathlib import Path

import pytest

from buildtool.diag import BuildError
from buildtool.frontends.starlark.workspace import Workspace

#: Seconds for the child that fails and the one that finds the line together.
SECONDS = 5.0

CASES = {
    "brackets": ("x = 1\ny = " + "[" * 100_000, 2),
    "closed brackets": ("\n\ny = " + "(" * 5_000 + ")" * 5_000, 3),
    "dicts": ("y = " + "{1:" * 5_000 + "1" + "}" * 5_000, 1),
    "operators": ("x = 1\ny = " + "-" * 100_000 + "1", 2),
    "sum": ("y = " + "1+" * 100_000 + "1", 1),
    "calls": ("y = len" + "()" * 100_000, 1),
    "blocks": ("def f():\n" + "".join(" " * n + "if True:\n" for n in range(1, 1_000)), 202),
    "lambdas": ("y = " + "lambda: " * 100_000 + "1", 1),
    "comprehensions": ("y = " + "[x for x in " * 5_000 + "[]" + "]" * 5_000, 1),
    "elif": ("x = 1\nif x:\n  pass\n" + "elif x:\n  pass\n" * 50_000, None),
    "large range": ("x = 1\ny = [i for i in range(1 << 40)]", 2),
    "list of a range": ("x = 1\ny = list(range(1 << 31 - 1))", 2),
    "loop": ("def f():\n    for i in range(1 << 30):\n        x = i\nf()", None),
    "loops in loops": (
        "def f():\n"
        + "".join(" " * n * 2 + f"for i{n} in range(1000):\n" for n in range(1, 9))
        + " " * 20
        + "pass\nf()",
        None,
    ),
    "largest of a range": ("x = max(range(1 << 31 - 1))", 1),
    "recursion": ("def f(n):\n    return f(n + 1)\nf(0)", 2),
    "mutual recursion": ("def f(n):\n    return g(n)\ndef g(n):\n    return f(n)\nf(0)", None),
    "recursion through a list": ("def f(fs):\n    return fs[0](fs)\nf([f])", 2),
    "squares": ("def f():\n    x = 3\n    for i in range(100):\n        x = x * x\nf()", 4),
    "shift": ("x = 1\ny = (1 << 100000000) * (1 << 100000000)", 2),
    "integer as a text": (
        "def f():\n    x = 7\n    for i in range(24):\n        x = x * x\n    return str(x)\nf()",
        None,
    ),
    "text of 100 MB a thousand times": (
        "def f():\n    x = 'a' * 100000000\n    y = []\n"
        "    for i in range(1000):\n        y.append(x + str(i))\nf()",
        5,
    ),
    "repeated text": ("x = 1\ny = 'a' * (1 << 33)", 2),
    "repeated list": ("x = 1\ny = [1] * (1 << 33)", 2),
    "doubled list": ("def f():\n    x = [1]\n    for i in range(60):\n        x = x + x\nf()", 4),
    "joined": ("def f():\n    x = 'a' * 10000000\n    return x.join([x] * 1000)\nf()", 3),
    "replaced": ("def f():\n    x = 'a' * 1000000\n    return x.replace('a', x)\nf()", 3),
    "formatted": ("def f():\n    x = 'a' * 10000000\n    return ('{0}' * 1000).format(x)\nf()", 3),
    "list in itself": ("x = []\nx.append(x)\nfail(json.encode(x))", 3),
    "billion laughs": (
        "def f():\n    x = ['lol']\n    for i in range(40):\n        x = [x, x]\n"
        "    return json.encode(x)\nf()",
        5,
    ),
    "decoded nesting": ("x = 1\ny = json.decode('[' * 1000000)", 2),
    "sorted": ("def f():\n    return sorted(range(1 << 30))\nf()", 2),
    "files": ("x = 1\nfiles({'/a': 'a' * 100000000})", 2),
    "targets": ("[filegroup(name = 'n%d' % i, srcs = ['a']) for i in range(1000000)]", 1),
    "prints": ("def f():\n    for i in range(1 << 30):\n        print('x' * 10000)\nf()", None),
    "globs": ("def f():\n    for i in range(1 << 30):\n        glob(['**'], allow_empty = True)\nf()", None),
    "name": ("filegroup(name = 'n' * 10000000, srcs = ['a'])", 1),
    "bytes": ("#" * (2 << 20), 1),
    "control characters": ("x = 1\n\0\1\2", 2),
}
#: Cases that take their whole time: in `make soak`.
SLOW = frozenset(
    (
        "billion laughs", "files", "globs", "integer as a text", "largest of a range", "list of a range",
        "loop", "loops in loops", "prints", "sorted", "text of 100 MB a thousand times",
    )
)  # fmt: skip


def used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.soak] if n in SLOW else []) for n in CASES]
)
def test_ends_in_time_with_a_line(name: str, tmp_path: Path) -> None:
    text, line = CASES[name]
    (tmp_path / "BUILD.star").write_text(text)
    before = used()
    with Workspace.open(str(tmp_path)) as workspace, pytest.raises(BuildError) as raised:
        workspace.package("")
    assert used() - before < SECONDS
    span = raised.value.span
    assert span is not None, raised.value
    assert span.file == "BUILD.star"
    assert line is None or span.line == line, raised.value
    assert len(raised.value.message) < 1_000
