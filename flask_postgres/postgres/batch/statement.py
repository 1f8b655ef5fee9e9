"""A statement as the server receives it, and the admission that one cannot be had in advance."""

from __future__ import annotations

import dataclasses
import typing as t

from sqlalchemy import Table
from sqlalchemy.schema import ExecutableDDLElement


class NotBatchable(Exception):
    """The batch cannot be promised to give what SQLAlchemy's own ``create_all`` gives.

    :param statements: what the batch would have been, as far as it is known.
    """

    def __init__(self, reason: str, statements: t.Sequence[Statement] = ()) -> None:
        super().__init__(reason)
        self.statements = statements


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """One statement as the server receives it.

    :param table: the table that it belongs to, for messages.
    :param creates: the table that it creates.
    """

    sql: str
    table: str | None
    creates: str | None

    @classmethod
    def of(cls, ddl: ExecutableDDLElement, sql: str) -> Statement:
        """Return a compiled statement together with the table that it is about."""
        subject = getattr(ddl, "element", ddl.target)
        table = subject if isinstance(subject, Table) else getattr(subject, "table", None)
        name = table.fullname if isinstance(table, Table) else None
        # Of the statements about a table itself, those that create one can be told not to.
        creates = name if table is subject and hasattr(ddl, "if_not_exists") else None
        return cls(sql, name, creates)

    @property
    def deed(self) -> str:
        """Say what the statement does, for ``could not …``."""
        if self.creates is not None:
            return f'create table "{self.creates}"'
        return f"run {head(self.sql)}" + (f' for table "{self.table}"' if self.table else "")


def as_sent(compiled: str) -> str:
    """Return a compiled statement as it arrives at the server.

    SQLAlchemy doubles ``%``, and the drivers take that back, but only where parameters are passed.
    """
    if "%" in compiled.replace("%%", ""):
        raise NotBatchable("a statement has a % that no driver would accept")
    return compiled.replace("%%", "%")


def head(sql: str, width: int = 100) -> str:
    """Return the beginning of a statement, in one line."""
    line = " ".join(sql.split())
    return line if len(line) <= width else line[: width - 1] + "…"
