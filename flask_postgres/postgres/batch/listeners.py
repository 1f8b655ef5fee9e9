"""Which event listeners an app has hung on its metadata, and whether they can go without a connection."""

from __future__ import annotations

import functools
import typing as t

from sqlalchemy import Connection, MetaData, Sequence, Table
from sqlalchemy.schema import ExecutableDDLElement, SchemaItem
from sqlalchemy.sql.sqltypes import SchemaType

from .statement import NotBatchable

Listener = t.Callable[..., t.Any]
Target = SchemaItem | SchemaType


def check_connection(connection: Connection) -> None:
    """Refuse a connection whose listeners see, and may replace, each statement before it is executed.

    Listeners for cursors are no reason: they see the batch, as one statement.
    """
    dispatch: t.Any = connection.dispatch
    dialect: t.Any = connection.dialect.dispatch
    for where, event in ((dispatch, "before_execute"), (dispatch, "after_execute"), (dialect, "do_execute")):
        if getattr(where, event):
            raise NotBatchable(f"the engine has a listener for {event}")
    if connection.get_execution_options().get("no_parameters"):
        raise NotBatchable("the engine has the option no_parameters, with which each % arrives doubled")


def check_metadata(metadata: MetaData, tables: t.Sequence[Table]) -> None:
    """Refuse metadata with a listener, around the creation of anything, that is Python code of the app."""
    check_target(metadata)
    for sequence in sequences(metadata, tables):
        check_target(sequence)
    for table in tables:
        check_target(table)
        for part in (*table.indexes, *table.constraints):
            check_target(part)


def check_target(target: Target) -> None:
    """Refuse one object with such a listener."""
    for event in ("before_create", "after_create"):
        for listener in listeners(target, event):
            if not (is_ddl(listener) or is_sqlalchemys(listener)):
                raise NotBatchable(f"{_listener(listener)} listens for {event} of {_name(target)}")


def listeners(target: Target, event: str) -> t.Iterator[Listener]:
    """Return the listeners of an object and of its class."""
    dispatch: t.Any = target.dispatch
    return iter(getattr(dispatch, event))


def is_ddl(listener: Listener) -> bool:
    """Tell whether a listener is a statement, such as ``DDL()``, that nobody has taught other ways."""
    return (
        isinstance(listener, ExecutableDDLElement)
        and type(listener).__call__ is ExecutableDDLElement.__call__
    )


def is_sqlalchemys(listener: Listener) -> bool:
    """Tell whether a listener is SQLAlchemy's own: a method of an enum or domain.

    The functions that it wraps around the app's listeners, for ``once`` and ``named``, are the app's.
    """
    method = _method(listener)
    own = str(getattr(method, "__module__", None)).partition(".")[0] == "sqlalchemy"
    return own and isinstance(getattr(method, "__self__", None), SchemaType)


def sequences(metadata: MetaData, tables: t.Sequence[Table]) -> t.Iterator[Sequence]:
    """Return the sequences that ``create_all`` looks at, some of them more than once."""
    yield from metadata._sequences.values()
    for table in tables:
        yield from (column.default for column in table.columns if isinstance(column.default, Sequence))


def _method(listener: t.Any) -> t.Any:
    """Return what a listener calls in the end: a subclass of a type may have a method of its own."""
    if isinstance(listener, functools.partial):
        return _method(listener.func)
    if isinstance(getattr(listener, "target", None), SchemaType):
        # SQLAlchemy 2.0 keeps a type and its method's name apart.
        return getattr(listener.target, listener.name, None)
    return listener


def _listener(listener: Listener) -> str:
    module = getattr(_method(listener), "__module__", "?")
    return f"{module}.{getattr(listener, '__qualname__', type(listener).__qualname__)}"


def _name(target: Target) -> str:
    if isinstance(target, MetaData):
        return "the metadata"
    table = getattr(target, "table", None)
    of = f' of table "{table.fullname}"' if isinstance(table, Table) else ""
    return f'{type(target).__name__.lower()} "{getattr(target, "name", "?")}"{of}'
