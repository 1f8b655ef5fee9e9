"""``flask psql init``."""

from __future__ import annotations

import typing as t

import click

from .. import options as opt


@click.command("init", epilog="Example: flask psql init --init-with create_all")
@opt.setting_options(*opt.TARGET, *opt.INIT)
@opt.bind_options
@opt.dry_run
@opt.common_options
def command(**_: t.Any) -> None:
    """Initialize the database, which must exist.

    Runs the app's init callback; without one, the app's migrations; without those, create_all.
    """
    from ..lifecycle import carry_out

    carry_out("init")
