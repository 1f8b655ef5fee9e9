"""``undo``: what a reset, a drop or ``--overwrite`` took away is kept, and can be swapped back."""

from __future__ import annotations

import json

import psycopg
import pytest

from flask_postgres import drop_db

from ..project import Project
from ..servers import Server
from .looking import KEPT, error, full, oid, pets, said

OTHER_KEPT = "the one that had its place is kept: flask psql undo"


@pytest.fixture
def shop(project: Project, server: Server, dbname: str) -> Project:
    """Return a project whose database has a row that no reset brings back."""
    assert project.app(server.uri(dbname)).here("setup").code == 0
    server.execute("INSERT INTO pet (name) VALUES ('Rex')", dbname=dbname)
    return project


def kept(server: Server, dbname: str) -> list[str]:
    return sorted(name for name in server.names() if name.startswith(f"{dbname}~old~"))


def everything(server: Server, dbname: str) -> list[object]:
    return server.execute(
        "SELECT oid, datdba, datacl, datallowconn, datconnlimit, shobj_description(oid, 'pg_database'),"
        " (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = d.oid AND setrole = 0)"
        " FROM pg_database d WHERE datname = %s",
        dbname,
    )


@pytest.mark.parametrize(
    "command",
    [
        ("reset", "-f"),
        pytest.param(("setup", "-o", "-f"), marks=pytest.mark.long),
        ("create", "-o", "-f"),
    ],
)
def test_undo_and_redo(shop: Project, server: Server, dbname: str, command: tuple[str, ...]) -> None:
    server.execute(f"COMMENT ON DATABASE {dbname} IS 'mine'")
    server.execute(f"ALTER DATABASE {dbname} SET work_mem = '5MB'")
    server.execute(f"GRANT CREATE ON DATABASE {dbname} TO PUBLIC")
    old = everything(server, dbname)
    assert said(shop.here(*command))[-1] == KEPT
    new = everything(server, dbname)
    undone = shop.here("undo")
    assert (undone.code, said(undone)) == (0, [f'database "{dbname}" was put back', OTHER_KEPT])
    assert everything(server, dbname) == old
    assert pets(server, dbname) == ["Fido", "Rex"]
    assert shop.here("undo").code == 0
    assert everything(server, dbname) == new
    (name,) = kept(server, dbname)
    assert server.execute("SELECT datallowconn FROM pg_database WHERE datname = %s", name) == [(False,)]


def test_undo_of_a_drop(shop: Project, server: Server, dbname: str) -> None:
    old = everything(server, dbname)
    assert said(shop.here("drop", "-f")) == [f'database "{dbname}" was deleted', KEPT]
    assert said(shop.here("undo")) == [f'database "{dbname}" was put back']
    assert everything(server, dbname) == old
    assert kept(server, dbname) == []
    nothing = shop.here("undo")
    told = f'nothing to undo for database "{dbname}": no former one is kept'
    assert (nothing.code, said(nothing)) == (0, [told])


def test_a_database_made_after_a_drop_takes_nothing_away(shop: Project, server: Server, dbname: str) -> None:
    assert shop.here("drop", "-f").code == 0
    assert shop.here("setup").code == 0
    assert pets(server, dbname) == ["Fido"]
    assert shop.here("undo").code == 0
    assert pets(server, dbname) == ["Fido", "Rex"]
    assert len(kept(server, dbname)) == 1


def test_one_former_database_is_kept(shop: Project, server: Server, dbname: str) -> None:
    assert shop.here("reset", "-f").code == 0
    (first,) = kept(server, dbname)
    asked = shop.here("reset", input="no\n")
    assert "This database will be replaced, and kept for flask psql undo until the next reset" in asked.err
    assert "Kept until now, and lost by this: the former database of " in asked.err
    assert kept(server, dbname) == [first]
    assert shop.here("reset", "-f").code == 0
    (second,) = kept(server, dbname)
    assert second != first


def test_status_shows_what_is_kept(shop: Project, server: Server, dbname: str) -> None:
    assert "former" not in shop.here("status").out
    assert shop.here("reset", "-f").code == 0
    (line,) = [line for line in shop.here("status").out.splitlines() if line.startswith("former:")]
    assert "kept since " in line
    assert line.endswith("MB")
    found = json.loads(shop.here("status", "--json").out)
    assert found["database"]["former"]["name"] == kept(server, dbname)[0]
    assert found["leftovers"] == []
    assert found["ready"]


@pytest.mark.parametrize("command", ["reset", pytest.param("drop", marks=pytest.mark.long)])
@pytest.mark.parametrize("how", ["flag", "limit", "off"])
def test_what_is_not_kept(shop: Project, server: Server, dbname: str, command: str, how: str) -> None:
    assert shop.here("reset", "-f").code == 0
    if how != "flag":
        shop.write({"flask_postgres.toml": 'undo_limit = "1MB"' if how == "limit" else "undo_limit = 0"})
    flags = ["--final"] if how == "flag" else []
    asked = shop.here(command, *flags, input="no\n")
    assert "will be lost for good" in asked.err
    reason = {"limit": "it is larger than undo_limit (1.0 MB)", "off": "undo_limit is 0"}.get(how)
    assert reason is None or f"Note: this cannot be undone, because {reason}" in asked.err
    done = shop.here(command, "-f", *flags)
    assert said(done)[-1].endswith(" was deleted"), str(done)
    assert kept(server, dbname) == [], "what undo would bring back is always the last"


def test_final_drops_what_is_kept_too(shop: Project, server: Server, dbname: str) -> None:
    assert shop.here("drop", "-f").code == 0
    (name,) = kept(server, dbname)
    assert said(shop.here("drop", "-f"))[-1] == f'database "{dbname}" does not exist'
    assert kept(server, dbname) == [name]
    asked = shop.here("drop", "--final", input=f"{name}\n")
    assert said(asked)[-1] == f'database "{name}" was deleted'
    assert kept(server, dbname) == []


def test_discard(shop: Project, server: Server, dbname: str) -> None:
    assert shop.here("reset", "-f").code == 0
    before = everything(server, dbname)
    assert "no confirmation received" in error(shop.here("undo", "--discard"))
    assert len(kept(server, dbname)) == 1
    assert shop.here("undo", "--discard", "-f").code == 0
    assert kept(server, dbname) == []
    assert everything(server, dbname) == before
    assert said(shop.here("undo", "--discard")) == [f'no former database "{dbname}" is kept']


def test_sessions(shop: Project, server: Server, dbname: str) -> None:
    assert shop.here("reset", "-f").code == 0
    new = everything(server, dbname)
    with psycopg.connect(full(server.uri(dbname)), application_name="elsewhere"):
        refused = error(shop.psql("undo"))
        assert f'database "{dbname}" has 1 open session' in refused
        assert everything(server, dbname) == new
        assert shop.here("undo", "-fd").code == 0
    assert pets(server, dbname) == ["Fido", "Rex"]


def test_a_protected_database_stays(shop: Project, server: Server, dbname: str) -> None:
    assert shop.here("reset", "-f", "--protect").code == 0
    assert "is protected" in error(shop.here("undo"))
    assert shop.here("unprotect", "-f").code == 0
    assert shop.here("undo").code == 0
    assert pets(server, dbname) == ["Fido", "Rex"]


def test_the_guard(shop: Project, server: Server, dbname: str) -> None:
    assert shop.here("reset", "-f").code == 0
    new = everything(server, dbname)
    shop.write({"flask_postgres.toml": 'cli_disallowed_envs = ["production"]\nenv = "production"'})
    for command in (["undo"], ["undo", "--discard", "-f"]):
        assert "production" in error(shop.here(*command))
    assert everything(server, dbname) == new
    assert len(kept(server, dbname)) == 1


def test_each_names_the_other(shop: Project) -> None:
    assert shop.here("reset", "-f").code == 0
    told = said(shop.here("recover"))
    assert told[0].endswith("To swap back what the last command took away: flask psql undo")


def test_a_superuser_is_asked_whose_it_is(shop: Project, server: Server, dbname: str) -> None:
    """Nothing tells any more whose the dropped database was: any role could have written the mark."""
    uri = full(server.superuser_uri(dbname))
    assert shop.here("drop", "-f", "--uri", uri).code == 0
    asked = shop.here("undo", "--uri", uri)
    assert 'belongs to the role "app_dev", and will be put back' in asked.err
    assert oid(server, dbname) is None
    assert shop.here("undo", "-f", "--uri", uri).code == 0
    assert pets(server, dbname) == ["Fido", "Rex"]


def test_a_mark_of_a_stranger_does_not_count(shop: Project, server: Server, dbname: str) -> None:
    """A role with CREATEDB could otherwise have its own database swapped in."""
    assert shop.here("reset", "-f").code == 0
    (name,) = kept(server, dbname)
    server.execute(f'ALTER DATABASE "{name}" OWNER TO postgres')
    nothing = shop.here("undo")
    assert "nothing to undo" in said(nothing)[-1]
    assert oid(server, name) is not None


@pytest.mark.usefixtures("shop")
def test_from_python_it_is_dropped_at_once(server: Server, dbname: str) -> None:
    assert drop_db(full(server.uri(dbname)))
    assert (oid(server, dbname), kept(server, dbname)) == (None, [])
