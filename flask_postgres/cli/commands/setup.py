"""``flask psql setup``."""

from __future__ import annotations

import typing as t

import click

from .. import options as opt


@click.command("setup", epilog="Example, for a container that starts: flask psql setup --if-missing")
@opt.setting_options(*opt.TARGET, *opt.CREATION, *opt.INIT)
@opt.bind_options
@opt.option("--if-missing", is_flag=True, help="Do nothing when the database exists and is complete.")
@opt.overwrite
@opt.force
@opt.force_disconnect
@opt.dry_run
@opt.common_options
def command(**_: t.Any) -> None:
    """Create the database, then initialize it.

    A database that is there already is only initialized. When initializing a new one fails, the new
    one is removed again.
    """
    from ..lifecycle import carry_out

    carry_out("setup")
