"""``flask psql snapshot``: the database as it is, under a name, to come back to."""

from __future__ import annotations

import json
import typing as t

import click

from .. import options as opt
from ..group import Ordered

if t.TYPE_CHECKING:
    from ...plans.plan import CommandName
    from ...postgres.facts import Database


@click.group("snapshot", cls=Ordered, epilog="Example: flask psql snapshot save before-upgrade")
def command() -> None:
    """Save the database as it is under a name, and come back to it.

    A snapshot is a copy of the database on its server, closed to connections. To take away what is there
    and what was restored, snapshots are not needed: see flask psql undo.
    """


@command.command("save", cls=opt.Command, epilog="Example: flask psql snapshot save before-upgrade")
@click.argument("label", metavar="[NAME]", required=False)
@opt.setting_options(*opt.TARGET)
@opt.bind_options
@opt.force_disconnect
@opt.dry_run
@opt.no_app
@opt.common_options
def save(**_: t.Any) -> None:
    """Copy the database under a name.

    Without a NAME, the time is its name. Nobody may be connected to the database meanwhile.
    """
    _carry_out("snapshot")


@command.command("list", cls=opt.Command, epilog="Example, in a script: flask psql snapshot list --json")
@opt.setting_options(*opt.TARGET)
@opt.bind_key
@opt.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opt.no_app
@opt.common_options
def list_(*, as_json: bool, **_: t.Any) -> None:
    """List the snapshots of the database.

    The latest comes first, each with its time, its size and its revision of Alembic.
    """
    from ...postgres import catalogue
    from .. import targets
    from ..context import Invocation
    from ..lifecycle import connector

    invocation = Invocation.current()
    target = targets.only(invocation)
    reach = connector(invocation, target.uri, bind_key=target.keys[0])
    with reach.anywhere() as session:
        found = catalogue.read(session, target.uri.dbname, program=True).snapshots
    if as_json:
        click.echo(json.dumps([_as_json(item) for item in found], indent=2))
    elif found:
        invocation.echo_data(_as_table(found))
    else:
        invocation.reporter.note(f'there is no snapshot of database "{target.uri.dbname}"')


@command.command("restore", cls=opt.Command, epilog="Example: flask psql snapshot restore before-upgrade")
@click.argument("label", metavar="[NAME]", required=False)
@opt.setting_options(*opt.TARGET)
@opt.bind_options
@opt.option("--from", "source", metavar="DATABASE", help="Restore a snapshot of this other database.")
@opt.force
@opt.force_disconnect
@opt.final
@opt.dry_run
@opt.no_app
@opt.common_options
def restore(**_: t.Any) -> None:
    """Put a copy of a snapshot in the database's place.

    All or nothing, as reset. Without a NAME, it is the latest snapshot. What was there is kept, so that
    flask psql undo brings it back. The snapshot stays.
    """
    _carry_out("restore")


@command.command("drop", cls=opt.Command, epilog="Example: flask psql snapshot drop before-upgrade")
@click.argument("label", metavar="NAME")
@opt.setting_options(*opt.TARGET)
@opt.bind_options
@opt.force
@opt.dry_run
@opt.no_app
@opt.common_options
def drop(**_: t.Any) -> None:
    """Drop a snapshot, after a confirmation."""
    _carry_out("drop_snapshot")


def _carry_out(name: CommandName) -> None:
    from ..lifecycle import carry_out

    carry_out(name)


def _as_json(item: Database) -> dict[str, t.Any]:
    import datetime

    when = datetime.datetime.fromtimestamp(item.kept_at / 1000, datetime.timezone.utc)
    return {
        "name": item.called,
        "database": item.name,
        "saved": when.isoformat(timespec="seconds"),
        "size_bytes": item.size,
        "revision": item.mark.revision if item.mark else None,
    }


def _as_table(found: t.Sequence[Database]) -> str:
    from ...sizes import size_text
    from ..boundary import printable
    from ..confirm import time_text
    from ..console import columns

    rows = [("NAME", "SAVED", "SIZE", "REVISION")]
    for item in found:
        revision = (item.mark.revision if item.mark else None) or "-"
        saved, size = time_text(item.kept_at), size_text(item.size)
        rows.append((printable(item.called), saved, size, printable(revision)))
    return columns(rows)
