"""Schemas that settings name are there before init, in a new database and in one that exists."""

from __future__ import annotations

import psycopg
import pytest

from ..project import Project
from ..servers import Server
from .looking import error, full, oid

APP = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = {uri!r}
    db = SQLAlchemy(app)

    class Entry(db.Model):
        __table_args__ = {{"schema": {schema!r}}}
        id = db.Column(db.Integer, primary_key=True)
"""


def owners(server: Server, dbname: str) -> dict[str, str]:
    with psycopg.connect(full(server.uri(dbname))) as session:
        return dict(session.execute("SELECT nspname, pg_get_userbyid(nspowner) FROM pg_namespace").fetchall())


@pytest.mark.parametrize("words", [["setup"], ["create"]])
def test_in_a_new_database(project: Project, server: Server, dbname: str, words: list[str]) -> None:
    project.write({"app.py": APP.format(uri=full(server.uri(dbname)), schema="audit")})
    result = project.here(*words, "--create-schema", "audit", "--create-schema", 'the "other"')
    assert result.code == 0, str(result)
    assert {"audit", 'the "other"'} <= owners(server, dbname).keys()
    assert project.here("reset", "-f", env={"FLASK_POSTGRES_SCHEMAS": "audit"}).code == 0
    assert owners(server, dbname)["audit"] == "app_dev"


def test_in_a_database_that_is_there(project: Project, server: Server, dbname: str) -> None:
    project.write({"app.py": APP.format(uri=full(server.uri(dbname)), schema="audit")})
    assert project.here("create").code == 0
    for _ in range(2):
        assert project.here("init", "--create-schema", "audit").code == 0
        assert "audit" in owners(server, dbname)


def test_their_owner_is_the_databases(project: Project, server: Server, dbname: str) -> None:
    project.write({"app.py": APP.format(uri=full(server.superuser_uri(dbname)), schema="audit")})
    assert project.here("create", "--owner", "app_dev", "--create-schema", "audit").code == 0
    assert owners(server, dbname)["audit"] == "app_dev"
    assert project.here("reset", "-f", "--create-schema", "audit").code == 0  # the owner is kept
    assert owners(server, dbname)["audit"] == "app_dev"


def test_before_the_extensions(project: Project, server: Server, dbname: str) -> None:
    """A search path that names a schema of the app's own alone is where extensions go."""
    uri = full(server.uri(dbname)) + "?options=-csearch_path%3Dapp"
    project.write({"app.py": APP.format(uri=uri, schema=None)})
    message = error(project.here("setup"))
    assert "no schema has been selected to create in" in message
    assert "to the schemas setting, or --create-schema" in message
    assert oid(server, dbname) is None
    assert project.here("setup", "--create-schema", "app", "--extension", "citext").code == 0
    with psycopg.connect(full(server.uri(dbname))) as session:
        where = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'citext'"
        assert session.execute(where).fetchone() == ("app",)
        assert session.execute("SELECT to_regclass('app.entry') IS NOT NULL").fetchone() == (True,)


def test_the_one_that_is_missing_is_named(project: Project, server: Server, dbname: str) -> None:
    project.write({"app.py": APP.format(uri=full(server.uri(dbname)), schema="audit")})
    message = error(project.here("setup"))
    assert 'schema "audit" does not exist' in message
    assert message.endswith("Add it to the schemas setting, or --create-schema audit"), message
    assert oid(server, dbname) is None
