"""What the formatter knows of arguments of rules, by name."""

#: Arguments that come first, in this order; the others follow by name.
FIRST = [
    "name",
    "package_name",
    "size",
    "timeout",
    "testonly",
    "src",
    "srcdir",
    "srcs",
    "out",
    "outs",
    "hdrs",
    "include",
]
#: Arguments that come last, in this order.
LAST = ["destdir", "exports", "runtime_deps", "deps", "implementation", "alwayslink"]

PRIORITY = {name: place - len(FIRST) for place, name in enumerate(FIRST)} | {
    name: place + 1 for place, name in enumerate(LAST)
}

#: Arguments whose lists are sets: their order means nothing, so they are sorted.
SORTED = frozenset(
    [
        "configs",
        "constraints",
        "data",
        "default_visibility",
        "deps",
        "exports",
        "files",
        "hdrs",
        "imports",
        "includes",
        "outs",
        "packages",
        "resources",
        "runtime_deps",
        "srcs",
        "tags",
        "tests",
        "tools",
        "visibility",
    ]
)

#: Functions whose named arguments keep their order, because it shows in what they make.
IN_ORDER = frozenset(("dict", "struct"))

#: Steps that take files in the order in which they are named.
IN_ORDER_LISTS = frozenset(("copy", "extract", "join"))

#: Arguments that are labels, or lists of them: `//a:a` is written `//a` there.
LABELS = frozenset(
    [
        "base",
        "data",
        "default_visibility",
        "deps",
        "exports",
        "image",
        "images",
        "layers",
        "runtime_deps",
        "source",
        "srcs",
        "tests",
        "visibility",
    ]
)
