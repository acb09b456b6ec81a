"""A stage: the image that grows, instruction by instruction, under either frontend.

Both frontends make their graphs through these operations and no other way, so
that what means the same has the same steps, the same config and the same
history.  An operation returns a new stage; none of them changes one.

History texts are made here from what an operation does, not from how it was
spelled, in BuildKit's manner (`RUN ... # buildkit`).
"""

import json
import posixpath
from dataclasses import dataclass, field, replace

from buildtool.address import public
from buildtool.graph.model import (
    Action,
    CopyAction,
    FetchSource,
    FileOp,
    GitSource,
    Healthcheck,
    History,
    Image,
    ImageConfig,
    ImageSource,
    MakeFolderAction,
    MakeLinkAction,
    Network,
    Origin,
    Owner,
    Platform,
    Run,
    Security,
    Step,
    UnpackDebsAction,
)
from buildtool.graph.mounts import BindMount, CacheMount, Mount, SshMount
from buildtool.graph.positions import Positions
from buildtool.graph.trail import Trail
from buildtool.graph.unpacking import JoinAction, UnpackArchiveAction, UnpackWheelAction

#: Docker's: what a shell form runs in where SHELL says nothing.
DEFAULT_SHELL = ("/bin/sh", "-c")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Docker's environment of a step has these beside the image's own; ours, short and documented.
STEP_ENV = (("PYTHONHASHSEED", "0"), ("PERL_HASH_SEED", "0"))

#: What is mended in the files that a step wrote unless it is turned off (docs/design/finishers.md).
FINISHERS = (
    "apt-caches",
    "git-index",
    "ldconfig-aux-cache",
    "machine-id",
    "node-compile-cache",
    "npm-cache",
    "npm-logs",
    "pip-wheels",
    "pyc-mtime",
)


@dataclass(frozen=True, slots=True)
class Stage:
    """A root filesystem with the config and history so far; `epoch` in seconds.

    Of the config, what instructions add to without end and no step looks at (labels,
    ports, volumes, triggers) is kept as trails, which `image` puts in.
    `scope` tells apart the stages of files that share a lock, `runs` counts its processes.
    """

    platform: Platform
    epoch: int
    rootfs: Step | None = None
    config: ImageConfig = ImageConfig()
    history: Trail[History] = field(default_factory=Trail)
    author: str = ""
    finishers: tuple[str, ...] = FINISHERS
    frozen: bool = True
    scope: str = ""
    runs: int = 0
    _env: Positions = field(default_factory=Positions, repr=False, compare=False)
    _labels: Trail[tuple[str, str]] = field(default_factory=Trail)
    _ports: Trail[str] = field(default_factory=Trail)
    _volumes: Trail[str] = field(default_factory=Trail)
    _triggers: Trail[str] = field(default_factory=Trail)

    # ------------------------------------------------------------ layers

    def run(
        self,
        argv: tuple[str, ...],
        *,
        args: tuple[tuple[str, str], ...] = (),
        network: Network = "default",
        mounts: tuple[Mount, ...] = (),
        security: Security = "sandbox",
        hostname: str = "buildkitsandbox",
        proxies: tuple[tuple[str, str], ...] = (),
        origin: Origin | None = None,
    ) -> "Stage":
        """Run a process; `args` are build arguments in force, `proxies` the machine's own variables."""
        step = Run(
            base=self.rootfs,
            argv=argv,
            env=_with_agent(self.step_env(args), mounts),
            cwd=self.config.working_dir or "/",
            user=self.config.user,
            clock=self.epoch,
            network=network,
            hostname=hostname,
            mounts=tuple(self._mountable(m, origin) for m in mounts),
            finishers=self.finishers,
            frozen=self.frozen,
            security=security,
            platform=self.platform,
            proxies=proxies,
            place=self._place(origin),
            origin=origin,
        )
        used = f"|{len(args)} {_pairs(args)} " if args else ""
        made = self._layer(step, f"RUN {used}{' '.join(argv)} # buildtool")
        return replace(made, runs=self.runs + 1)

    def _place(self, origin: Origin | None) -> str:
        """What the next process is called in a lock, whatever its command: an edit of it moves no name."""
        names = (self.scope, origin.stage if origin else "", str(self.runs + 1), str(self.platform))
        return " ".join(name for name in names if name)

    def _mountable(self, mount: Mount, origin: Origin | None) -> Mount:
        """The mount with its source made a layer, which is what can be mounted."""
        if not isinstance(mount, BindMount | CacheMount):
            return mount
        source = mount.source
        if source is None or isinstance(source, ImageSource | FileOp | Run):
            return mount
        about = replace(origin, title=f"files to mount at {mount.target}") if origin else None
        copied = CopyAction(source, ("",), "/", wildcards=False)
        return replace(mount, source=FileOp(None, (copied,), self.epoch, about))

    def step_env(self, args: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """The environment of a process: PATH, ours, the image's, the arguments'; the last of a name wins."""
        own = self.config.env
        if own and own[0][0] == "PATH" and self._env.apart(own, [name for name, _ in (*STEP_ENV, *args)]):
            return (own[0], *STEP_ENV, *own[1:], *args)
        return _last_of_each((("PATH", DEFAULT_PATH), *STEP_ENV, *own, *args))

    def files(self, *actions: Action, origin: Origin | None = None) -> "Stage":
        """File operations that together are one layer."""
        step = FileOp(base=self.rootfs, actions=actions, epoch=self.epoch, origin=origin)
        return self._layer(step, "; ".join(_described(a) for a in actions) + " # buildtool")

    def workdir(self, path: str, *, origin: Origin | None = None) -> "Stage":
        """Set the working directory, and make it with the ownership of the user in force.

        It is always a layer, except for the root itself.  The config keeps an
        absolute path as it is written, as Docker does.
        """
        full = (
            path if path.startswith("/") else clean_path(posixpath.join(self.config.working_dir or "/", path))
        )
        moved = replace(self, config=replace(self.config, working_dir=full))
        made = clean_path(full)
        if made == "/":
            return moved._config(f"WORKDIR {full}")
        owner = Owner(*_user_and_group(self.config.user)) if self.config.user else None
        step = FileOp(
            base=self.rootfs,
            actions=(MakeFolderAction(made, owner),),
            epoch=self.epoch,
            origin=origin,
        )
        return moved._layer(step, f"WORKDIR {full}")

    def based_on(self, files: Step, text: str) -> "Stage":
        """Begin with the files of a step, which are one layer."""
        return self._layer(files, text)

    def _layer(self, step: Step, text: str) -> "Stage":
        entry = History(created_by=text, author=self.author)
        return replace(self, rootfs=step, history=self.history.and_then(entry))

    # ------------------------------------------------------------ config

    def env(self, *pairs: tuple[str, str]) -> "Stage":
        return self._config("ENV " + _pairs(pairs), env=self._env.merged(self.config.env, pairs))

    def label(self, *pairs: tuple[str, str]) -> "Stage":
        return replace(self._config("LABEL " + _pairs(pairs)), _labels=self._labels.and_then(*pairs))

    def user(self, name: str) -> "Stage":
        return self._config(f"USER {name}", user=name)

    def cmd(self, argv: tuple[str, ...], *, args_escaped: bool = False) -> "Stage":
        return self._config(f"CMD {json.dumps(argv)}", cmd=argv, args_escaped=args_escaped)

    def entrypoint(self, argv: tuple[str, ...], *, keep_cmd: bool = False) -> "Stage":
        """Set ENTRYPOINT; a CMD inherited from a base is dropped, as Docker does, unless `keep_cmd`."""
        changed = self._config(f"ENTRYPOINT {json.dumps(argv)}", entrypoint=argv)
        return changed if keep_cmd else replace(changed, config=replace(changed.config, cmd=None))

    def expose(self, *ports: str) -> "Stage":
        """Ports as `80/tcp`."""
        return replace(self._config("EXPOSE " + " ".join(ports)), _ports=self._ports.and_then(*ports))

    def volume(self, *paths: str) -> "Stage":
        return replace(self._config("VOLUME " + json.dumps(paths)), _volumes=self._volumes.and_then(*paths))

    def stop_signal(self, signal: str) -> "Stage":
        return self._config(f"STOPSIGNAL {signal}", stop_signal=signal)

    def shell(self, argv: tuple[str, ...]) -> "Stage":
        return self._config(f"SHELL {json.dumps(argv)}", shell=argv)

    def healthcheck(self, check: Healthcheck) -> "Stage":
        return self._config(f"HEALTHCHECK {json.dumps(check.test)}", healthcheck=check)

    def on_build(self, text: str) -> "Stage":
        """Keep a trigger for the images built on this one; Docker notes it in no history."""
        return replace(self, _triggers=self._triggers.and_then(text))

    def maintainer(self, name: str) -> "Stage":
        return replace(self._config(f"MAINTAINER {name}"), author=name)

    def arg(self, text: str) -> "Stage":
        """Note an ARG in the history; it changes nothing else of an image."""
        return self._config(f"ARG {text}")

    def _config(self, text: str, **changed: object) -> "Stage":
        entry = History(created_by=text, empty_layer=True, author=self.author)
        config = replace(self.config, **changed) if changed else self.config  # type: ignore[arg-type]
        return replace(self, config=config, history=self.history.and_then(entry))

    # ------------------------------------------------------------ result

    def image(self, *, annotations: tuple[tuple[str, str], ...] = (), origin: Origin | None = None) -> Image:
        """The image that this stage is now."""
        config = replace(
            self.config,
            labels=_last_of_each((*self.config.labels, *self._labels.items())),
            exposed_ports=tuple(sorted({*self.config.exposed_ports, *self._ports.items()})),
            volumes=tuple(sorted({*self.config.volumes, *self._volumes.items()})),
            on_build=(*self.config.on_build, *self._triggers.items()),
        )
        return Image(
            rootfs=self.rootfs,
            config=config,
            platform=self.platform,
            created=self.epoch,
            history=self.history.items(),
            author=self.author,
            annotations=annotations,
            origin=origin,
        )

    @classmethod
    def of(cls, image: Image, epoch: int) -> "Stage":
        """A stage that begins with an image, as FROM of it does: PATH is set, triggers are not inherited."""
        env = image.config.env
        if all(name != "PATH" for name, _ in env):
            env = (*env, ("PATH", DEFAULT_PATH))
        config = replace(image.config, env=env, on_build=())
        return cls(
            platform=image.platform,
            epoch=epoch,
            rootfs=image.rootfs,
            config=config,
            history=Trail(image.history),
            author=image.author,
        )

    @classmethod
    def scratch(cls, platform: Platform, epoch: int) -> "Stage":
        """A stage that begins with nothing, as `FROM scratch`: no files, PATH, and `/` to work in."""
        config = ImageConfig(env=(("PATH", DEFAULT_PATH),), working_dir="/")
        return cls(platform=platform, epoch=epoch, config=config)


def clean_path(path: str) -> str:
    """An absolute path without `.`, `..`, doubled slashes and a slash at its end."""
    return "/" + posixpath.normpath("/" + path).strip("/")


def shell_argv(config: ImageConfig, command: str) -> tuple[str, ...]:
    """The arguments of a shell form: the shell in force and the command as one more argument."""
    return (*(config.shell or DEFAULT_SHELL), command)


def _with_agent(env: tuple[tuple[str, str], ...], mounts: tuple[Mount, ...]) -> tuple[tuple[str, str], ...]:
    """The environment with the way to the first SSH agent, unless it names one itself, as BuildKit has it."""
    sockets = [m.target for m in mounts if isinstance(m, SshMount)]
    if not sockets or any(name == "SSH_AUTH_SOCK" for name, _ in env):
        return env
    return (*env, ("SSH_AUTH_SOCK", sockets[0]))


def _user_and_group(user: str) -> tuple[str, str]:
    name, _, group = user.partition(":")
    return name, group


def _last_of_each(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The last value of each name, where the name stood first."""
    return tuple(dict(pairs).items())


def _pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    return " ".join(map("=".join, pairs))


def _named(action: CopyAction) -> str:
    """The sources as the history has them; what comes from elsewhere by its address, never by a login."""
    source = action.source
    if isinstance(source, GitSource):
        return f"{source.url}#{source.commit}{f':{source.subdir}' if source.subdir else ''}"
    if isinstance(source, FetchSource) and source.urls:
        return public(source.urls[0])
    return " ".join(p or "." for p in action.paths)


def _file_of(source: Step) -> str:
    return source.name if isinstance(source, FetchSource) else "archive"


def _described(action: Action) -> str:
    if isinstance(action, CopyAction):
        flags = ""
        if action.owner:
            flags += f"--chown={':'.join(p for p in (action.owner.user, action.owner.group) if p)} "
        if action.mode:
            flags += f"--chmod={action.mode} "
        verb = "ADD" if action.unpack or isinstance(action.source, FetchSource | GitSource) else "COPY"
        return f"{verb} {flags}{_named(action)} {action.dest}"
    if isinstance(action, MakeFolderAction):
        return f"MKDIR {action.path}"
    if isinstance(action, MakeLinkAction):
        return f"SYMLINK {action.path} -> {action.target}"
    if isinstance(action, UnpackDebsAction):
        return "UNPACK debian packages"
    if isinstance(action, UnpackArchiveAction):
        return f"UNPACK {_file_of(action.source)} {action.dest}"
    if isinstance(action, UnpackWheelAction):
        return f"INSTALL {_file_of(action.source)} {action.prefix}"
    if isinstance(action, JoinAction):
        return f"JOIN {' '.join(action.paths)} {action.dest}"
    raise TypeError(type(action).__name__)
