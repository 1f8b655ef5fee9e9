"""One target of the fault tests: how it is prepared, what is done to it, and what must hold afterwards."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shlex
import signal
import textwrap
import time
import typing as t

import psycopg
from psycopg import sql

from flask_postgres.postgres import ddl, marks
from flask_postgres.postgres.admin import Connector
from flask_postgres.postgres.status import Status, look
from flask_postgres.remedies import Sql

from ..project import Result
from ..servers import PASSWORD, ROLE, Server, wait_until
from .nursery import Child, Nursery

APP = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from flask_postgres import init_db_callback

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = {uri!r}
    db = SQLAlchemy(app)

    class Pet(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.Text)

    @init_db_callback
    def init_db(app, db):
        {callback}
"""

SEED = """
    from tests.faults import points
    db.create_all()
    db.session.add(Pet(name="new"))
    db.session.commit()
    points.in_callback()
    db.session.add(Pet(name="complete"))
    db.session.commit()
"""

LATE_SEED = """
    from tests.faults import points
    db.create_all()
    points.in_callback()
    db.session.add_all([Pet(name="new"), Pet(name="complete")])
    db.session.commit()
"""
"""Killed in the middle it leaves tables without a row, which the next setup may drop."""

OLD_ROWS, NEW_ROWS = ["old"], ["complete", "new"]


@dataclasses.dataclass(frozen=True)
class State:
    """What the catalogue says of one database."""

    oid: int
    owner: str
    limit: int
    open: bool
    comment: str | None
    settings: list[str] | None


class World:
    """One target."""

    def __init__(self, cluster: Server, nursery: Nursery, dbname: str, folder: pathlib.Path) -> None:
        self.cluster = cluster
        self.nursery = nursery
        self.dbname = dbname
        self.folder = folder
        self.uri = cluster.uri(dbname)

    # What it is made of

    def app(
        self, *, driver: str = "psycopg", callback: str = SEED, user: str = ROLE, uri: str | None = None
    ) -> None:
        """Write the app."""
        own = self.cluster.uri(self.dbname, driver, user=user, password=PASSWORD)
        body = textwrap.dedent(callback).strip().replace("\n", "\n" + " " * 8)
        text = APP.format(uri=uri or own.render(hide_password=False), callback=body)
        (self.folder / "app.py").write_text(textwrap.dedent(text))

    def old_database(self, *, owner: str = ROLE) -> State:
        """Make the database that must not be lost."""
        self.sql("CREATE DATABASE {} OWNER {} CONNECTION LIMIT 7", self.dbname, owner)
        self.sql("COMMENT ON DATABASE {} IS 'kept'", self.dbname)
        self.sql("ALTER DATABASE {} SET work_mem = '5MB'", self.dbname)
        with self.cluster.connect(self.dbname) as connection:
            connection.execute("CREATE TABLE pet (id serial, name text)")
            connection.execute("INSERT INTO pet (name) VALUES ('old')")
            connection.execute(sql.SQL("ALTER TABLE pet OWNER TO {}").format(sql.Identifier(owner)))
        state = self.state()
        assert state is not None
        return state

    def sql(self, statement: str, *names: str) -> list[t.Any]:
        """Run a statement as the superuser; ``{}`` are names."""
        return self.cluster.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def mark(self, state: marks.State, *, name: str | None = None, token: str = "0badcafe") -> None:
        """Give a database a mark that counts."""
        name = name or self.dbname
        ((oid, server),) = self.cluster.execute(
            "SELECT d.oid, c.system_identifier::text FROM pg_database d, pg_control_system() c"
            " WHERE datname = %s",
            name,
        )
        text = marks.Mark(state, self.dbname, token, oid=oid, server=server).under(None)
        comment = sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(text))
        self.cluster.execute(comment)

    # What is done

    def start(self, *arguments: str, fault: dict[str, t.Any] | None = None, **options: t.Any) -> Child:
        if fault is not None:
            dsn = self.cluster.superuser_uri().render(hide_password=False)
            fault = {**fault, "dsn": dsn.replace("+psycopg", "")}
        return self.nursery.start(self.folder, *arguments, fault=fault, **options)

    def run(self, *arguments: str, **options: t.Any) -> Result:
        return self.start(*arguments, **options).finish()

    def restart(self) -> None:
        """Stop the server as a power cut would, and start it again."""
        self.cluster.stop("immediate")
        self.cluster.start(autovacuum="off", max_prepared_transactions="5")

    @contextlib.contextmanager
    def kept_in_the_middle(
        self, statement: ddl.ExecutableDDLElement, names: t.Mapping[str, str]
    ) -> t.Iterator[None]:
        """Let a statement begin but not end."""
        if isinstance(statement, ddl.DropDatabase):
            with self._checkpointer_asleep():
                yield
            return
        with (
            contextlib.suppress(psycopg.OperationalError),  # the server stops
            self.cluster.connect() as connection,
        ):
            connection.execute("BEGIN")
            connection.execute("SET LOCAL lock_timeout = '20s'")
            try:
                self._block(connection, statement, names)
            except psycopg.errors.LockNotAvailable as error:
                raise AssertionError(f"the command holds what {ddl.sql_text(statement)} needs") from error
            yield
            connection.execute("ROLLBACK")

    def _block(self, connection: t.Any, statement: t.Any, names: t.Mapping[str, str]) -> None:
        """Take what the statement needs, and what no earlier statement of its transaction has."""
        if not isinstance(statement, ddl.CommentOnDatabase):
            name = names.get(statement.name, "template1")
            if isinstance(statement, ddl.CreateDatabase):
                name = names.get(str(statement.clauses.get("database_template")), "template1")
            connection.execute(sql.SQL("COMMENT ON DATABASE {} IS 'locked'").format(sql.Identifier(name)))
            return
        # The database itself may have been renamed in the same transaction, and be locked by that.
        comment = """
            SELECT FROM pg_shdescription WHERE classoid = 'pg_database'::regclass
            AND objoid = (SELECT oid FROM pg_database WHERE datname = %s) FOR UPDATE
        """
        if not connection.execute(comment, [names.get(statement.name, self.dbname)]).rowcount:
            connection.execute("LOCK TABLE pg_catalog.pg_shdescription IN SHARE MODE")

    @contextlib.contextmanager
    def _checkpointer_asleep(self) -> t.Iterator[None]:
        """A DROP has marked the database as invalid when it asks for a checkpoint."""
        query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
        ((pid,),) = self.cluster.execute(query)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def backend(self) -> int | None:
        """Return the server process that works for our command, when it is in the middle of something."""
        query = """
            SELECT pid FROM pg_stat_activity WHERE state = 'active' AND wait_event_type IN ('Lock', 'IPC')
            AND application_name LIKE 'flask-postgres %%' AND position(%s in application_name) > 0
        """
        rows = self.cluster.execute(query, self.dbname)
        return int(rows[0][0]) if rows else None

    def nobody_at_work(self) -> bool:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'flask-postgres%'"
        return self.cluster.execute(query)[0][0] == 0

    # What must hold

    def state(self, name: str | None = None) -> State | None:
        rows = self.cluster.execute(
            "SELECT d.oid, pg_get_userbyid(datdba), datconnlimit, datallowconn,"
            " shobj_description(d.oid, 'pg_database'), "
            " (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = d.oid AND setrole = 0)"
            " FROM pg_database d WHERE datname = %s",
            name or self.dbname,
        )
        return State(*rows[0]) if rows else None

    def rows(self) -> list[str] | None:
        """Return the pets of the target; None when there is no such table."""
        with self.cluster.connect(self.dbname) as connection:
            if connection.execute("SELECT to_regclass('pet')").fetchone() == (None,):
                return None
            return [name for (name,) in connection.execute("SELECT name FROM pet ORDER BY name")]

    def names(self) -> set[str]:
        """Return every database of the target, but for snapshots and what is kept for undo."""
        every = {name for name in self.cluster.names() if name.startswith(self.dbname)}
        return every - self.kept() - self.kept("snapshot")

    def kept(self, state: str = "kept") -> set[str]:
        """Return the former databases that are kept for undo, or the snapshots."""
        query = (
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s) AND NOT datallowconn"
            " AND shobj_description(oid, 'pg_database') LIKE %s"
        )
        found = self.cluster.execute(query, self.dbname, f"%[flask-postgres:{state} %")
        return {name for (name,) in found}

    def status(self) -> Status:
        return look(Connector(uri=self.uri))

    def announced(self) -> Status:
        """Make sure that every leftover, and every closed database, is announced."""
        status = self.status()
        told = {item.name for item in status.leftovers}
        assert self.names() - {self.dbname} <= told, f"not announced: {self.names()}, told: {told}"
        state = self.state()
        comment = (state.comment or "").replace("[flask-postgres:protected {}]", "") if state else ""
        if state is not None and (not state.open or "flask-postgres" in comment):
            assert self.dbname in told, f"{state} is not announced"
        return status

    def mend(self) -> list[str]:
        """Do what the leftovers' announcements say, until there are none."""
        done = []
        while leftovers := self.announced().leftovers:
            remedy = leftovers[0].remedy
            assert len(done) < 6, (done, leftovers)
            if isinstance(remedy, Sql):
                self.sql(remedy.statement)
                done.append(remedy.statement)
                continue
            command = remedy.arguments
            extra = ["--force"] if "setup" not in command else []
            result = self.run(*shlex.split(command), *extra)
            assert result.code == 0, f"{command}: {result}"
            done.append(command)
        return done


def settled(_: World, what: str, condition: t.Callable[[], bool], *, timeout: float = 20) -> None:
    """Wait for something, with patience for a server that starts again."""

    def asked() -> bool:
        try:
            return condition()
        except psycopg.OperationalError:
            time.sleep(0.05)
            return False

    wait_until(asked, what=what, timeout=timeout)
