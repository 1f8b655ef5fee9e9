"""The commands that carry out plans: what each takes, and its help."""

from __future__ import annotations

import typing as t

import click

from .. import options as opt

if t.TYPE_CHECKING:
    from ...plans.plan import CommandName


@click.command(
    "create", cls=opt.Command, epilog="Example: flask psql create --uri postgresql://localhost/mydb"
)
@opt.setting_options(*opt.TARGET, *opt.CREATION)
@opt.bind_options
@opt.overwrite
@opt.force
@opt.force_disconnect
@opt.final
@opt.dry_run
@opt.no_app
@opt.common_options
def create(**_: t.Any) -> None:
    """Create the database, empty.

    A database that is there already is left alone, and the command succeeds. With --overwrite a new one
    takes its place, after a confirmation.
    """
    _carry_out("create")


@click.command("init", cls=opt.Command, epilog="Example: flask psql init --init-with create_all")
@opt.setting_options(*opt.TARGET, "schemas", "extensions", "init_with", "metadata")
@opt.bind_options
@opt.dry_run
@opt.common_options
def init(**_: t.Any) -> None:
    """Initialize the database, which must exist.

    Runs the app's init callback; without one, the app's migrations; without those, create_all.
    """
    _carry_out("init")


@click.command("drop", cls=opt.Command, epilog="Example, in a script: flask psql drop --force")
@opt.setting_options(*opt.TARGET)
@opt.bind_options
@opt.force
@opt.force_disconnect
@opt.final
@opt.dry_run
@opt.no_app
@opt.common_options
def drop(**_: t.Any) -> None:
    """Drop the database, after a confirmation.

    You are shown what will be lost, and type the name of the database. It is kept, so that flask psql undo
    brings it back, until the next drop or reset; with --final it is dropped at once, and so is the one that
    was kept before. A protected database is never dropped.
    """
    _carry_out("drop")


@click.command(
    "setup", cls=opt.Command, epilog="Example, for a container that starts: flask psql setup --if-missing"
)
@opt.setting_options(*opt.TARGET, *opt.CREATION, *opt.INIT)
@opt.bind_options
@opt.option("--if-missing", is_flag=True, help="Do nothing when the database exists and is complete.")
@opt.overwrite
@opt.force
@opt.force_disconnect
@opt.final
@opt.dry_run
@opt.common_options
def setup(**_: t.Any) -> None:
    """Create the database, then initialize it.

    A database that is there already is only initialized. When initializing a new one fails, the new
    one is removed again.
    """
    _carry_out("setup")


@click.command("seed", cls=opt.Command, epilog="Example: flask psql seed --seed 'seeds/*.csv' --replace")
@opt.setting_options(*opt.TARGET, "seed")
@opt.option("--replace", "replace_rows", is_flag=True, help="Empty the tables that files fill, first.")
@opt.option("--save", "save", metavar="FOLDER", help="Write tables there as CSV, and load nothing.")
@click.argument("tables", metavar="[TABLE]...", nargs=-1)
@opt.force
@opt.dry_run
@opt.common_options
def seed(*, save: str | None, tables: tuple[str, ...], **_: t.Any) -> None:
    """Run the declared seeds on the database, which must exist.

    They are the files, functions and commands that the setting seed names; setup and reset run them on a
    new database. Files are loaded in one transaction. With --save, the named tables are written as files
    that a seed can load.
    """
    if save is not None:
        from ..seeding import save_tables

        save_tables(save, tables)
        return
    if tables:
        raise click.UsageError("TABLE goes with --save: what is loaded, the setting seed declares.")
    _carry_out("seed")


@click.command("reset", cls=opt.Command, epilog="Example: flask psql reset --force-disconnect")
@opt.setting_options(*opt.TARGET, *opt.CREATION, *opt.INIT)
@opt.bind_options
@opt.force
@opt.force_disconnect
@opt.final
@opt.dry_run
@opt.common_options
def reset(**_: t.Any) -> None:
    """Put a new, initialized database in the place of the old one.

    All or nothing: if anything fails, everything is as it was. The old database is kept, so that flask psql
    undo brings it back, until the next reset or drop.
    """
    _carry_out("reset")


@click.command("undo", cls=opt.Command, epilog="Example: flask psql undo --force-disconnect")
@opt.setting_options(*opt.TARGET)
@opt.bind_options
@opt.option("--discard", is_flag=True, help="Drop what was set aside, instead of putting it back.")
@opt.force
@opt.force_disconnect
@opt.dry_run
@opt.no_app
@opt.common_options
def undo(*, discard: bool, **_: t.Any) -> None:
    """Swap back what the last reset, drop or --overwrite took away.

    These keep the database until the next of them, up to the size undo_limit. What is there now is kept in
    its turn, so the same command again is redo. After a command that was interrupted, use recover.
    """
    _carry_out("undo_discard" if discard else "undo")


@click.command("recover", cls=opt.Command, epilog="Example: flask psql recover --dry-run")
@opt.setting_options(*opt.TARGET)
@opt.bind_options
@opt.option("--discard", is_flag=True, help="Drop what was set aside, instead of putting it back.")
@opt.force
@opt.dry_run
@opt.no_app
@opt.common_options
def recover(*, discard: bool, **_: t.Any) -> None:
    """Put back what an interrupted command had set aside.

    A reset that was killed leaves the old database under another name. This gives it its name again.
    Where a complete database would be lost by that, you are asked first.
    """
    _carry_out("discard" if discard else "recover")


@click.command(
    "protect", cls=opt.Command, epilog="Example: flask psql protect --uri postgresql://localhost/shop"
)
@opt.setting_options(*opt.TARGET)
@opt.bind_options
@opt.dry_run
@opt.common_options
def protect(**_: t.Any) -> None:
    """Mark the database so that nothing here drops it.

    Neither drop nor reset nor --overwrite touches it, whatever the flags, until flask psql unprotect.
    """
    _carry_out("protect", guarded=False)


@click.command("unprotect", cls=opt.Command, epilog="Example: flask psql unprotect")
@opt.setting_options(*opt.TARGET)
@opt.bind_options
@opt.force
@opt.dry_run
@opt.no_app
@opt.common_options
def unprotect(**_: t.Any) -> None:
    """Lift the protection of the database, after a confirmation."""
    _carry_out("unprotect")


def _carry_out(command: CommandName, *, guarded: bool = True) -> None:
    """Carry out a command; what that takes is imported only now."""
    from ..lifecycle import carry_out

    carry_out(command, guarded=guarded)
