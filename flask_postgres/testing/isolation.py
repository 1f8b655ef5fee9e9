"""A test in one transaction that is rolled back: what the app commits meanwhile ends a savepoint."""

from __future__ import annotations

import contextlib
import typing as t

from sqlalchemy import Engine
from sqlalchemy.pool import StaticPool


class _OneConnection(StaticPool):
    """A pool of one connection that is not its own: it neither opens nor closes it."""

    def recreate(self) -> _OneConnection:
        return self

    def dispose(self) -> None:
        pass


@contextlib.contextmanager
def rolled_back(engine: Engine, connection: t.Any) -> t.Iterator[Whole]:
    """Let an engine use one connection of its driver, and roll back whatever happens on it.

    Each transaction that SQLAlchemy begins is a savepoint, so that a commit of the app is seen by the rest of
    the test, and a rollback undoes what came since.

    :param connection: one that is in no transaction.
    """
    dialect, savepoints, whole = engine.dialect, _Savepoints(connection), Whole()
    savepoints.execute("SAVEPOINT flask_postgres")
    hooks = {"do_begin": savepoints.begin, "do_commit": savepoints.commit, "do_rollback": savepoints.rollback}
    pool, before = engine.pool, {name: vars(dialect)[name] for name in hooks if name in vars(dialect)}
    engine.pool = _OneConnection(
        lambda: connection, dialect=dialect, reset_on_return=None, _dispatch=pool.dispatch
    )
    vars(dialect).update(hooks)
    try:
        yield whole
    finally:
        engine.pool = pool
        for name in hooks:
            del vars(dialect)[name]
        vars(dialect).update(before)
        try:
            savepoints.execute("ROLLBACK TO SAVEPOINT flask_postgres")
        except Exception:  # COMMIT was sent in another way, or the connection is lost
            whole.rolled_back = False
        with contextlib.suppress(Exception):
            connection.rollback()


class Whole:
    """Whether all of a test was rolled back: not where it has sent a COMMIT beside SQLAlchemy."""

    rolled_back = True


class _Savepoints:
    """The savepoints of one connection; what the dialect is given, a checkout, tells who has begun one."""

    def __init__(self, connection: t.Any) -> None:
        self._connection = connection
        self._open: list[tuple[int, str]] = []
        self._number = 0

    def begin(self, checkout: t.Any) -> None:
        self._number += 1
        name = f"flask_postgres_{self._number}"
        self.execute(f"SAVEPOINT {name}")
        self._open.append((id(checkout), name))

    def commit(self, checkout: t.Any) -> None:
        place = self._place(checkout)
        if place is None:
            return
        _, name = self._open.pop(place)
        if place == len(self._open):  # releasing an earlier one would end those of others
            self.execute(f"RELEASE SAVEPOINT {name}")

    def rollback(self, checkout: t.Any) -> None:
        place = self._place(checkout)
        if place is None:
            return
        _, name = self._open[place]
        del self._open[place:]
        self.execute(f"ROLLBACK TO SAVEPOINT {name}")
        self.execute(f"RELEASE SAVEPOINT {name}")

    def _place(self, checkout: t.Any) -> int | None:
        found = [place for place, (owner, _) in enumerate(self._open) if owner == id(checkout)]
        return found[-1] if found else None

    def execute(self, statement: str) -> None:
        with contextlib.closing(self._connection.cursor()) as cursor:
            cursor.execute(statement)
