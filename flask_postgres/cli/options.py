"""Options, made from the table of settings; and those that every command has."""

from __future__ import annotations

import math
import typing as t

import click

from ..settings.schema import BY_NAME, Setting
from . import completion

F = t.TypeVar("F", bound=t.Callable[..., t.Any])

CREATION = (
    "database_template",
    "owner",
    "encoding",
    "locale",
    "lc_collate",
    "lc_ctype",
    "locale_provider",
    "icu_locale",
    "tablespace",
    "connection_limit",
    "reset_with",
    "schemas",
    "extensions",
    "protect",
)
"""The settings that shape a new database."""

SERVER = ("server", "server_data_dir", "server_bin_dir")
TARGET = ("target_database_uri", "admin_uri", "admin_dbname", "connect_timeout", *SERVER)
INIT = ("init_with", "seed", "metadata")

DAILY, NEW, CONNECTION = SECTIONS = ("Options", "The new database", "Connection and server")
_SECTION = {**dict.fromkeys(CREATION, NEW), **dict.fromkeys(TARGET[1:], CONNECTION)}


class Option(click.Option):
    """An option that no environment variable can set.

    Flask's group has the prefix FLASK: without this, ``FLASK_PSQL_DROP_FORCE=1`` would skip the confirmation.
    """

    def __init__(self, *args: t.Any, section: str = DAILY, **kwargs: t.Any) -> None:
        kwargs.setdefault("allow_from_autoenv", False)
        super().__init__(*args, **kwargs)
        self.section = section


class Command(click.Command):
    """A command whose help gives the options of every day first, and the others in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {name: [] for name in SECTIONS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections[getattr(parameter, "section", DAILY)].append(record)
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


class Seconds(click.FloatRange):
    """A number of seconds. Click accepts "nan" in every range."""

    def convert(self, value: t.Any, param: click.Parameter | None, ctx: click.Context | None) -> t.Any:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a valid number of seconds.", param, ctx)
        return seconds


def option(*names: str, **kwargs: t.Any) -> t.Callable[[F], F]:
    """Return ``click.option`` for an :class:`Option`."""
    return click.option(*names, cls=Option, **kwargs)


def setting_options(*names: str) -> t.Callable[[F], F]:
    """Add the flags of settings, by their names; their values go to the settings, not to the command."""

    def decorate(function: F) -> F:
        for name in reversed(names):
            function = _setting_option(BY_NAME[name])(function)
        return function

    return decorate


def common_options(function: F) -> F:
    """Add the options that every command has."""
    verbose = option("--verbose", "-v", is_flag=True, help="Show causes, and tracebacks of errors.")
    quiet = option("--quiet", "-q", is_flag=True, help="Print only errors and data.")
    file = option(
        "--config",
        "config_file",
        metavar="FILE",
        help="Read the settings from this TOML file.",
        shell_complete=completion.files,
    )
    return file(quiet(verbose(function)))


def _setting_option(setting: Setting) -> t.Callable[[F], F]:
    help_text, section = setting.help, _SECTION.get(setting.name, DAILY)
    if setting.default not in (None, (), False):
        help_text += f"  [default: {setting.default}]"
    if any("/" in flag for flag in setting.flags):
        return option(*setting.flags, setting.name, default=None, help=help_text, section=section)
    kind: t.Any = click.Choice(setting.choices) if setting.choices else click.STRING
    return option(
        *setting.flags,
        setting.name,
        type=kind,
        default=None,
        multiple=setting.repeatable,
        metavar=setting.metavar,
        help=help_text,
        section=section,
        shell_complete=completion.of_setting(setting),
    )


dry_run = option("--dry-run", "-n", is_flag=True, help="Print the plan and its SQL without running anything.")
force = option("--force", "-f", "--yes", "-y", "force", is_flag=True, help="Skip the confirmation.")
no_app = option(
    "--no-app", is_flag=True, help="Do not load the app; its config, with any guard in it, is ignored."
)
force_disconnect = option(
    "--force-disconnect", "-fd", is_flag=True, help="End other sessions on the database."
)
bind_key = option(
    "--bind-key",
    metavar="KEY",
    multiple=True,
    help="Use the database of this bind instead of the default one (repeatable).",
    shell_complete=completion.bind_keys,
)
all_binds = option(
    "--all-binds", is_flag=True, help="Use the default database and those of all binds, all or nothing."
)


def bind_options(function: F) -> F:
    """Add the options that choose among the app's databases."""
    return bind_key(all_binds(function))


final = option("--final", is_flag=True, help="Keep nothing for undo: what is taken away is dropped at once.")
overwrite = option("--overwrite", "-o", is_flag=True, help="Replace a database that exists.")
