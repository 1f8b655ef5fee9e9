"""``flask psql drop``."""

from __future__ import annotations

import typing as t

import click

from .. import options as opt


@click.command("drop", epilog="Example, in a script: flask psql drop --force")
@opt.setting_options(*opt.TARGET)
@opt.bind_options
@opt.force
@opt.force_disconnect
@opt.dry_run
@opt.common_options
def command(**_: t.Any) -> None:
    """Drop the database, after a confirmation.

    You are shown what will be lost, and type the name of the database. Without one to drop, the command
    succeeds. A protected database is never dropped.
    """
    from ..lifecycle import carry_out

    carry_out("drop")
