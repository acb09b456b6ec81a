"""Rules on names: unused, unknown, taken twice."""

from collections.abc import Iterator

from buildtool.diag import suggestion
from buildtool.frontends.starlark.lint.rule import Broken, Facts, Rule, broken
from buildtool.frontends.starlark.lint.scopes import Binding
from buildtool.frontends.starlark.syntax import tree as t

_CONFUSING = frozenset(("l", "I", "O"))


def _unused(facts: Facts) -> Iterator[Broken]:
    for scope in facts.names.scopes:
        for binding in scope.names.values():
            if binding.uses or binding.kind not in ("variable", "def"):
                continue
            if scope.function:
                wanted = not binding.name.startswith(("_", "unused_"))
            else:
                wanted = scope is facts.names.module and _nobody_else_uses(facts, binding)
            if wanted:
                yield _at(binding, f"{binding.name} is not used")


def _nobody_else_uses(facts: Facts, binding: Binding) -> bool:
    """Nobody can load from a BUILD file, nor a name with an underscore."""
    return facts.package or binding.name.startswith("_")


def _at(binding: Binding, message: str, fix: str = "") -> Broken:
    return _named(binding.node, message, fix)


def _named(node: t.Node, message: str, fix: str = "") -> Broken:
    """The name itself, of a function too."""
    if isinstance(node, t.Def):
        return Broken(node.name_at, node.name_end, message, fix)
    return broken(node, message, fix)


def _undefined(facts: Facts) -> Iterator[Broken]:
    for node, scope in facts.names.free:
        if node.id not in facts.builtins:
            known = [*scope.visible(), *facts.builtins]
            shipped = facts.rules.get(node.id)
            hint = f'add load("{shipped}", "{node.id}")' if shipped else suggestion(node.id, known)
            yield broken(node, f"{node.id} is not defined", hint)


def _shadowed(facts: Facts) -> Iterator[Broken]:
    for scope in facts.names.scopes:
        for binding in scope.names.values():
            # Parameters are named for those who call: `user = None` of a rule is what it says.
            if binding.name in facts.builtins and binding.kind not in ("load", "parameter"):
                text = f"{binding.name} is the name of a built-in function"
                yield _at(binding, text, "give it another name")


def _redefined(facts: Facts) -> Iterator[Broken]:
    for binding in facts.names.module.names.values():
        for node in binding.again:
            text = f"{binding.name} has a value already, since line {binding.node.start.line}"
            yield _named(node, text)


def _confusing(facts: Facts) -> Iterator[Broken]:
    for scope in facts.names.scopes:
        for binding in scope.names.values():
            if binding.name in _CONFUSING:
                yield _at(binding, f"{binding.name} looks like a digit")


def _duplicated(facts: Facts) -> Iterator[Broken]:
    if not facts.package:
        return
    seen: dict[str, t.Node] = {}
    for node in facts.file.body:
        name = _target(node)
        if name is None:
            continue
        first = seen.setdefault(name.token.strip("\"'"), node)
        if first is not node:
            yield broken(name, f"a target of line {first.start.line} has this name already")


def _target(node: t.Node) -> t.Text | None:
    """The name of the target that a statement declares."""
    for argument in node.args if isinstance(node, t.Call) else []:
        key = argument.left if isinstance(argument, t.Assign) else None
        if isinstance(key, t.Name) and key.id == "name" and isinstance(argument, t.Assign):
            return argument.right if isinstance(argument.right, t.Text) else None
    return None


RULES = (
    Rule(
        "undefined-name",
        "warning",
        "Every name that is used is defined.",
        "A name that nothing defines stops the evaluation where it is used, which may be in a branch that"
        " only another platform takes.",
        "define the name, or load it",
        'load("@rules//image.star", "image")\n\nimage(name = "app", workdir = ROOT)\n',
        'load("@rules//image.star", "image")\n\nROOT = "/app"\n\nimage(name = "app", workdir = ROOT)\n',
        _undefined,
    ),
    Rule(
        "unused-variable",
        "warning",
        "Every variable is used.",
        "What is computed and not used is left over from a change, or is used under another name by mistake."
        " Names that begin with `_` or `unused_` may stay unused inside of functions.",
        "remove the variable",
        'def app(name):\n    """An app."""\n    todo = [run("true")]\n    native.image(name)\n',
        'def app(name):\n    """An app."""\n    todo = [run("true")]\n    native.image(name, steps = todo)\n',
        _unused,
        library=True,
    ),
    Rule(
        "duplicated-name",
        "warning",
        "Targets of a package have different names.",
        "A label names one target. A second target of the same name is an error when the package loads.",
        "give one of them another name",
        'load("@rules//image.star", "image")\n\nimage(name = "app")\n\nimage(name = "app")\n',
        'load("@rules//image.star", "image")\n\nimage(name = "app")\n\nimage(name = "tool")\n',
        _duplicated,
    ),
    Rule(
        "redefined-variable",
        "warning",
        "A variable of a file is assigned once.",
        "A file is read from top to bottom but used as a whole: a name that means two things in it is"
        " misread, and functions see the last value whichever stands above them.",
        "give the second value a name of its own",
        'FLAGS = ["-a"]\nFLAGS = ["-b"]\n',
        'FLAGS = ["-a"]\nOTHER_FLAGS = ["-b"]\n',
        _redefined,
        library=True,
    ),
    Rule(
        "shadowed-builtin",
        "warning",
        "Variables and functions have other names than what is built in.",
        "Behind a variable `run`, the step run() cannot be called any more, and the error says that a text"
        " or a list is not a function. Parameters may have such names, since callers use them.",
        "give it another name",
        'run = ["make"]\n\nSTEPS = [run]\n',
        'COMMAND = ["make"]\n\nSTEPS = [run(COMMAND)]\n',
        _shadowed,
        library=True,
    ),
    Rule(
        "confusing-name",
        "warning",
        "No variable is called l, I or O.",
        "In many fonts they look like 1 and 0.",
        "give it a name that says what it is",
        'O = ["/srv"]\n',
        'OUTPUTS = ["/srv"]\n',
        _confusing,
        library=True,
    ),
)
