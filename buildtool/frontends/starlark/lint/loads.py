"""Rules on load()."""

from collections.abc import Callable, Iterator

from buildtool.frontends.starlark.formatting.loads import commented, module, on_top, rank
from buildtool.frontends.starlark.lint.rule import Broken, Facts, Rule, as_formatted, broken
from buildtool.frontends.starlark.syntax import tree as t

_Kept = Callable[[t.Place], bool]


def _unused(facts: Facts) -> Iterator[Broken]:
    for binding in facts.names.module.names.values():
        if binding.kind == "load" and not binding.uses:
            yield broken(binding.node, f"{binding.name} is loaded and not used", f"remove {binding.name}")


def _remove_unused(facts: Facts, kept: _Kept) -> None:
    unused = {
        id(b.node)
        for b in facts.names.module.names.values()
        if b.kind == "load" and not b.uses and not kept(b.node.start)
    }
    for load in list(_loads(facts.file)):
        used = [name for name in load.names if id(name) not in unused]
        if used:
            load.names = used
        elif load.names and not commented(load):
            # A comment may say why the load is there; who wrote it shall remove both.
            facts.file.body.remove(load)


def _on_top(facts: Facts) -> Iterator[Broken]:
    body = facts.file.body
    for node, wanted in zip(body, on_top(body), strict=True):
        if node is not wanted:
            for load in body[body.index(node) :]:
                if isinstance(load, t.Load):
                    yield broken(load, "this load() stands below other statements", "move it to the top")
            return


def _out_of_order(facts: Facts) -> Iterator[Broken]:
    for one, following in zip(facts.file.body, facts.file.body[1:], strict=False):
        if isinstance(one, t.Load) and isinstance(following, t.Load) and rank(following) < rank(one):
            name, above = module(following), module(one)
            yield broken(following.module, f"{name} is loaded after {above}", f"load it before {above}")


def _same_origin(facts: Facts) -> Iterator[Broken]:
    seen: dict[str, t.Load] = {}
    for load in _loads(facts.file):
        first = seen.setdefault(module(load), load)
        if first is not load:
            text = f"{module(load)} is loaded in line {first.start.line} already"
            yield broken(load.module, text, f"add the names to the load() in line {first.start.line}")


def _loads(file: t.File) -> Iterator[t.Load]:
    return (node for node in file.body if isinstance(node, t.Load))


RULES = (
    Rule(
        "load",
        "warning",
        "Every name that a file loads is used.",
        "A file that is loaded is one that the package depends on: it is read, evaluated and looked at for"
        " changes. A loaded name cannot be loaded on from this file. So an unused one is of no use, and"
        " building the package refuses it.",
        "remove the name from the load()",
        'load("@rules//image.star", "image")\nload("@rules//layer.star", "layer")\n\nimage(name = "app")\n',
        'load("@rules//image.star", "image")\n\nimage(name = "app")\n',
        _unused,
        _remove_unused,
    ),
    Rule(
        "load-on-top",
        "warning",
        "Loads stand at the top of a file.",
        "What a file takes from others is looked for at its top. A load() further down works only for what"
        " follows it.",
        "move the load() above the first other statement",
        'PORT = 80\n\nload("@rules//image.star", "image")\n\nimage(name = "app", exposed_ports = [PORT])\n',
        'load("@rules//image.star", "image")\n\nPORT = 80\n\nimage(name = "app", exposed_ports = [PORT])\n',
        _on_top,
        as_formatted,
    ),
    Rule(
        "out-of-order-load",
        "warning",
        "Loads are sorted by the file that they load.",
        "Sorted, a load is found at a glance, and two people who add one touch different lines. Shipped rules"
        " come first, then files of the workspace, then those of the package.",
        "sort the loads",
        'load("//lib:app.star", "app")\nload("@rules//image.star", "image")\n\napp(name = "a")\n'
        'image(name = "b")\n',
        'load("@rules//image.star", "image")\nload("//lib:app.star", "app")\n\napp(name = "a")\n'
        'image(name = "b")\n',
        _out_of_order,
        as_formatted,
    ),
    Rule(
        "same-origin-load",
        "warning",
        "A file is loaded once.",
        "Two loads of one file say in two places what one could say.",
        "put all names into one load()",
        'load("@rules//debian.star", "debian_root")\nload("@rules//debian.star", "distroless")\n\n'
        'debian_root(name = "a")\ndistroless(name = "b", packages = [])\n',
        'load("@rules//debian.star", "debian_root", "distroless")\n\ndebian_root(name = "a")\n'
        'distroless(name = "b", packages = [])\n',
        _same_origin,
        as_formatted,
    ),
)
