"""A group of commands that imports a command's module only when the command is called."""

import importlib
from dataclasses import dataclass

import click

from buildtool.diag import BuildError, suggestion


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command that is not imported yet: `module` has a click command named `command`."""

    module: str
    summary: str


class LazyGroup(click.Group):
    """Knows its commands by name and summary, so that listing them imports none.

    `sections` are headings with the commands under them; what is in none comes last.
    """

    def __init__(
        self, *, lazy: dict[str, Lazy], sections: dict[str, tuple[str, ...]], **more: object
    ) -> None:
        super().__init__(**more)  # type: ignore[arg-type]
        self.lazy = lazy
        self.sections = sections

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.lazy.get(cmd_name)
        if entry is None:
            raise BuildError(
                "unknown-command",
                f"there is no command {cmd_name!r}",
                hint=suggestion(cmd_name, self.lazy) or "buildtool --help lists the commands",
            )
        command = importlib.import_module(entry.module).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(map(len, self.lazy))
        shown = {name for names in self.sections.values() for name in names}
        rest = tuple(name for name in self.lazy if name not in shown)
        for heading, names in {**self.sections, "Other commands": rest}.items():
            rows = [(name.ljust(widest), self.lazy[name].summary) for name in names if name in self.lazy]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
