"""Commands whose switches may be given a value, as those of docker and buildah: `--push`, `--push=false`."""

import click

from buildtool.diag import BuildError

_TRUE, _FALSE = ("true", "1", "t"), ("false", "0", "f")


class SwitchCommand(click.Command):
    """A command that takes `--SWITCH=BOOL` for each of its switches, and never a word behind them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = self._end(ctx, args)
        plain = [new for arg in args[:end] for new in self._plain(ctx, arg)]
        return super().parse_args(ctx, plain + args[end:])

    def _end(self, ctx: click.Context, args: list[str]) -> int:
        """How many arguments may be options; the first word ends them where what follows is not ours."""
        end = args.index("--") if "--" in args else len(args)
        if ctx.allow_interspersed_args:
            return end
        at = 0
        while at < end and len(args[at]) > 1 and args[at].startswith("-"):
            at += 1 + self._takes_next(ctx, args[at])
        return min(at, end)

    def _takes_next(self, ctx: click.Context, arg: str) -> bool:
        """Whether the value of an option, or of the last of several letters, is the next argument."""
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        values = {name for option in options if not option.is_flag for name in option.opts}
        if arg.startswith("--"):
            return arg in values
        first = next((n for n, letter in enumerate(arg[1:], 2) if f"-{letter}" in values), 0)
        return first == len(arg)

    def _plain(self, ctx: click.Context, arg: str) -> list[str]:
        name, equals, value = arg.partition("=")
        switch = self._switch(ctx, name) if equals else None
        if switch is None:
            return [arg]
        lowered = value.lower()
        if lowered not in (*_TRUE, *_FALSE):
            raise BuildError("bad-usage", f"{arg} is neither true nor false")
        return [name] if lowered in _TRUE else switch.secondary_opts[:1]

    def _switch(self, ctx: click.Context, name: str) -> click.Option | None:
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and parameter.is_bool_flag and name in parameter.opts:
                return parameter
        return None
