"""``flask psql create``."""

from __future__ import annotations

import typing as t

import click

from .. import options as opt


@click.command("create", epilog="Example: flask psql create --uri postgresql://localhost/mydb")
@opt.setting_options(*opt.TARGET, *opt.CREATION)
@opt.bind_options
@opt.overwrite
@opt.force
@opt.force_disconnect
@opt.dry_run
@opt.common_options
def command(**_: t.Any) -> None:
    """Create the database, empty.

    A database that is there already is left alone, and the command succeeds. With --overwrite a new one
    takes its place, after a confirmation.
    """
    from ..lifecycle import carry_out

    carry_out("create")
