"""The group: commands that load late, help in sections, and answers to typing errors."""

from __future__ import annotations

import importlib
import typing as t

import click

if t.TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SYNONYMS = {
    "delete": "drop",
    "remove": "drop",
    "destroy": "drop",
    "initialize": "init",
    "seeds": "seed",
    "load": "seed",
    "migrate": "init",
    "upgrade": "init",
    "restore": "snapshot restore",
    "save": "snapshot save",
    "snapshots": "snapshot list",
    "redo": "undo",
    "rollback": "undo",
    "overwrite": "reset",
    "recreate": "reset",
    "new": "create",
    "settings": "config",
    "start": "server start",
    "stop": "server stop",
    "log": "server log",
}
"""What people type for a command of another name."""

DESTRUCTIVE = ("drop", "reset")
"""Never guessed from a word that only looks alike: ``restore`` is near to ``reset``."""


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"flask-postgres {version('flask-postgres')}")
        ctx.exit()


version_option = click.Option(
    ["--version"],
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)


class Listed(t.NamedTuple):
    """How a command stands in the group's help, before it is loaded."""

    section: str
    help: str
    module: str | None = None
    """The module that has several commands; None where the command has one of its own."""


class Answering(click.Group):
    """A group that answers an unknown command with the nearest one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name == "help":
            click.echo(ctx.get_help())
            ctx.exit()
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(_unknown(name, known, ctx.command_path), ctx)
        return super().resolve_command(ctx, args)


class PsqlGroup(Answering):
    """A group whose commands are in modules of ``flask_postgres.cli.commands``."""

    def __init__(self, *args: t.Any, commands_table: t.Mapping[str, Listed], **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands_table = commands_table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands_table)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in self.commands_table:
            return None
        if name not in self.commands:
            listed = self.commands_table[name]
            module = importlib.import_module(f".commands.{listed.module or name}", __package__)
            command: click.Command = vars(module)[name if listed.module else "command"]
            command.short_help = listed.help
            command.panel = listed.section  # type: ignore[attr-defined]  # a section, to rich-click
            self.add_command(command, name)
        return self.commands[name]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        width = max(map(len, self.commands_table))
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, listed in self.commands_table.items():
            sections.setdefault(listed.section, []).append((name.ljust(width), listed.help))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        # Click's own would load every command for its help.
        found = [
            CompletionItem(name, help=listed.help)
            for name, listed in self.commands_table.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except OSError:  # --help could not be written
            from .boundary import boundary

            with boundary(ctx):
                raise

    def invoke(self, ctx: click.Context) -> t.Any:
        from .boundary import boundary

        with boundary(ctx):
            return super().invoke(ctx)


class Ordered(Answering):
    """A group that lists its commands in the order in which they are declared."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)


def _unknown(name: str, known: t.Sequence[str], path: str) -> str:
    import difflib

    meant = {one: one for one in known}
    meant |= {typed: one for typed, one in SYNONYMS.items() if one.split()[0] in known}
    guessed = {typed: one for typed, one in meant.items() if one not in DESTRUCTIVE}
    near = [name] if name in meant else difflib.get_close_matches(name.lower(), guessed, n=1)
    hint = f' Did you mean "{meant[near[0]]}"?' if near else f" See: {path} --help"
    return f'No such command "{name}".{hint}'
