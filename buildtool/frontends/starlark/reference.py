"""The reference of rules and primitives, made from the docstrings of `.star` files.

A public function's docstring is a first sentence, further paragraphs, and `Args:` with
an entry for each parameter.  What is not documented is an error: the reference is
whole or it is not made.
"""

import ast
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Function:
    """A documented function; `arguments` are name, default as written (None: required), and text."""

    name: str
    summary: str
    text: str
    arguments: tuple[tuple[str, str | None, str], ...]


def functions(source: str) -> tuple[str, list[Function]]:
    """The docstring of a file and its public functions; ValueError names what is not documented.

    The files are within the part of Starlark that is Python, so Python's own parser
    reads them; nothing is run.
    """
    module = ast.parse(source)
    found = [_function(n) for n in module.body if isinstance(n, ast.FunctionDef) and _public(n.name)]
    return ast.get_docstring(module) or "", found


def markdown(file: str, source: str) -> str:
    """The page of one file."""
    title, found = functions(source)
    rows = [f"# {file}", "", title, ""]
    for function in found:
        rows += [f"## {function.name}", "", "```python", _call(function), "```", "", function.summary, ""]
        rows += [function.text, ""] if function.text else []
        if function.arguments:
            rows += ["| Argument | Default | Meaning |", "|---|---|---|"]
            rows += [_row(*argument) for argument in function.arguments]
            rows += [""]
    return "\n".join(rows).rstrip() + "\n"


def _public(name: str) -> bool:
    return not name.startswith("_") or name.startswith("_native_")


def _function(node: ast.FunctionDef) -> Function:
    name = node.name.replace("_native_", "native.")
    doc = ast.get_docstring(node) or ""
    before, _, arguments = doc.partition("\nArgs:\n")
    summary, _, text = before.partition("\n\n")
    texts = _texts(arguments)
    parameters = _parameters(node)
    if not summary or list(texts) != [p for p, _ in parameters]:
        raise ValueError(f"{name}: the docstring documents {list(texts)}, not the parameters of the function")
    summary = " ".join(summary.split())
    documented = tuple((p, default, texts[p]) for p, default in parameters)
    return Function(name, summary, text.strip(), documented)


def _parameters(node: ast.FunctionDef) -> list[tuple[str, str | None]]:
    names = node.args.args
    defaults: list[ast.expr | None] = [None] * (len(names) - len(node.args.defaults))
    defaults += node.args.defaults
    pairs = [
        *zip(names, defaults, strict=True),
        *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
    ]
    return [(a.arg, _written(a.arg, d)) for a, d in pairs]


def _written(name: str, default: ast.expr | None) -> str | None:
    if default is None:
        return None
    if isinstance(default, ast.Constant) and isinstance(default.value, str):
        return f'"{default.value}"'
    if isinstance(default, ast.Constant) and type(default.value) is int:
        return f"{default.value:#o}" if name.endswith("mode") else str(default.value)
    return ast.unparse(default)


def _texts(arguments: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    name = ""
    for row in arguments.split("\n"):
        inner = row.removeprefix("  ")
        if inner and not inner.startswith(" "):
            name, _, text = inner.partition(": ")
            texts[name] = text.strip()
        elif inner.strip():
            texts[name] += " " + inner.strip()
    return texts


def _call(function: Function) -> str:
    parts = [name if default is None else f"{name} = {default}" for name, default, _ in function.arguments]
    return f"{function.name}({', '.join(parts)})"


def _row(name: str, default: str | None, text: str) -> str:
    shown = "required" if default is None else f"`{default}`"
    return f"| `{name}` | {shown} | {text.replace('|', chr(92) + '|')} |"
