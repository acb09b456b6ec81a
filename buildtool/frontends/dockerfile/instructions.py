"""The instructions that change an image's config, and ARG."""

from collections.abc import Callable, Mapping
from typing import Any

from buildtool.diag import BuildError
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.body import Body
from buildtool.frontends.dockerfile.tree import Command
from buildtool.frontends.dockerfile.values import check_signal, duration, ports, retries
from buildtool.graph.model import Healthcheck
from buildtool.graph.stage import shell_argv

#: The characters that a port is in the history: a short EXPOSE can name 65,536 of them.
PORT = 10


def config(body: Body, node: tree.Node) -> None:
    """Lower an instruction that makes no layer, or WORKDIR."""
    handler: Callable[[Body, Any], None] = _HANDLERS[type(node)]
    handler(body, node)


def arg(body: Body, node: tree.Arg, global_args: Mapping[str, str]) -> None:
    """Declare arguments: `--build-arg`, else the default, else the value before the first FROM, else none."""
    shown: list[str] = []
    given = body.shared.request.build_args
    for pair in node.pairs:
        value: str | None
        if pair.name in given:
            value = given[pair.name]
        elif pair.value is not None:
            value = body.word(pair.value, pair.at)
        else:
            value = global_args.get(pair.name)
        if value is not None:
            body.set_arg(pair.name, value)
        shown.append(pair.name if value is None else f"{pair.name}={value}")
    body.stage = body.stage.arg(" ".join(shown))


def _pairs(body: Body, node: tree.Env | tree.Label) -> tuple[tuple[str, str], ...]:
    """Names and values expanded; none of them sees another of the same instruction."""
    pairs = tuple((body.word(p.name, p.at), body.word(p.value or "", p.at)) for p in node.pairs)
    for pair, (name, _) in zip(node.pairs, pairs, strict=True):
        if not name:
            raise BuildError(
                "blank-name", f"the name {pair.name} expands to nothing", span=body.span(pair.at)
            )
    return pairs


def _env(body: Body, node: tree.Env) -> None:
    body.set_env(_pairs(body, node))


def _label(body: Body, node: tree.Label) -> None:
    body.stage = body.stage.label(*_pairs(body, node))


def _argv(body: Body, command: Command) -> tuple[str, ...]:
    if command.form == "exec":
        return command.words
    return shell_argv(body.stage.config, "".join(command.words))


def _cmd(body: Body, node: tree.Cmd) -> None:
    body.stage = body.stage.cmd(_argv(body, node.command))
    body.has_cmd = True


def _entrypoint(body: Body, node: tree.Entrypoint) -> None:
    body.stage = body.stage.entrypoint(_argv(body, node.command), keep_cmd=body.has_cmd)


def _shell(body: Body, node: tree.Shell) -> None:
    body.stage = body.stage.shell(node.command.words)


def _healthcheck(body: Body, node: tree.Healthcheck) -> None:
    if node.command is None:
        body.stage = body.stage.healthcheck(Healthcheck(("NONE",)))
        return
    kind = "CMD" if node.command.form == "exec" else "CMD-SHELL"
    times = {name: duration(node.value(name) or "0") for name in tree.HEALTH_TIMES}
    body.stage = body.stage.healthcheck(
        Healthcheck(
            (kind, *node.command.words),
            interval=times["interval"],
            timeout=times["timeout"],
            start_period=times["start-period"],
            start_interval=times["start-interval"],
            retries=retries(node.value("retries") or "0"),
        )
    )


def _expose(body: Body, node: tree.Expose) -> None:
    expander = body.shared.expander
    found: dict[str, None] = {}
    for word in node.ports:
        try:
            for spec in expander.words(word.text, body.env):
                named = ports(spec)
                expander.budget.spend(PORT * len(named))
                found.update(dict.fromkeys(named))
        except BuildError as error:
            raise error.at(body.span(word.at)) from None
    body.stage = body.stage.expose(*found)


def _volume(body: Body, node: tree.Volume) -> None:
    paths = tuple(body.word(word.text, word.at) for word in node.paths)
    for word, path in zip(node.paths, paths, strict=True):
        if not path:
            raise BuildError(
                "blank-name", f"the path {word.text} expands to nothing", span=body.span(word.at)
            )
    body.stage = body.stage.volume(*paths)


def _workdir(body: Body, node: tree.Workdir) -> None:
    path = body.word(node.path.text, node.path.at)
    if "\0" in path:
        raise BuildError("bad-path", "a path holds no zero byte", span=body.span(node.path.at))
    body.stage = body.stage.workdir(path, origin=body.origin(node))


def _user(body: Body, node: tree.User) -> None:
    body.stage = body.stage.user(body.word(node.user.text, node.user.at))


def _stopsignal(body: Body, node: tree.Stopsignal) -> None:
    signal = body.word(node.signal.text, node.signal.at)
    try:
        check_signal(signal)
    except BuildError as error:
        raise error.at(body.span(node.signal.at)) from None
    body.stage = body.stage.stop_signal(signal)


def _maintainer(body: Body, node: tree.Maintainer) -> None:
    body.stage = body.stage.maintainer(node.who.text)


def _onbuild(body: Body, node: tree.Onbuild) -> None:
    body.stage = body.stage.on_build(node.trigger)


_HANDLERS: dict[type, Callable[[Body, Any], None]] = {
    tree.Cmd: _cmd,
    tree.Entrypoint: _entrypoint,
    tree.Env: _env,
    tree.Expose: _expose,
    tree.Healthcheck: _healthcheck,
    tree.Label: _label,
    tree.Maintainer: _maintainer,
    tree.Onbuild: _onbuild,
    tree.Shell: _shell,
    tree.Stopsignal: _stopsignal,
    tree.User: _user,
    tree.Volume: _volume,
    tree.Workdir: _workdir,
}
