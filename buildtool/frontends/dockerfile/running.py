"""RUN: its command, with or without heredocs, as the arguments of one process."""

from buildtool.diag import BuildError
from buildtool.frontends.dockerfile import tree
from buildtool.frontends.dockerfile.args import DEFAULT_HOSTNAME, HOSTNAME_ARG, proxies
from buildtool.frontends.dockerfile.body import Body
from buildtool.frontends.dockerfile.devices import check_device
from buildtool.frontends.dockerfile.heredoc import heredoc_word, without_tabs
from buildtool.frontends.dockerfile.mounts import Sources, mounts
from buildtool.frontends.dockerfile.request import NETWORK_HOST
from buildtool.graph.model import LiteralFile, LiteralSource, Network
from buildtool.graph.mounts import BindMount, Mount
from buildtool.graph.stage import shell_argv

#: Where BuildKit puts a heredoc that is a script with an interpreter line.
SCRIPTS = "/dev/pipes/"

#: What a step pays for a variable that it sees, and how many characters it copies for the price of one.
VARIABLE, COPIED = 8, 4


def run(body: Body, node: tree.Run, sources: Sources) -> None:
    """Lower one RUN; `sources` knows what its mounts name with `from`."""
    for flag in node.flags:
        if flag.name == "device":
            check_device(body, flag)
    argv, scripts = _command(body, node)
    flags = [flag for flag in node.flags if flag.name == "mount"]
    # Each step names the whole environment, and its history the arguments.
    told = sum(map(len, body.args)) + sum(map(len, body.args.values()))
    body.shared.budget.spend(VARIABLE * len(body.env) + told // COPIED)
    body.stage = body.stage.run(
        argv,
        args=tuple(sorted(body.args.items())),
        network=_network(body, node),
        mounts=(*scripts, *mounts(body, flags, sources, body.origin(node))),
        security="insecure" if node.value("security") == "insecure" else "sandbox",
        hostname=body.shared.request.build_args.get(HOSTNAME_ARG) or DEFAULT_HOSTNAME,
        proxies=proxies(body.shared.request),
        origin=body.origin(node),
    )


def _command(body: Body, node: tree.Run) -> tuple[tuple[str, ...], tuple[Mount, ...]]:
    command, config = node.command, body.stage.config
    if command.form == "exec":
        if not command.words:
            raise BuildError("missing-argument", "RUN with an empty array runs nothing")
        return command.words, ()
    text = "".join(command.words)
    if not node.heredocs:
        return shell_argv(config, text), ()
    first = node.heredocs[0]
    if heredoc_word(text) is None:
        # The shell reads the heredocs itself: they are put back as they stood.
        rest = "".join(f"\n{h.body}{h.name}" for h in node.heredocs)
        return shell_argv(config, text + rest), ()
    script = without_tabs(first.body) if first.chomp else first.body
    if script.startswith("#!"):
        file = LiteralFile(first.name, script.encode(), 0o755)
        source = LiteralSource((file,), body.origin(node))
        # BuildKit hands the script's path to the shell, not to the kernel.
        return shell_argv(config, SCRIPTS + first.name), (BindMount(source, SCRIPTS),)
    return shell_argv(config, script), ()


def _network(body: Body, node: tree.Run) -> Network:
    flag, allowed = node.flag("network"), body.shared.request.network
    if flag is None or flag.value == "default":
        return allowed
    permitted = allowed == "host" or NETWORK_HOST in body.shared.request.allow
    if flag.value == "host" and not permitted:
        raise BuildError(
            "network-host-not-allowed",
            "the host's network is not allowed in this build",
            span=body.span(flag.at),
            hint=f"allow it with --allow {NETWORK_HOST}; the image is then not hermetic",
        )
    return "host" if flag.value == "host" else "none"
