"""``flask psql config``: every setting, and where its value comes from."""

from __future__ import annotations

import typing as t

import click

from ...settings.schema import SETTINGS
from ..context import Invocation
from ..options import setting_options


@click.command("config")
@click.option("--show", is_flag=True, allow_from_autoenv=False, help="Show every setting (the default).")
@click.option(
    "--only-changed", is_flag=True, allow_from_autoenv=False, help="Leave out settings at their default."
)
@click.option("--json", "as_json", is_flag=True, allow_from_autoenv=False, help="Show them as JSON.")
@click.option(
    "--schema", is_flag=True, allow_from_autoenv=False, help="Print the JSON Schema of the TOML file."
)
@click.option("--example", is_flag=True, allow_from_autoenv=False, help="Print an annotated TOML file.")
@setting_options(*(setting.name for setting in SETTINGS if setting.flags))
def command(
    *, show: bool, only_changed: bool, as_json: bool, schema: bool, example: bool, **_flags: t.Any
) -> None:
    """Show every setting and where it comes from.

    Works without a server, in every environment, and when the app or the configuration is broken; a
    fault then stands in the place of the setting, and the exit code is 2.
    """
    if schema or example:
        if (schema and example) or show or only_changed or as_json:
            raise click.UsageError("--schema and --example each print one thing, and take no other option.")
        _print_generated(schema=schema)
        return
    _print_resolution(only_changed=only_changed, as_json=as_json)


def _print_generated(*, schema: bool) -> None:
    from ...settings.generate import example_text, schema_text

    click.echo(schema_text() if schema else example_text(), nl=False)


def _print_resolution(*, only_changed: bool, as_json: bool) -> None:
    from ...errors import SettingsError
    from ...settings import explain

    invocation = Invocation.current()
    resolution = invocation.resolution()
    view = explain.as_json if as_json else explain.as_text
    invocation.echo_data(view(resolution, only_changed=only_changed))
    if resolution.faults:
        raise SettingsError(resolution.faults)
