"""``flask psql config``."""

from __future__ import annotations

import typing as t

import click

from ...settings.schema import SETTINGS
from .. import options as opt

if t.TYPE_CHECKING:
    from ...uri import PostgresUri


@click.command("config", epilog="Example: flask psql config --only-changed")
@opt.option("--show", is_flag=True, help="Show every setting; so does the bare command.")
@opt.option("--only-changed", is_flag=True, help="Leave out the settings that have their default.")
@opt.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opt.option("--schema", is_flag=True, help="Print the JSON Schema of the TOML file.")
@opt.option("--example", is_flag=True, help="Print an annotated TOML file.")
@opt.setting_options(*(setting.name for setting in SETTINGS if setting.flags))
@opt.common_options
def command(
    *, show: bool, only_changed: bool, as_json: bool, schema: bool, example: bool, **_: t.Any
) -> None:
    """Show every setting: its value, where it comes from, and what it shadows.

    Works without a server, in every environment, and with a broken app or configuration: the exit code is
    then 2, and a fault is shown instead of the value of its setting.
    """
    if not (schema or example):
        _show(only_changed=only_changed, as_json=as_json)
        return
    if (schema and example) or show or only_changed or as_json:
        raise click.UsageError("--schema and --example each print one thing; give one of them alone.")
    from ...settings.generate import example_text, schema_text

    click.echo(schema_text() if schema else example_text(), nl=False)


def _show(*, only_changed: bool, as_json: bool) -> None:
    from ...errors import SettingsError
    from ...settings import explain
    from ..context import Invocation

    invocation = Invocation.current()
    resolution = invocation.resolution()
    if invocation.loaded.error is not None:
        invocation.reporter.note(f"the app's config was not read: {invocation.loaded.error}")
    view = explain.as_json if as_json else explain.as_text
    # Not through the redactor: the view masks each value for itself, and a password such as "app" or
    # "name" must not turn the words around the values, or the keys of the JSON, into ***.
    driver = _driver(resolution["target_database_uri"].value)
    click.echo(view(resolution, only_changed=only_changed, driver=driver))
    if resolution.faults:
        raise SettingsError(resolution.faults)
    if invocation.app_is_broken:
        invocation.ctx.exit(SettingsError.exit_code)


def _driver(uri: PostgresUri | None) -> str | None:
    """Return the driver that administers the target, if there is one."""
    from ...errors import FlaskPostgresError

    if uri is None:
        return None
    from ...postgres.drivers import administrative, described

    try:
        return described(str(administrative(uri).uri.driver))
    except FlaskPostgresError as error:
        return error.message
