"""``flask psql recover``."""

from __future__ import annotations

import typing as t

import click

from .. import options as opt


@click.command("recover", epilog="Example: flask psql recover --dry-run")
@opt.setting_options(*opt.TARGET)
@opt.bind_options
@opt.option("--discard", is_flag=True, help="Drop what was set aside, instead of putting it back.")
@opt.force
@opt.dry_run
@opt.common_options
def command(*, discard: bool, **_: t.Any) -> None:
    """Put back what an interrupted command had set aside.

    A reset that was killed leaves the old database under another name. This gives it its name again.
    Where a complete database would be lost by that, you are asked first.
    """
    from ...plans import keep
    from ..lifecycle import carry_out

    carry_out("recover", build=keep.discard if discard else keep.recover)
