"""``flask psql seed --save``: tables as files that a seed can load."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import click

from ..app.engines import release_all
from ..errors import FlaskPostgresError, Refused, ServerError
from ..postgres import tables
from . import targets
from .context import Invocation
from .lifecycle import connector

if t.TYPE_CHECKING:
    from ..postgres.session import Session


def save_tables(folder: str, names: t.Sequence[str]) -> None:
    """Write tables of the target as CSV, each to a file of its name; a file that is there is replaced.

    :param names: of the tables, perhaps each after its schema's and a dot.
    :raises UsageError: if no table is named, or a name has an empty part.
    :raises ServerError: if there is no such table, or it may not be read; files before it are written then.
    """
    if not names:
        raise click.UsageError("--save needs the names of tables.")
    for name in names:
        if not all(name.split(".")) or re.search(r"[/\\]", name):
            raise click.UsageError(f'"{name}" is no name of a table.')
    invocation = Invocation.current()
    invocation.guard()
    target = targets.only(invocation)
    release_all()
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with connector(invocation, target.uri, bind_key=target.keys[0]).open(
            target.uri.dbname, own_search_path=False, as_app=True
        ) as session:
            for name in names:
                _save(session, tables.quoted(*name.split(".")), place / f"{name}.csv")
                invocation.reporter.outcome(f"{place / name}.csv was written")
    except OSError as error:
        raise Refused(f"{folder} cannot be written: {error.strerror}.") from error


def _save(session: Session, table: str, path: Path) -> None:
    """Write a file whole, or leave what is there."""
    beginning = path.with_name(f".{path.name}.part")
    try:
        with beginning.open("wb") as file:
            session.script(tables.saving(session, table), file)
        beginning.replace(path)
    except FlaskPostgresError as error:
        raise ServerError(f"table {table} cannot be saved: {error.message.rstrip('.')}.") from error
    finally:
        beginning.unlink(missing_ok=True)
