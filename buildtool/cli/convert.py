"""A Dockerfile as a BUILD.star: each instruction that has an equivalent becomes a step.

What has none stays as a comment in its place and is told, so that a person can decide.
Variables are left to people too, but for those that the shell of RUN expands itself.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from buildtool.diag import Warned
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.heredoc import heredoc_word, without_tabs
from buildtool.frontends.dockerfile.mounts import split
from buildtool.frontends.starlark.formatting.format import formatted

_QUOTED = re.compile(r'"([^"\\$]*)"|\'([^\'\\]*)\'')
_PLAIN = re.compile(r"[^\"'\\$]*")
_MOUNT_KEYS = {
    **dict.fromkeys(("dst", "destination"), "target"),
    "src": "source",
    "readwrite": "rw",
    "readonly": "ro",
}
_IMAGE = 'load("@rules//image.star", "image")\n'


class _NoEquivalentError(Exception):
    """Why an instruction has no step."""


def convert(file: tree.File, filename: str) -> tuple[str, list[Warned]]:
    """The text of a BUILD.star with an image a stage, the last of them `image`; and what is not in it."""
    names = _names(file.stages)
    warnings: list[Warned] = []
    parts = [_IMAGE]
    for number, stage in enumerate(file.stages):
        rows = [f"    name = {_text(names[number])},"]
        base = _base(stage.start, file.stages[:number], names)
        if base:
            rows.append(f"    base = {_text(base)},")
        steps = []
        for node in (*(file.preamble if number == 0 else ()), *_flagged(stage.start), *stage.body):
            try:
                steps.append(f"        {_step(node, file.stages[:number], names)},")
            except _NoEquivalentError as reason:
                line = file.lines[node.at.line - 1].strip()
                steps.append(f"        # not converted, {reason}: {line}")
                span = file.span(filename, node.at)
                warnings.append(Warned("not-converted", f"left as a comment, because {reason}", span=span))
        if steps:
            rows += ["    steps = [", *steps, "    ],"]
        parts.append("image(\n" + "\n".join(rows) + "\n)\n")
    return formatted("\n".join(parts).encode(), "BUILD.star"), warnings


def _names(stages: Sequence[tree.Stage]) -> list[str]:
    last = len(stages) - 1
    return [
        "image" if n == last else s.start.alias.text.lower() if s.start.alias else f"stage-{n}"
        for n, s in enumerate(stages)
    ]


def _flagged(start: tree.From) -> tuple[tree.From, ...]:
    return (start,) if start.flags or not _PLAIN.fullmatch(start.base.text) else ()


def _base(start: tree.From, earlier: Sequence[tree.Stage], names: Sequence[str]) -> str:
    if start.base.text == "scratch":
        return ""
    return _stage(start.base.text, earlier, names) or start.base.text


def _stage(text: str, earlier: Sequence[tree.Stage], names: Sequence[str]) -> str:
    """The label of the stage that a name or a number means, or nothing."""
    for number in reversed(range(len(earlier))):
        alias = earlier[number].start.alias
        if text == str(number) or (alias is not None and alias.text.lower() == text.lower()):
            return f":{names[number]}"
    return ""


def _step(node: tree.Instruction, earlier: Sequence[tree.Stage], names: Sequence[str]) -> str:
    if isinstance(node, tree.Copy | tree.Add):
        return _copy(node, earlier, names)
    if isinstance(node, tree.Run):
        return _run(node, earlier, names)
    if isinstance(node, tree.Healthcheck):
        return _healthcheck(node)
    maker = _STEPS.get(type(node))
    if maker is None:
        raise _NoEquivalentError(_REASONS.get(type(node), "it has no equivalent"))
    return maker(node)


def _copy(node: tree.Copy | tree.Add, earlier: Sequence[tree.Stage], names: Sequence[str]) -> str:
    adding = isinstance(node, tree.Add)
    if node.heredocs:
        return _files(node)
    sources = [_word(s.text) for s in node.sources]
    if adding and any("://" in s or s.startswith("git@") for s in sources):
        raise _NoEquivalentError("its sources are elsewhere")
    arguments = [_text(sources), _text(_word(node.dest.text))]
    for flag in node.flags:
        value = _word(flag.value or "")
        if flag.name == "from" and not adding:
            arguments.append(f"from_ = {_text(_stage(value, earlier, names) or value)}")
        elif flag.name in ("chown", "chmod"):
            arguments.append(f"{'owner' if flag.name == 'chown' else 'mode'} = {_text(value)}")
        elif flag.name in ("link", "parents") and not adding and value in ("", "true"):
            arguments.append(f"{flag.name} = True")
        elif flag.name != "exclude":
            raise _NoEquivalentError(f"--{flag.name} has no equivalent")
    if excluded := [_word(f.value or "") for f in node.flags if f.name == "exclude"]:
        arguments.append(f"exclude = {_text(excluded)}")
    return f"{'extract' if adding else 'copy'}({', '.join(arguments)})"


def _files(node: tree.Copy | tree.Add) -> str:
    """Heredocs as the files that they are, by their paths."""
    if len(node.sources) > len(node.heredocs):
        raise _NoEquivalentError("it has files beside its heredocs")
    dest = _word(node.dest.text)
    folder = dest if dest.endswith("/") else f"{dest}/" if dest == "." or len(node.heredocs) > 1 else ""
    rows = []
    for heredoc in node.heredocs:
        text = without_tabs(heredoc.body) if heredoc.chomp else heredoc.body
        if heredoc.expand and re.search(r"[$\\]", text):
            raise _NoEquivalentError("its text needs variables")
        path = f"{folder}{heredoc.name.rpartition('/')[2]}" if folder else dest
        rows.append(f"{_text(path)}: {_text(text)}")
    named = {"chown": "owner", "chmod": "mode"}
    arguments = ["{" + ", ".join(rows) + "}"]
    for flag in node.flags:
        if flag.name not in named:
            raise _NoEquivalentError(f"--{flag.name} has no equivalent for texts")
        arguments.append(f"{named[flag.name]} = {_text(_word(flag.value or ''))}")
    return f"files({', '.join(arguments)})"


def _run(node: tree.Run, earlier: Sequence[tree.Stage], names: Sequence[str]) -> str:
    arguments = [_text(_script(node)) if node.heredocs else _command(node.command)]
    network = "default"
    mounts = []
    for flag in node.flags:
        if flag.name == "mount":
            mounts.append(_mount(flag.value or "", earlier, names))
        elif flag.name == "network":
            network = flag.value or "default"
        else:
            raise _NoEquivalentError(f"--{flag.name} has no equivalent")
    if network != "none":
        arguments.append(f"network = {_text(network)}")
    if mounts:
        arguments.append(f"mounts = [{', '.join(mounts)}]")
    return f"run({', '.join(arguments)})"


def _script(node: tree.Run) -> str:
    """A RUN with heredocs as the text that its shell gets."""
    text = "".join(node.command.words)
    first = node.heredocs[0]
    if heredoc_word(text) is None:
        return text + "".join(f"\n{h.body}{h.name}" for h in node.heredocs)
    script = without_tabs(first.body) if first.chomp else first.body
    if script.startswith("#!"):
        raise _NoEquivalentError("its script has an interpreter of its own")
    return script


def _mount(text: str, earlier: Sequence[tree.Stage], names: Sequence[str]) -> str:
    fields = {"type": "bind"}
    for part in split(text):
        key, _, value = part.partition("=")
        fields[_MOUNT_KEYS.get(key, key)] = _word(value)
    kind = fields.pop("type")
    target = fields.pop("target", "")
    taken = {"bind": {"from", "source", "rw"}, "tmpfs": {"size"}}.get(kind)
    if taken is None or not target:
        raise _NoEquivalentError(f"--mount=type={kind} has no equivalent")
    if other := set(fields) - taken - {"ro"}:
        raise _NoEquivalentError(f"{min(other)} of --mount has no equivalent")
    if kind == "tmpfs":
        size = fields.get("size", "")
        if size and not size.isdigit():
            raise _NoEquivalentError("the size of its mount has a unit")
        return f"tmpfs_mount({_text(target)}{f', size = {size}' if size else ''})"
    source, path = fields.get("from"), fields.get("source", "")
    if source is None:
        first, more = path or ".", ""
    else:
        first, more = _stage(source, earlier, names) or source, f", path = {_text(path)}" if path else ""
        if not first.startswith(":"):
            raise _NoEquivalentError("its mount is of an image elsewhere")
    writable = ", read_only = False" if fields.get("rw", "false") in ("", "true") else ""
    return f"bind_mount({_text(target)}, {_text(first)}{more}{writable})"


def _healthcheck(node: tree.Healthcheck) -> str:
    arguments = ["None" if node.command is None else _command(node.command)]
    for flag in node.flags:
        value = flag.value or ""
        name = flag.name.replace("-", "_")
        arguments.append(
            f"{name} = {value if name == 'retries' and value.isdigit() else _text(_word(value))}"
        )
    return f"healthcheck({', '.join(arguments)})"


def _command(command: tree.Command) -> str:
    return _text(" ".join(command.words) if command.form == "shell" else list(command.words))


def _pairs(pairs: Sequence[tree.Pair]) -> str:
    return "{" + ", ".join(f"{_text(_word(p.name))}: {_text(_value(p))}" for p in pairs) + "}"


def _value(pair: tree.Pair) -> str:
    if pair.old and "$" not in (pair.value or "") and "\\" not in (pair.value or ""):
        return pair.value or ""
    return _word(pair.value or "")


def _word(text: str) -> str:
    """The word without its quotes, where that needs no variables."""
    if match := _QUOTED.fullmatch(text):
        return match[1] if match[1] is not None else match[2]
    if not _PLAIN.fullmatch(text):
        raise _NoEquivalentError("it needs variables" if "$" in text else "it has quotes")
    return text


def _words(words: Sequence[tree.Word]) -> list[str]:
    return [_word(w.text) for w in words]


def _text(value: str | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False)


_STEPS: dict[type, Callable[[Any], str]] = {
    tree.Env: lambda node: f"env({_pairs(node.pairs)})",
    tree.Label: lambda node: f"label({_pairs(node.pairs)})",
    tree.Cmd: lambda node: f"cmd({_command(node.command)})",
    tree.Entrypoint: lambda node: f"entrypoint({_command(node.command)})",
    tree.Shell: lambda node: f"shell({_command(node.command)})",
    # What EXPOSE says of the host has no effect, nor has the case of a protocol.
    tree.Expose: lambda node: f"expose({_text([p.rpartition(':')[2].lower() for p in _words(node.ports)])})",
    tree.Volume: lambda node: f"volume({_text(_words(node.paths))})",
    tree.Workdir: lambda node: f"workdir({_text(_word(node.path.text))})",
    tree.User: lambda node: f"user({_text(_word(node.user.text))})",
    tree.Stopsignal: lambda node: f"stop_signal({_text(_word(node.signal.text))})",
}
_REASONS: dict[type, str] = {
    tree.Arg: "a function's argument, or a flag in buildtool.toml, takes its place",
    tree.From: "its flags or variables have no equivalent",
    tree.Onbuild: "triggers have no equivalent",
    tree.Maintainer: "a label takes its place",
}
