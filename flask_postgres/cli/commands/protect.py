"""``flask psql protect``."""

from __future__ import annotations

import typing as t

import click

from .. import options as opt


@click.command("protect", epilog="Example: flask psql protect --uri postgresql://localhost/shop")
@opt.setting_options(*opt.TARGET)
@opt.bind_options
@opt.dry_run
@opt.common_options
def command(**_: t.Any) -> None:
    """Mark the database so that nothing here drops it.

    Neither drop nor reset nor --overwrite touches it, whatever the flags, until flask psql unprotect.
    """
    from ...plans import keep
    from ..lifecycle import carry_out

    carry_out("protect", build=keep.protect, guarded=False)
