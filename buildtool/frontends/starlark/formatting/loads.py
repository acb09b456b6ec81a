"""Where loads stand: on top of a file, each file loaded once, sorted by what is loaded."""

from buildtool.frontends.starlark.syntax import tree as t
from buildtool.frontends.starlark.syntax.tree import Node


def arrange_loads(file: t.File) -> None:
    """Move, merge and sort the loads of a file.

    A load() binds names and does nothing else, so it can stand before all that uses them.
    Comments that stand alone between loads keep those above them above.
    """
    file.body = merged(on_top(file.body))
    start = 0
    while start < len(file.body):
        end = start
        while end < len(file.body) and isinstance(file.body[end], t.Load):
            end += 1
        run = [node for node in file.body[start:end] if isinstance(node, t.Load)]
        run.sort(key=rank)
        file.body[start:end] = run
        start = max(end, start + 1)
    for node in t.walk(file):
        if isinstance(node, t.Load):
            node.names.sort(key=lambda n: (n.local != n.remote.token[1:-1], n.local))


def on_top(body: list[Node]) -> list[Node]:
    """Statements with their loads before the first that is no load, no docstring and no comment."""
    lead = 0
    while lead < len(body) and isinstance(body[lead], t.Load | t.Block | t.Text):
        lead += 1
    later = [node for node in body[lead:] if isinstance(node, t.Load)]
    return [*body[:lead], *later, *(node for node in body[lead:] if not isinstance(node, t.Load))]


def merged(body: list[Node]) -> list[Node]:
    """Statements without loads of a file that is loaded before, whose names go there.

    One with comments stays: they may be about just this load.
    """
    first: dict[str, t.Load] = {}
    kept: list[Node] = []
    for node in body:
        if not isinstance(node, t.Load):
            kept.append(node)
            continue
        load = first.setdefault(module(node), node)
        if load is node or commented(node):
            kept.append(node)
            continue
        known = {(name.local, name.remote.token) for name in load.names}
        load.names += [name for name in node.names if (name.local, name.remote.token) not in known]
    return kept


def commented(load: t.Load) -> bool:
    """Whether there are comments at a load, but for those at its names."""
    nodes = (load, load.module, load.close)
    return any(node.before or node.beside or node.after for node in nodes)


def module(load: t.Load) -> str:
    """The file that is loaded, as it is written."""
    return load.module.token.strip("\"'")


def rank(load: t.Load) -> tuple[int, str, list[str], str, str]:
    """Shipped rules and other repositories first, then files of the workspace, then of the package.

    In each by the folders, then by the file; case does not count.
    """
    name = module(load)
    repository, slashes, path = name.partition("//")
    phase = 0 if name.startswith("@") else 1 if slashes else 2
    package, colon, file = path.partition(":") if slashes else ("", ":", name.lstrip(":"))
    package, file = package.lower(), file.lower()
    if not colon:
        file = package.rpartition("/")[2] or repository.lstrip("@").lower()
    return (
        phase,
        repository.lstrip("@").lower() if slashes or not phase else "",
        package.split("/"),
        file,
        name,
    )
