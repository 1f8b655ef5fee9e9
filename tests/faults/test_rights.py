"""What a role may not do is found out before anything changes, all of it at once, with the remedy."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from ..servers import PASSWORD, Server
from .world import NEW_ROWS, OLD_ROWS, World


@pytest.fixture(scope="module")
def roles(cluster: Server) -> t.Iterator[None]:
    """Roles of every kind, all with the usual password."""
    kinds = {
        "owner_only": "LOGIN NOCREATEDB",
        "connect_only": "LOGIN NOCREATEDB",
        "other_creator": "LOGIN CREATEDB",
        "member": "LOGIN CREATEDB",
        "signaller": "LOGIN CREATEDB",
        "like_rds": "LOGIN CREATEDB CREATEROLE",
        "big": "LOGIN SUPERUSER",
    }
    for name, rights in kinds.items():
        cluster.execute(f"CREATE ROLE {name} {rights} PASSWORD '{PASSWORD}'")
    cluster.execute("GRANT app_dev TO member")
    cluster.execute("GRANT pg_signal_backend TO signaller")
    cluster.execute("GRANT pg_signal_backend TO like_rds")
    cluster.execute("GRANT app_dev TO like_rds")
    yield
    for name in kinds:
        cluster.execute(f"DROP OWNED BY {name}")
        cluster.execute(f"DROP ROLE {name}")


pytestmark = pytest.mark.usefixtures("roles")


@pytest.mark.parametrize("user", ["app_dev", "big", "member", "like_rds"])
def test_who_may(world: World, user: str) -> None:
    """The owner, a superuser, and members of the owner; the new database is the old owner's."""
    world.app(user=user)
    world.old_database()
    result = world.run("reset", "-f")
    assert result.code == 0, str(result)
    state = world.state()
    assert state is not None
    assert (state.owner, state.limit, state.comment, state.settings) == (
        "app_dev",
        7,
        "kept",
        ["work_mem=5MB"],
    )
    assert world.names() == {world.dbname}


def test_an_owner_whose_rights_are_not_inherited(world: World) -> None:
    """CREATE DATABASE would succeed, and then nothing could be done with the database, nor undone."""
    world.sql("CREATE ROLE boss")
    version = int(world.cluster.execute("SHOW server_version_num")[0][0])
    if version < 160000:
        world.sql("ALTER ROLE member NOINHERIT")
    world.sql("GRANT boss TO member" + (" WITH INHERIT FALSE" if version >= 160000 else ""))
    world.app(user="member")
    try:
        result = world.run("setup", "--owner", "boss")
        assert result.code == 1
        assert 'does not have the rights of the owner "boss"' in result.err
        assert world.names() == set()
        for statement in result.err.partition("As a superuser, run: ")[2].strip().split("; "):
            world.cluster.execute(statement)
        assert world.run("setup", "--owner", "boss").code == 0
        assert world.run("drop", "-f", "--final").code == 0
    finally:
        world.sql("DROP OWNED BY boss")
        world.sql("DROP ROLE boss")
        world.sql("ALTER ROLE member INHERIT")


def test_an_owner_without_createdb(world: World) -> None:
    """He would lose his database for good: he could drop it, but not make it again."""
    world.app(user="owner_only")
    old = world.old_database(owner="owner_only")
    for command in (("reset", "-f"), ("create", "-o", "-f"), ("setup", "-o", "-f", "-fd")):
        result = world.run(*command, "--reset-with", "database")
        assert result.code == 1
        assert "ALTER ROLE owner_only CREATEDB" in result.err
        assert world.state() == old
        assert world.rows() == OLD_ROWS
    assert world.run("reset", "-f").code == 0  # what is in it is replaced
    assert world.state() == old
    assert world.rows() == NEW_ROWS
    assert world.run("drop", "-f").code == 0
    assert world.names() == set()


@pytest.mark.parametrize(
    "command", [("reset", "-f"), ("drop", "-f"), ("create", "-o", "-f"), ("reset", "-f", "-fd")]
)
def test_a_role_with_only_connect(world: World, command: tuple[str, ...]) -> None:
    world.app(user="connect_only")
    old = world.old_database()
    result = world.run(*command)
    assert result.code == 1
    if command[0] == "drop":
        assert "GRANT app_dev TO connect_only" in result.err
    else:
        assert "may not create schemas" in result.err
        assert "does not own all" in result.err
    assert world.state() == old
    typed = world.run(*command, *([] if command[0] == "drop" else ["--reset-with", "database"]))
    assert "GRANT app_dev TO connect_only" in typed.err
    assert ("ALTER ROLE connect_only CREATEDB" in typed.err) == (command[0] != "drop")
    assert world.state() == old


def test_several_reasons_at_once(world: World) -> None:
    world.app(user="connect_only")
    old = world.old_database()
    world.sql("ALTER DATABASE {} IS_TEMPLATE true", world.dbname)
    with world.cluster.connect(world.dbname, application_name="psql elsewhere") as session:
        session.autocommit = False
        session.execute("INSERT INTO pet (name) VALUES ('prepared')")
        session.execute("PREPARE TRANSACTION 'one'")
        session.autocommit = True
        result = world.run("reset", "-f", "--reset-with", "database")
        inside = world.run("reset", "-f")
        session.execute("ROLLBACK PREPARED 'one'")
    assert result.code == 1
    assert result.err.startswith("Error: 5 checks failed; nothing was changed:\n")
    for reason in ("CREATEDB", "does not own", "is a template", "prepared transaction", "1 open session"):
        assert reason in result.err
    for reason in ("may not create schemas", "does not own all", "prepared transaction", "1 open session"):
        assert reason in inside.err
    world.sql("ALTER DATABASE {} IS_TEMPLATE false", world.dbname)
    assert world.state() == old


def test_the_database_named_postgres_is_closed(world: World) -> None:
    """template1 is always there."""
    world.app()
    world.old_database()
    with _closed(world, "postgres"):
        result = world.run("reset", "-f", "--verbose")
    assert result.code == 0, str(result)
    assert 'administering from "template1"' in result.err
    assert world.rows() == NEW_ROWS


def test_none_is_open(world: World) -> None:
    """Then the target itself is administered from, and what is in it is replaced."""
    world.app()
    old = world.old_database()
    with _closed(world, "postgres"), _closed(world, "template1"):
        refused = world.run("reset", "-f", "--reset-with", "database")
        assert refused.code == 1
        assert "it works from there" in refused.err
        assert world.rows() == OLD_ROWS
        result = world.run("reset", "-f")
    assert result.code == 0, str(result)
    assert world.state() == old
    assert world.rows() == NEW_ROWS


@pytest.mark.parametrize("user", ["app_dev", "signaller"])
@pytest.mark.parametrize("command", [("reset", "-f", "-fd"), ("drop", "-f", "-fd")])
def test_sessions_that_may_not_be_ended(world: World, user: str, command: tuple[str, ...]) -> None:
    """Only a superuser ends a superuser's."""
    world.app(user=user)
    old = world.old_database(owner=user)
    with world.cluster.connect(world.dbname) as session:
        result = world.run(*command)
        assert session.execute("SELECT 1").fetchone() == (1,)
    assert result.code == 1
    assert f'the role "{user}" may not end the sessions of "postgres"' in result.err
    assert "as a superuser" in result.err
    assert world.state() == old


@pytest.mark.parametrize("command", [("reset", "-f", "-fd"), ("drop", "-f", "-fd")])
def test_sessions_of_another_role(world: World, command: tuple[str, ...]) -> None:
    """pg_signal_backend is enough, although such a role sees little of others' sessions."""
    import psycopg

    uri = world.cluster.uri(world.dbname, user="other_creator").render(hide_password=False)
    old = world.old_database()
    world.app()
    with psycopg.connect(uri) as session:
        result = world.run(*command)
        assert result.code == 1
        assert 'may not end the sessions of "other_creator"' in result.err
        assert "GRANT pg_signal_backend TO app_dev" in result.err
        assert world.state() == old
        world.sql("ALTER DATABASE {} OWNER TO signaller", world.dbname)
        world.sql("GRANT CREATE ON SCHEMA public TO PUBLIC")
        world.app(user="signaller")
        result = world.run(*command)
        assert result.code == 0, str(result)
        with pytest.raises(psycopg.Error):
            session.execute("SELECT 1")


@contextlib.contextmanager
def _closed(world: World, dbname: str) -> t.Iterator[None]:
    world.sql("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", dbname)
    try:
        yield
    finally:
        world.sql("GRANT CONNECT ON DATABASE {} TO PUBLIC", dbname)


def test_what_cannot_be_carried_is_said_before_the_confirmation(world: World) -> None:
    world.app()
    world.sql("CREATE DATABASE {} OWNER app_dev ENCODING 'LATIN1' TEMPLATE template0", world.dbname)
    world.sql("ALTER DATABASE {} SET log_min_messages = 'error'", world.dbname)
    result = world.run("reset")
    assert result.code == 1
    assert "Note: the encoding will be UTF8 and no longer LATIN1 (setting: encoding)" in result.err
    assert "Note: the setting log_min_messages in this database will be lost" in result.err


def test_another_provider_of_the_locale_is_said(world: World) -> None:
    world.app()
    ((version,),) = world.cluster.execute("SELECT current_setting('server_version_num')::int")
    said, clause = (
        ("builtin C.UTF-8", "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'")
        if version >= 170000
        else ("icu und", "LOCALE_PROVIDER icu ICU_LOCALE 'und'")
    )
    world.sql(f"CREATE DATABASE {{}} OWNER app_dev {clause} TEMPLATE template0", world.dbname)
    result = world.run("reset")
    assert f"Note: the locale will be libc and no longer {said} (setting: locale_provider)" in result.err
    assert "locale" not in world.run("reset", "--dry-run", "--locale-provider", said.split()[0]).out


def test_a_role_that_may_only_read(world: World) -> None:
    """Nothing is there to be undone, and nothing is said to have failed to be."""
    world.app()
    old = world.old_database()
    world.sql("ALTER ROLE app_dev SET default_transaction_read_only = on")
    try:
        result = world.run("reset", "-f")
    finally:
        world.sql("ALTER ROLE app_dev RESET default_transaction_read_only")
    assert result.code == 1
    assert "default_transaction_read_only" in result.err
    assert f'Database "{world.dbname}" is as it was.' in result.err
    assert "Undoing failed" not in result.err
    assert world.state() == old
