"""Dropping a database while something of the server's own is at work in it."""

from __future__ import annotations

import typing as t

import psycopg
import pytest

from flask_postgres import PermissionDenied, PostgresUri
from flask_postgres.postgres import ddl
from flask_postgres.postgres.admin import Connector
from flask_postgres.postgres.dropping import drop
from flask_postgres.postgres.session import Session

from ..servers import Server, wait_until

SLOW_TO_VACUUM = """
CREATE TABLE dead (n int) WITH (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)
"""


@pytest.fixture
def admin(database: PostgresUri, driver: str) -> t.Iterator[Session]:
    with Connector(uri=database.with_driver(driver), token="0badcafe").admin() as session:
        yield session


@pytest.fixture
def vacuumed(server: Server, database: PostgresUri) -> t.Iterator[str]:
    """Let an autovacuum worker be busy in a database, for minutes if nobody ends it."""
    name = database.dbname
    with server.connect("postgres") as superuser:
        superuser.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        superuser.execute("SELECT pg_reload_conf()")
        try:
            server.execute(SLOW_TO_VACUUM, dbname=name)
            server.execute("INSERT INTO dead SELECT generate_series(1, 200000)", dbname=name)
            server.execute("DELETE FROM dead", dbname=name)
            workers = (
                "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND backend_type = 'autovacuum worker'"
            )
            wait_until(lambda: bool(server.execute(workers, name)), what="an autovacuum worker")
            yield name
        finally:
            superuser.execute("ALTER SYSTEM RESET autovacuum_naptime")
            superuser.execute("SELECT pg_reload_conf()")


def test_an_autovacuum_worker(server: Server, admin: Session, database: PostgresUri, vacuumed: str) -> None:
    """FORCE refuses it to all but superusers, for it has no role."""
    with pytest.raises(PermissionDenied, match="process is being terminated"):
        admin.run(ddl.DropDatabase(vacuumed, force=True), doing="see that it is refused")
    with psycopg.connect(database.with_driver(None).render(hide_password=False)):
        drop(admin, vacuumed, doing="drop it", force=True)
    assert vacuumed not in server.names()


def test_a_session_that_may_not_be_ended(server: Server, admin: Session, vacuumed: str) -> None:
    with server.connect(vacuumed), pytest.raises(PermissionDenied, match="terminate"):
        drop(admin, vacuumed, doing="drop it", force=True)
    assert vacuumed in server.names()
