"""``flask psql reset``."""

from __future__ import annotations

import typing as t

import click

from .. import options as opt


@click.command("reset", epilog="Example: flask psql reset --force-disconnect")
@opt.setting_options(*opt.TARGET, *opt.CREATION, *opt.INIT)
@opt.bind_options
@opt.force
@opt.force_disconnect
@opt.dry_run
@opt.common_options
def command(**_: t.Any) -> None:
    """Put a new, initialized database in the place of the old one.

    All or nothing: the old database is dropped only when the new one is complete. If anything fails
    before that, everything is as it was.
    """
    from ..lifecycle import carry_out

    carry_out("reset")
