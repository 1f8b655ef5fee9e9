"""The role of a URI: made, followed, never a superuser; and our own superuser, whom nobody reaches."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psycopg
import pytest

from flask_postgres import EmbeddedServerError, PostgresUri
from flask_postgres.embedded import config, files, location, process, service

from .conftest import PASSWORD, Site, ask, connect


def gets_in(uri: PostgresUri) -> bool:
    try:
        with connect(uri):
            return True
    except psycopg.OperationalError:
        return False


def own(uri: PostgresUri, dbname: str) -> None:
    with connect(uri) as connection:
        connection.execute(f'CREATE DATABASE "{dbname}"')


def test_the_role_may_create_databases_and_nothing_else(served: Site) -> None:
    query = "SELECT rolcanlogin, rolcreatedb, rolsuper, rolcreaterole, rolreplication FROM pg_roles"
    with connect(served.uri()) as connection:
        row = connection.execute(f"{query} WHERE rolname = 'alice'").fetchone()
        assert row == (True, True, False, False, False)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("COPY (SELECT 1) TO PROGRAM 'true'")
    assert not gets_in(served.uri(password="wrong"))
    assert not gets_in(served.uri(password=None))


def test_postgres_is_a_role_like_any_other(served: Site) -> None:
    uri = served.uri(user="postgres", password="postgres")
    served.ensure(uri)
    assert ask(uri, "SELECT current_setting('is_superuser')") == "off"


def test_a_role_without_a_password_is_trusted_and_the_others_are_not(served: Site) -> None:
    uri = served.uri(user='b"ob all', password=None)
    served.ensure(uri)
    assert ask(uri, "SELECT current_user") == 'b"ob all'
    assert not gets_in(served.uri(password=None))
    assert not gets_in(served.uri(user=config.SUPERUSER, password=None))


def test_our_superuser_is_not_reached_over_the_network(served: Site) -> None:
    info = served.ensure()
    assert info is not None
    uri = service.superuser_uri(info)
    assert ask(uri, "SELECT current_setting('is_superuser')") == "on"
    assert uri.password is not None
    assert not gets_in(served.uri(user=config.SUPERUSER, password=uri.password))
    assert info.socket_dir is not None
    assert not gets_in(
        PostgresUri.build(dbname="x", user=config.SUPERUSER, host=str(info.socket_dir), port=served.port)
    )
    for path in (served.data_dir, info.socket_dir, served.data_dir / location.SUPERUSER_PASSWORD):
        assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(EmbeddedServerError, match="own superuser"):
        served.ensure(served.uri(user=config.SUPERUSER, password="x"))


def test_the_file_with_the_password_is_no_link_to_another(served: Site) -> None:
    """As root we would read what it points at, and send it to a server of the lesser account's."""
    path = served.data_dir / location.SUPERUSER_PASSWORD
    path.rename(path.with_name("real"))
    path.symlink_to("real")
    with pytest.raises(EmbeddedServerError, match=location.SUPERUSER_PASSWORD):
        served.ensure(served.uri(user="bob"))


def test_no_file_of_the_data_folder_is_a_link_or_a_pipe(folder: Path) -> None:
    """As root we would copy what it points at into a file of the lesser account, or wait for ever."""
    (folder / "secret").write_text('{"password": "of root"}')
    (folder / "link.json").symlink_to("secret")
    os.mkfifo(folder / "pipe.json")
    for name in ("link.json", "pipe.json"):
        with pytest.raises(OSError):
            files.read_json(folder / name)
        with pytest.raises(OSError):
            files.read_plain(folder / name)
    (folder / process.PID_FILE).symlink_to("secret")
    assert process.read_pid_file(folder) is None


def test_no_password_is_kept_in_the_clear(served: Site) -> None:
    served.ensure(served.uri(user="carol", password="tell-no-one-0815"))
    with pytest.raises(EmbeddedServerError):
        served.ensure(served.uri(user="pg_carol", password="tell-no-one-0815"))
    for name in os.listdir(served.data_dir):
        path = served.data_dir / name
        if path.is_file():
            assert b"tell-no-one" not in path.read_bytes(), name


def test_a_role_that_cannot_be_made(served: Site) -> None:
    with pytest.raises(EmbeddedServerError, match=r'The role "pg_carol" cannot be prepared.*pg_') as error:
        served.ensure(served.uri(user="pg_carol"))
    assert "\n" not in str(error.value)
    with pytest.raises(EmbeddedServerError, match=r'role name "public" is reserved\. Name another user'):
        served.ensure(served.uri(user="public"))  # the server quotes the statement, verifier and all
    with pytest.raises(EmbeddedServerError, match="without a password"):
        served.ensure(served.uri(user="/.*", password=None))


def test_a_password_that_changes_is_followed(served: Site) -> None:
    own(served.uri(), "shop")
    changed = served.uri("shop", password="new")
    served.ensure(changed)
    assert served.reporter.notes[-1] == 'The role "alice" has the URI\'s password now; it had another.'
    assert gets_in(changed)
    assert not gets_in(served.uri())
    without = served.uri("shop", password=None)
    served.ensure(without)
    assert gets_in(without)
    served.ensure(served.uri("shop"))
    assert gets_in(served.uri())
    assert not gets_in(without)


def test_a_password_is_not_changed_under_a_session(served: Site) -> None:
    """Whoever is connected comes in with the old one, and would not come in again."""
    own(served.uri(), "shop")
    refused = pytest.raises(EmbeddedServerError, match=r'"alice".* used for "postgres"')
    with connect(served.uri("shop")), refused:
        served.ensure(served.uri("shop", password="new"))
    assert gets_in(served.uri())


@pytest.mark.parametrize(("password", "now"), [("theirs", "the URI's password"), (None, "no password")])
def test_two_projects_that_want_different_passwords(served: Site, password: str | None, now: str) -> None:
    own(served.uri(), "shop")
    theirs = served.uri("blog", password=password)
    with pytest.raises(EmbeddedServerError, match=r'"alice".*"shop"') as error:
        served.ensure(theirs)
    text = str(error.value)
    assert "\n" not in text
    assert "--set-password" in text
    assert PASSWORD not in text
    assert "theirs" not in text
    assert gets_in(served.uri())
    assert not gets_in(theirs)
    served.start(theirs, set_password=True)
    assert f'The role "alice" has {now} now; it had another.' in served.reporter.notes
    assert gets_in(theirs)
    with pytest.raises(EmbeddedServerError, match=r'"alice".*"shop"'):
        served.ensure(served.uri("other"))


def test_a_role_that_somebody_dropped_is_made_again_by_start(served: Site) -> None:
    info = served.ensure(served.uri(user="dora"))
    assert info is not None
    with psycopg.connect(service.superuser_uri(info).render(hide_password=False), autocommit=True) as session:
        session.execute("DROP ROLE dora")
    assert not gets_in(served.uri(user="dora"))
    served.start(served.uri(user="dora"))
    assert gets_in(served.uri(user="dora"))


def test_a_prepared_role_costs_next_to_nothing(served: Site) -> None:
    best = 1.0
    for _ in range(5):
        began = time.perf_counter()
        served.ensure()
        best = min(best, time.perf_counter() - began)
    assert best < 0.03


def test_a_uri_without_a_user_means_what_libpq_would_use(
    served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pwd

    uri = PostgresUri(f"postgresql://127.0.0.1:{served.port}/shop")
    served.ensure(uri)
    assert ask(uri, "SELECT current_user") == pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setenv("PGUSER", "erin")
    served.ensure(uri)
    assert ask(uri, "SELECT current_user") == "erin"


def test_variables_of_libpq_do_not_bend_our_own_sessions(
    served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They speak of other servers, and the superuser would send its password there."""
    variables = {
        "PGHOSTADDR": "127.0.0.1",
        "PGREQUIREAUTH": "password",
        "PGCHANNELBINDING": "require",
        "PGTZ": "no/where",
        "PGOPTIONS": "-c no_such_setting=1",
        "PGTARGETSESSIONATTRS": "standby",
        "PGSSLMODE": "require",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    served.ensure(served.uri(user="bob"))
    assert {name: os.environ.get(name) for name in variables} == variables
    monkeypatch.undo()
    assert ask(served.uri(user="bob"), "SELECT current_user") == "bob"


def test_the_database_that_every_server_has(served: Site) -> None:
    """A URI may name it, as Docker's image does by itself; then it is the app's."""
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'postgres'"
    served.ensure(served.uri("postgres"))
    assert ask(served.uri(), owner) == "alice"
    served.ensure(served.uri("postgres", user="bob"))  # it is somebody's now
    assert ask(served.uri(), owner) == "alice"
