"""The Python API: no prompts, no exits, no output."""

from __future__ import annotations

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

import flask_postgres as fp
from flask_postgres import AppError, PostgresUri, create_db, database_exists, drop_db
from flask_postgres.reporting import Silence

from .servers import PASSWORD, Server, free_port


def test_a_life(server: Server, dbname: str, driver: str, capfd: pytest.CaptureFixture[str]) -> None:
    uri = server.uri(dbname, driver)
    assert database_exists(uri) is False
    assert drop_db(uri) is False
    assert create_db(uri) is True
    assert create_db(uri) is False
    assert database_exists(uri) is True
    assert drop_db(uri) is True
    assert database_exists(uri) is False
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "form", [str, PostgresUri, lambda text: PostgresUri(text).url], ids=["text", "own", "URL"]
)
def test_forms_of_a_uri(server: Server, dbname: str, form: object) -> None:
    assert callable(form)
    assert database_exists(form(server.uri(dbname).render(hide_password=False))) is False


@pytest.mark.parametrize("name", ['qu"ote %s', "MyApp größe"])
def test_unusual_names(server: Server, dbname: str, driver: str, name: str) -> None:
    uri = server.uri(f"{dbname} {name}", driver)
    assert create_db(uri)
    assert database_exists(uri)
    assert not database_exists(server.uri(uri.dbname.lower() + " ", driver))
    assert drop_db(uri)


def test_clauses_and_extensions(server: Server, dbname: str) -> None:
    uri = server.uri(dbname)
    assert create_db(uri, template="template0", connection_limit=5, owner="app_dev", extensions=["citext"])
    assert server.execute("SELECT datconnlimit FROM pg_database WHERE datname = %s", dbname) == [(5,)]
    assert server.execute("SELECT 1 FROM pg_extension WHERE extname = 'citext'", dbname=dbname)


def test_an_unknown_clause(server: Server, dbname: str) -> None:
    with pytest.raises(TypeError, match="'ownr'"):
        create_db(server.uri(dbname), ownr="x")
    with pytest.raises(TypeError, match="'database_template'"):
        create_db(server.uri(dbname), template="template0", database_template="template1")
    assert not database_exists(server.uri(dbname))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"connection_limit": "5; DROP"}, 'connection_limit must be a whole number, not "5; DROP".'),
        ({"extensions": ["citext", 5]}, "extensions must be a list of text, but contains a whole number."),
        ({"template": ""}, "template must not be empty; remove it to leave it unset."),
        ({"owner": "a\0b"}, "owner must not contain a NUL character."),
        ({"encoding": "\ud800"}, "encoding must be valid UTF-8."),
        ({"admin_dbname": "x" * 64}, "admin_dbname has 64 bytes; a name in PostgreSQL has at most 63."),
        ({"connect_timeout": 0}, "connect_timeout must be more than 0 seconds and at most 86400."),
    ],
)
def test_a_wrong_argument(arguments: dict[str, object], message: str) -> None:
    """Said before anything is connected to."""
    with pytest.raises(fp.UsageError) as caught:
        create_db("postgresql://no.such.invalid/x", **arguments)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_arguments_as_text(server: Server, dbname: str) -> None:
    assert create_db(server.uri(dbname), connection_limit="5", extensions="citext; hstore")
    query = "SELECT count(*) FROM pg_extension WHERE extname IN ('citext', 'hstore')"
    assert server.execute(query, dbname=dbname) == [(2,)]


def test_a_failed_creation_leaves_nothing(server: Server, dbname: str) -> None:
    with pytest.raises(fp.ServerError, match="no_such_extension"):
        create_db(server.uri(dbname), extensions=["no_such_extension"])
    with pytest.raises(fp.PermissionDenied):
        create_db(server.uri(dbname), extensions=["file_fdw"])
    assert not any(dbname in name for name in server.names())


def test_a_protected_database(server: Server, database: PostgresUri, dbname: str) -> None:
    server.execute(f"COMMENT ON DATABASE {dbname} IS '[flask-postgres:protected {{}}]'")
    for force in (False, True):
        with pytest.raises(fp.DatabaseProtected, match="flask psql unprotect"):
            drop_db(database, force_disconnect=force)
    assert database_exists(database)


def test_sessions(database: PostgresUri, driver: str) -> None:
    import psycopg

    with psycopg.connect(database.render(hide_password=False), application_name="psql elsewhere"):
        with pytest.raises(fp.DatabaseInUse, match='"psql elsewhere" as app_dev'):
            drop_db(database.with_driver(driver))
        assert drop_db(database.with_driver(driver), force_disconnect=True)


@pytest.mark.parametrize("function", [create_db, drop_db, database_exists])
def test_could_not_ask_is_never_no(server: Server, dbname: str, driver: str, function: object) -> None:
    assert callable(function)
    with pytest.raises(fp.ServerUnreachable):
        function(server.uri(dbname, driver, port=free_port()))
    with pytest.raises(fp.AuthenticationFailed):
        function(server.uri(dbname, driver, password="wrong"))
    with pytest.raises(fp.UriValidationError):
        function("sqlite://")


def test_the_target_is_asked_when_the_other_is_out_of_reach(database: PostgresUri) -> None:
    assert database_exists(database, admin_dbname="no_such_db") is True
    with pytest.raises(fp.CannotConnect, match="no_such_db"):
        database_exists(database.with_dbname("no_such_either"), admin_dbname="no_such_db")


def test_never_dropped(server: Server) -> None:
    for name, admin in (("postgres", "template1"), ("template1", None)):
        with pytest.raises(fp.Refused, match="never drops"):
            drop_db(server.superuser_uri(name), admin_dbname=admin)


def test_errors_hold_no_password(server: Server, dbname: str, driver: str) -> None:
    for options in ({"port": free_port()}, {"user": "no_such_role"}):
        with pytest.raises(fp.CannotConnect) as caught:
            create_db(server.uri(dbname, driver, **options))  # type: ignore[arg-type]
        assert PASSWORD not in str(caught.value)


def test_a_reporter_is_told(server: Server, dbname: str) -> None:
    told: list[str] = []

    class Listening(Silence):
        def outcome(self, message: str) -> None:
            told.append(message)

    create_db(server.uri(dbname), reporter=Listening())
    drop_db(server.uri(dbname), reporter=Listening())
    assert told == [f'database "{dbname}" was created', f'database "{dbname}" was deleted']


def test_create_all(database: PostgresUri, driver: str) -> None:
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = database.with_driver(driver).render(hide_password=False)
    db = SQLAlchemy(app)
    db.Table("one", db.Column("id", db.Integer, primary_key=True))
    db.Table("two", db.Column("id", db.ForeignKey("one.id")))
    with app.app_context():
        for _ in range(2):  # what is there stays
            fp.create_all(db)
        assert set(db.inspect(db.engine).get_table_names()) == {"one", "two"}
        db.engine.dispose()


def test_create_all_misses_no_table_of_a_misspelt_bind(database: PostgresUri) -> None:
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = database.render(hide_password=False)
    db = SQLAlchemy(app)
    db.Table("one", db.Column("id", db.Integer, primary_key=True))
    db.Table("line", db.Column("id", db.Integer, primary_key=True), bind_key="lgos")
    with app.app_context():
        with pytest.raises(AppError, match=r'no database for "line": .* no "lgos" in SQLALCHEMY_BINDS'):
            fp.create_all(db)
        assert db.inspect(db.engine).get_table_names() == []
        db.engine.dispose()
