"""A Dockerfile as a BUILD.star: each instruction that has an equivalent becomes a step.

What has none stays as a comment in its place and is told, so that a person can decide.
An ARG becomes a constant of the file, which words and RUN steps use as they used the ARG.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from buildtool.cli.constants import MARK, Constants, NoEquivalentError, Value, Variables
from buildtool.diag import BuildError, Warned
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.heredoc import heredoc_word, without_tabs
from buildtool.frontends.dockerfile.mounts import split
from buildtool.frontends.starlark.formatting.format import formatted

_MOUNT_KEYS = {
    **dict.fromkeys(("dst", "destination"), "target"),
    "src": "source",
    "readwrite": "rw",
    "readonly": "ro",
}
#: The kinds of mounts that have an equivalent, and their keys.
_MOUNTS = {"bind": {"from", "source", "rw"}, "cache": {"id", "sharing"}, "tmpfs": {"size"}}
_IMAGE = 'load("@rules//image.star", "image")\n'
#: Flags of FROM that say what is so in any case.
_OWN_PLATFORM = {("platform", f"${name}") for name in ("TARGETPLATFORM", "{TARGETPLATFORM}")}


@dataclass(slots=True)
class _Stage:
    """Where an instruction stands: the stages so far by name and number, and the variables in force.

    `before` are the variables of the file's beginning, which FROM sees; `base` is the row of
    the base; `told` is what is said of the instruction beside its step.
    """

    labels: dict[str, str]
    ended: dict[str, Variables]
    before: Variables
    words: Variables
    base: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def text(self, value: Value) -> str:
        return self.words.constants.written(value)

    def word(self, text: str) -> str:
        return self.words.word(text)

    def label(self, name: str) -> str:
        """The label of the stage that a name or a number means, or nothing."""
        return self.labels.get(name.lower(), "")


@dataclass(slots=True)
class _Conversion:
    file: tree.File
    filename: str
    warnings: list[Warned] = field(default_factory=list)

    def rows(self, here: _Stage, node: tree.Instruction) -> list[str]:
        """An instruction as a step, comments, or nothing where all it does is name a base or constants."""
        here.told.clear()
        line = self.file.lines[node.at.line - 1].strip()
        try:
            maker = _STEPS.get(type(node))
            if maker is None:
                raise NoEquivalentError(_REASONS.get(type(node), "it has no equivalent"))
            step = maker(here, node)
        except NoEquivalentError as reason:
            _forgotten(here, node)
            self._warn("not-converted", f"left as a comment, because {reason}", node)
            return [f"        # not converted, {reason}: {line}"]
        for what in here.told:
            self._warn("changed", what, node)
        comments = [f"        # changed, {what}: {line}" for what in here.told]
        return [*comments, f"        {step},"] if step else comments

    def _warn(self, code: str, text: str, node: tree.Instruction) -> None:
        self.warnings.append(Warned(code, text, span=self.file.span(self.filename, node.at)))


def convert(file: tree.File, filename: str) -> tuple[str, list[Warned]]:
    """The text of a BUILD.star with an image a stage, the last of them `image`; and what is not in it."""
    if any(map(MARK.search, file.lines)):
        raise BuildError("not-convertible", f"{filename} has characters of a private plane of Unicode")
    constants = Constants()
    before = Variables(constants, file.escape, args=constants.of_platform())
    labels: dict[str, str] = {}
    ended: dict[str, Variables] = {}
    conversion = _Conversion(file, filename)
    first = _Stage(labels, ended, before, before)
    steps = [row for node in file.preamble for row in conversion.rows(first, node)]
    images = []
    for number, stage in enumerate(file.stages):
        here = _Stage(labels, ended, before, Variables(constants, file.escape))
        name = _name(number, len(file.stages) - 1, stage.start)
        steps += [row for node in (stage.start, *stage.body) for row in conversion.rows(here, node)]
        rows = [f"    name = {here.text(name)},", *here.base]
        if steps:
            rows += ["    steps = [", *steps, "    ],"]
        images.append("image(\n" + "\n".join(rows) + "\n)\n")
        steps = []
        labels[str(number)] = f":{name}"
        if stage.start.alias:
            labels[stage.start.alias.text.lower()] = f":{name}"
        ended[f":{name}"] = here.words
    text = "\n".join([_IMAGE, *constants.rows(), *images])
    return formatted(text.encode(), "BUILD.star"), conversion.warnings


def _name(number: int, last: int, start: tree.From) -> str:
    if number == last:
        return "image"
    return start.alias.text.lower() if start.alias else f"stage-{number}"


def _from(here: _Stage, start: tree.From) -> str:
    """The base; the stage has the variables of it from now on."""
    here.told += [
        f"--{flag.name} has no equivalent"
        for flag in start.flags
        if (flag.name, flag.value) not in _OWN_PLATFORM
    ]
    written = here.before.word(start.base.text)
    if written != "scratch":
        label = here.label(here.words.constants.settled(written))
        if label:
            here.words.inherit(here.ended[label])
        here.base = [f"    base = {here.text(label or written)},"]
    return ""


def _forgotten(here: _Stage, node: tree.Instruction) -> None:
    """An instruction stays a comment: what it would have set is not known."""
    if isinstance(node, tree.Env | tree.Arg):
        for pair in node.pairs:
            here.words.forget(pair.name)


def _arguments(here: _Stage, node: tree.Arg) -> str:
    for pair in node.pairs:
        inherited = here.before.args.get(pair.name)
        if pair.value is not None:
            here.words.set_arg(pair.name, here.word(pair.value))
        elif inherited is not None:
            here.words.args[pair.name] = inherited
        else:
            here.words.unset.add(pair.name)
            here.told.append(f"{pair.name} has no value unless a build gives it one")
    return ""


def _environment(here: _Stage, node: tree.Env) -> str:
    pairs = {here.word(p.name): here.word(p.value or "") for p in node.pairs}
    for name, value in pairs.items():
        here.words.set_env(name, value)
    return f"env({here.text(pairs)})"


def _copy(here: _Stage, node: tree.Copy | tree.Add) -> str:
    adding = isinstance(node, tree.Add)
    if node.heredocs:
        return _files(here, node)
    sources = [here.word(s.text) for s in node.sources]
    if adding and any("://" in s or s.startswith("git@") for s in sources):
        raise NoEquivalentError("its sources are elsewhere")
    arguments = [here.text(sources), here.text(here.word(node.dest.text))]
    for flag in node.flags:
        if flag.name == "from" and not adding:
            # FROM and --from know the same names; variables are not expanded here.
            arguments.append(f"from_ = {here.text(here.label(flag.value or '') or flag.value or '')}")
            continue
        value = here.word(flag.value or "")
        if flag.name in ("chown", "chmod"):
            arguments.append(f"{'owner' if flag.name == 'chown' else 'mode'} = {here.text(value)}")
        elif flag.name in ("link", "parents") and not adding and value in ("", "true"):
            arguments.append(f"{flag.name} = True")
        elif flag.name != "exclude":
            raise NoEquivalentError(f"--{flag.name} has no equivalent")
    if excluded := [here.word(f.value or "") for f in node.flags if f.name == "exclude"]:
        arguments.append(f"exclude = {here.text(excluded)}")
    return f"{'extract' if adding else 'copy'}({', '.join(arguments)})"


def _files(here: _Stage, node: tree.Copy | tree.Add) -> str:
    """Heredocs as the files that they are, by their paths."""
    if len(node.sources) > len(node.heredocs):
        raise NoEquivalentError("it has files beside its heredocs")
    dest = here.word(node.dest.text)
    folder = dest if dest.endswith("/") else f"{dest}/" if dest == "." or len(node.heredocs) > 1 else ""
    rows = []
    for heredoc in node.heredocs:
        text = without_tabs(heredoc.body) if heredoc.chomp else heredoc.body
        if heredoc.expand:
            text = here.words.body(text)
        path = f"{folder}{heredoc.name.rpartition('/')[2]}" if folder else dest
        rows.append(f"{here.text(path)}: {here.text(text)}")
    named = {"chown": "owner", "chmod": "mode"}
    arguments = ["{" + ", ".join(rows) + "}"]
    for flag in node.flags:
        if flag.name not in named:
            raise NoEquivalentError(f"--{flag.name} has no equivalent for texts")
        arguments.append(f"{named[flag.name]} = {here.text(here.word(flag.value or ''))}")
    return f"files({', '.join(arguments)})"


def _run(here: _Stage, node: tree.Run) -> str:
    arguments = [here.text(_script(node)) if node.heredocs else _command(here, node.command)]
    network = "default"
    mounts = []
    for flag in node.flags:
        if flag.name == "mount":
            mounts.append(_mount(here, flag.value or ""))
        elif flag.name == "network":
            network = flag.value or "default"
        else:
            raise NoEquivalentError(f"--{flag.name} has no equivalent")
    if network != "none":
        arguments.append(f"network = {here.text(network)}")
    if here.words.args:
        arguments.append(f"env = {here.text(dict(sorted(here.words.args.items())))}")
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
        raise NoEquivalentError("its script has an interpreter of its own")
    return script


def _mount(here: _Stage, text: str) -> str:
    fields = {"type": "bind"}
    for part in split(text):
        key, _, value = part.partition("=")
        fields[_MOUNT_KEYS.get(key, key)] = value if key == "from" else here.word(value)
    kind = fields.pop("type")
    target = fields.pop("target", "")
    taken = _MOUNTS.get(kind)
    if taken is None or not target:
        raise NoEquivalentError(f"--mount=type={kind} has no equivalent")
    if other := set(fields) - taken - {"ro"}:
        raise NoEquivalentError(f"{min(other)} of --mount has no equivalent")
    if kind == "cache":
        here.told.append(f"the cache {target} is an empty folder each time")
        return f"tmpfs_mount({here.text(target)})"
    if kind == "tmpfs":
        size = fields.get("size", "")
        if size and not size.isdigit():
            raise NoEquivalentError("the size of its mount has a unit")
        return f"tmpfs_mount({here.text(target)}{f', size = {size}' if size else ''})"
    source, path = fields.get("from"), fields.get("source", "")
    if source is None:
        first, more = path or ".", ""
    else:
        first, more = here.label(source) or source, f", path = {here.text(path)}" if path else ""
        if not first.startswith(":"):
            raise NoEquivalentError("its mount is of an image elsewhere")
    writable = ", read_only = False" if fields.get("rw", "false") in ("", "true") else ""
    return f"bind_mount({here.text(target)}, {here.text(first)}{more}{writable})"


def _healthcheck(here: _Stage, node: tree.Healthcheck) -> str:
    arguments = ["None" if node.command is None else _command(here, node.command)]
    for flag in node.flags:
        value = flag.value or ""
        name = flag.name.replace("-", "_")
        arguments.append(f"{name} = {value if name == 'retries' and value.isdigit() else here.text(value)}")
    return f"healthcheck({', '.join(arguments)})"


def _command(here: _Stage, command: tree.Command) -> str:
    return here.text(" ".join(command.words) if command.form == "shell" else list(command.words))


def _ports(here: _Stage, node: tree.Expose) -> str:
    # What EXPOSE says of the host has no effect, nor has the case of a protocol.
    return f"expose({here.text([here.word(w.text).rpartition(':')[2].lower() for w in node.ports])})"


def _label(here: _Stage, node: tree.Label) -> str:
    return f"label({here.text({here.word(p.name): here.word(p.value or '') for p in node.pairs})})"


_STEPS: dict[type, Callable[[_Stage, Any], str]] = {
    tree.Add: _copy,
    tree.Arg: _arguments,
    tree.Copy: _copy,
    tree.Env: _environment,
    tree.Expose: _ports,
    tree.From: _from,
    tree.Healthcheck: _healthcheck,
    tree.Label: _label,
    tree.Run: _run,
    tree.Cmd: lambda here, node: f"cmd({_command(here, node.command)})",
    tree.Entrypoint: lambda here, node: f"entrypoint({_command(here, node.command)})",
    tree.Shell: lambda here, node: f"shell({_command(here, node.command)})",
    tree.Volume: lambda here, node: f"volume({here.text([here.word(w.text) for w in node.paths])})",
    tree.Workdir: lambda here, node: f"workdir({here.text(here.word(node.path.text))})",
    tree.User: lambda here, node: f"user({here.text(here.word(node.user.text))})",
    tree.Stopsignal: lambda here, node: f"stop_signal({here.text(here.word(node.signal.text))})",
}
_REASONS: dict[type, str] = {
    tree.Onbuild: "triggers have no equivalent",
    tree.Maintainer: "a label takes its place",
}
