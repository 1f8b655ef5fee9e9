"""``flask psql unprotect``."""

from __future__ import annotations

import typing as t

import click

from .. import options as opt


@click.command("unprotect", epilog="Example: flask psql unprotect")
@opt.setting_options(*opt.TARGET)
@opt.bind_options
@opt.force
@opt.dry_run
@opt.common_options
def command(**_: t.Any) -> None:
    """Lift the protection of the database, after a confirmation."""
    from ...plans import keep
    from ..lifecycle import carry_out

    carry_out("unprotect", build=keep.unprotect)
