"""Names of a Starlark file: where each is bound, and which binding each use means.

A name that a function assigns is the function's own, in all of it; a comprehension
and a lambda have names of their own as well.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from buildtool.frontends.starlark.syntax import tree as t
from buildtool.frontends.starlark.syntax.tree import Node


@dataclass(slots=True, eq=False)
class Binding:
    """A name with the node that binds it first: `kind` is load, def, variable, parameter or loop."""

    name: str
    kind: str
    node: Node
    again: list[Node] = field(default_factory=list)
    uses: int = 0


@dataclass(slots=True, eq=False)
class Scope:
    """The names of a file, a function, a lambda or a comprehension."""

    parent: "Scope | None" = None
    function: bool = False
    names: dict[str, Binding] = field(default_factory=dict)

    def bind(self, name: str, kind: str, node: Node) -> None:
        """A node gives the name a value, perhaps once more."""
        if name in self.names:
            self.names[name].again.append(node)
        else:
            self.names[name] = Binding(name, kind, node)

    def find(self, name: str) -> Binding | None:
        """What a name means here."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None

    def visible(self) -> Iterator[str]:
        """All names that mean something here."""
        scope: Scope | None = self
        while scope is not None:
            yield from scope.names
            scope = scope.parent


@dataclass(slots=True)
class Names:
    """All scopes of a file, the file's own first, and the uses that no binding answers."""

    scopes: list[Scope] = field(default_factory=list)
    free: list[tuple[t.Name, Scope]] = field(default_factory=list)

    @property
    def module(self) -> Scope:
        """The scope of the file itself."""
        return self.scopes[0]


def names_of(file: t.File) -> Names:
    """The names of a file, resolved."""
    return _Resolver().resolved(file)


class _Resolver:
    def __init__(self) -> None:
        self._names = Names()

    def resolved(self, file: t.File) -> Names:
        scope = self._scope(None)
        self._bind_all(file.body, scope)
        self._block(file.body, scope)
        return self._names

    def _scope(self, parent: Scope | None, *, function: bool = False) -> Scope:
        scope = Scope(parent, function)
        self._names.scopes.append(scope)
        return scope

    # ------------------------------------------------------------ bindings

    def _bind_all(self, body: Iterable[Node], scope: Scope) -> None:
        """Bind what statements assign, before any use of it is looked at."""
        for node in body:
            if isinstance(node, t.Load):
                for loaded in node.names:
                    scope.bind(loaded.local, "load", loaded)
            elif isinstance(node, t.Def):
                scope.bind(node.name, "def", node)
            elif isinstance(node, t.Assign):
                self._bind(node.left, "variable", scope)
            elif isinstance(node, t.For):
                self._bind(node.variables, "loop", scope)
                self._bind_all(node.body, scope)
            elif isinstance(node, t.If):
                for branch in node.branches:
                    self._bind_all(branch.body, scope)
                self._bind_all(node.other, scope)

    def _bind(self, node: Node, kind: str, scope: Scope) -> None:
        if isinstance(node, t.Name):
            scope.bind(node.id, kind, node)
        elif isinstance(node, t.Typed):
            self._bind(node.name, kind, scope)
        elif isinstance(node, t.Brackets):
            for item in node.items:
                self._bind(item, kind, scope)
        elif isinstance(node, t.Paren):
            self._bind(node.inner, kind, scope)

    def _bind_param(self, node: Node, scope: Scope) -> None:
        inner = node.operand if isinstance(node, t.Unary) else node
        inner = inner.left if isinstance(inner, t.Assign) else inner
        if inner is not None:
            self._bind(inner, "parameter", scope)

    # ------------------------------------------------------------ uses

    def _block(self, body: Iterable[Node], scope: Scope) -> None:
        for node in body:
            if isinstance(node, t.Def):
                self._function(node, node.params, scope)
            elif isinstance(node, t.Assign):
                self._use(node.right, scope)
                self._target(node.left, scope, augmented=node.op != "=")
            elif isinstance(node, t.For):
                self._use(node.over, scope)
                self._target(node.variables, scope)
                self._block(node.body, scope)
            elif isinstance(node, t.If):
                for branch in node.branches:
                    self._use(branch.test, scope)
                    self._block(branch.body, scope)
                self._block(node.other, scope)
            elif not isinstance(node, t.Load):
                self._use(node, scope)

    def _function(self, node: t.Def | t.Lambda, params: list[Node], scope: Scope) -> None:
        inner = self._scope(scope, function=True)
        for param in params:
            self._bind_param(param, inner)
            value = param.operand if isinstance(param, t.Unary) else param
            if isinstance(value, t.Assign):
                self._use(value.right, scope)
                value = value.left
            if isinstance(value, t.Typed):
                self._use(value.type, scope)
        if isinstance(node, t.Lambda):
            self._use(node.body, inner)
            return
        if node.type is not None:
            self._use(node.type, scope)
        self._bind_all(node.body, inner)
        self._block(node.body, inner)

    def _target(self, node: Node, scope: Scope, *, augmented: bool = False) -> None:
        """What is assigned: a name is not used by that, but what is indexed is."""
        if isinstance(node, t.Name):
            if augmented:
                self._use(node, scope)
        elif isinstance(node, t.Typed):
            self._use(node.type, scope)
        elif isinstance(node, t.Brackets):
            for item in node.items:
                self._target(item, scope)
        elif isinstance(node, t.Paren):
            self._target(node.inner, scope)
        else:
            self._use(node, scope)

    def _use(self, node: Node, scope: Scope) -> None:
        if isinstance(node, t.Name):
            self._named(node, scope)
        elif isinstance(node, t.Lambda):
            self._function(node, node.params, scope)
        elif isinstance(node, t.Comprehension):
            self._comprehension(node, scope)
        elif isinstance(node, t.Call):
            self._use(node.function, scope)
            for argument in node.args:
                self._use(argument.right if isinstance(argument, t.Assign) else argument, scope)
        elif isinstance(node, t.Text):
            self._formatted(node, scope)
        else:
            for child in t.children(node):
                self._use(child, scope)

    def _named(self, node: t.Name, scope: Scope) -> None:
        binding = scope.find(node.id)
        if binding is None:
            self._names.free.append((node, scope))
        else:
            binding.uses += 1

    def _formatted(self, node: t.Text, scope: Scope) -> None:
        """The names in the braces of an f-string; Starlark takes nothing else there."""
        import re

        if "f" in node.token[:2].lower() and node.token[0] not in "\"'":
            for name in re.findall(r"(?<!\{)(?:\{\{)*\{([^\W\d]\w*)\}", node.token):
                self._named(t.Name(node.start, node.end, name), scope)

    def _comprehension(self, node: t.Comprehension, scope: Scope) -> None:
        inner = self._scope(scope)
        for number, clause in enumerate(node.clauses):
            if isinstance(clause, t.ForClause):
                self._use(clause.over, inner if number else scope)
                self._bind(clause.variables, "loop", inner)
            else:
                self._use(clause, inner)
        self._use(node.body, inner)
