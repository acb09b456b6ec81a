r"""A tree as S-expressions, the way BuildKit's parser dumps its own, so that the two can be compared.

One instruction a line: its name in lower case, its flags in brackets, then its
arguments as Go quotes strings (https://pkg.go.dev/strconv#Quote).  Bodies of
heredocs are not part of it.

    (from "alpine:3.20" "AS" "base")
    (run ["--network=none"] "echo \"hi\"")
    (env "NAME" "value" "=")
    (onbuild (copy "." "/src"))
"""

import re

from buildtool.diag import BuildError
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.parse import parse
from buildtool.frontends.dockerfile.tree import Command, Flag

_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
    "\v": "\\v",
}  # fmt: skip


def sexpr(file: tree.File) -> str:
    """All instructions of a file, one a line."""
    nodes: list[tree.Node] = [*file.preamble]
    for stage in file.stages:
        nodes += [stage.start, *stage.body]
    return "".join(f"({instruction(node, file.escape)})\n" for node in nodes)


def instruction(node: tree.Node, escape: str) -> str:
    """One instruction, without the parentheses around it."""
    head = [node.name.lower()]
    if node.flags:
        head.append(f"[{' '.join(quoted(_flag(f)) for f in node.flags)}]")
    if isinstance(node, tree.Onbuild):
        return f"{head[0]} ({_trigger(node, escape)})"
    return " ".join([*head, *map(quoted, _arguments(node))])


def _flag(flag: Flag) -> str:
    return f"--{flag.name}" if flag.value is None else f"--{flag.name}={flag.value}"


def _trigger(node: tree.Onbuild, escape: str) -> str:
    """The trigger of an ONBUILD; of what is no instruction, BuildKit's parser keeps the word alone."""
    directive = "" if escape == "\\" else f"# escape={escape}\n"
    text = f"{directive}FROM scratch\n{node.trigger}"
    try:
        body = parse(text.encode("utf-8", "replace"), "ONBUILD").stages[0].body
    except BuildError:
        body = ()
    return instruction(body[0], escape) if body else f'{node.trigger.split()[0].lower()} ""'


def _arguments(node: tree.Node) -> list[str]:
    if isinstance(node, tree.From):
        # The keyword stays as it is written.
        return [node.base.text] if node.alias is None else [node.base.text, *node.text.split()[-2:]]
    if isinstance(node, tree.Arg):
        return [p.name if p.value is None else f"{p.name}={p.value}" for p in node.pairs]
    if isinstance(node, tree.Env | tree.Label):
        return [part for p in node.pairs for part in (p.name, p.value or "", "" if p.old else "=")]
    if isinstance(node, tree.Run | tree.Cmd | tree.Entrypoint | tree.Shell):
        return list(node.command.words)
    if isinstance(node, tree.Healthcheck):
        return [_kind(node), *(node.command or Command("exec", ())).words]
    if isinstance(node, tree.Copy | tree.Add):
        return [w.text for w in (*node.sources, node.dest)]
    return [w.text for w in _words(node)]


def _words(node: tree.Node) -> tuple[tree.Word, ...]:
    if isinstance(node, tree.Expose):
        return node.ports
    if isinstance(node, tree.Volume):
        return node.paths
    if isinstance(node, tree.Workdir):
        return (node.path,)
    if isinstance(node, tree.User):
        return (node.user,)
    if isinstance(node, tree.Stopsignal):
        return (node.signal,)
    assert isinstance(node, tree.Maintainer)
    return (node.who,)


def _kind(node: tree.Healthcheck) -> str:
    """CMD or NONE, as it is written."""
    found = re.search(r"(?<=\s)(?:none|cmd)(?!\S)", node.text, re.I)
    return found[0] if found else "CMD"


def quoted(text: str) -> str:
    """A string as Go's strconv.Quote writes it."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(c: str) -> str:
    if c in _ESCAPES:
        return _ESCAPES[c]
    code = ord(c)
    if c == "\ufffd" or (c.isprintable() and (c == " " or not c.isspace())):
        return c
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
