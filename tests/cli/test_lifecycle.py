"""create, init, setup, reset and drop: their words, their exit codes, and what is there afterwards."""

from __future__ import annotations

import pytest

from flask_postgres.postgres.marks import State

from ..project import Project
from ..servers import Server
from .looking import KEPT, error, full, mark, oid, pets, said, tables


def test_a_day_with_it(project: Project, server: Server, dbname: str, driver: str) -> None:
    """The commands as a user runs them: processes of their own, streams and exit codes."""
    project.app(server.uri(dbname, driver))
    result = project.psql("setup")
    assert result.code == 0, str(result)
    assert said(result) == [f'database "{dbname}" was created', f'database "{dbname}" was initialized']
    assert pets(server, dbname) == ["Fido"]
    first = oid(server, dbname)

    result = project.psql("reset", "--force")
    assert result.code == 0, str(result)
    assert said(result) == [
        f'database "{dbname}" was created',
        f'database "{dbname}" was initialized',
        KEPT,
    ]
    assert pets(server, dbname) == ["Fido"]
    assert oid(server, dbname) != first

    result = project.psql("drop", "--final", input=f"{dbname}\n")
    assert result.code == 0, str(result)
    assert said(result)[-1] == f'database "{dbname}" was deleted'
    assert not any(dbname in name for name in server.names())


def test_create(project: Project, server: Server, dbname: str, driver: str) -> None:
    project.app(server.uri(dbname, driver))
    result = project.here("create")
    assert (result.code, said(result)) == (0, [f'database "{dbname}" was created'])
    assert tables(server, dbname) == set()
    result = project.here("create")
    assert (result.code, said(result)) == (0, [f'database "{dbname}" already exists'])


def test_init(project: Project, server: Server, dbname: str, driver: str) -> None:
    project.app(server.uri(dbname, driver))
    result = project.here("init")
    assert error(result) == f'database "{dbname}" does not exist. Create and fill it: flask psql setup'
    assert oid(server, dbname) is None
    project.here("create")
    result = project.here("init")
    assert (result.code, said(result)) == (0, [f'database "{dbname}" was initialized'])
    assert pets(server, dbname) == ["Fido"]


def test_drop(project: Project, server: Server, dbname: str, driver: str) -> None:
    project.app(server.uri(dbname, driver))
    result = project.here("drop")
    assert (result.code, said(result)) == (0, [f'database "{dbname}" does not exist'])
    project.here("create")
    result = project.here("drop", "--force")
    assert (result.code, said(result)) == (0, [f'database "{dbname}" was deleted', KEPT])
    assert oid(server, dbname) is None


def test_setup_only_initializes_what_exists(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname)).here("create")
    before = oid(server, dbname)
    for expected, also in ((["Fido"], ", and is empty"), (["Fido", "Fido"], "")):
        result = project.here("setup")
        assert result.code == 0
        assert said(result) == [
            f'database "{dbname}" already exists{also}',
            f'database "{dbname}" was initialized',
        ]
        assert pets(server, dbname) == expected
    assert oid(server, dbname) == before


def test_setup_if_missing(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    result = project.here("setup", "--if-missing")
    assert said(result) == [f'database "{dbname}" was created', f'database "{dbname}" was initialized']
    result = project.here("setup", "--if-missing")
    assert (result.code, said(result)) == (0, [f'database "{dbname}" already exists'])
    assert pets(server, dbname) == ["Fido"]


def test_setup_if_missing_redoes_what_is_not_complete(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname)).here("create")
    mark(server, dbname, State.UNFINISHED, of=dbname)
    before = oid(server, dbname)
    result = project.here("setup", "--if-missing")
    assert result.code == 0, str(result)
    assert said(result)[-2:] == [f'database "{dbname}" was created', f'database "{dbname}" was initialized']
    assert oid(server, dbname) != before
    assert pets(server, dbname) == ["Fido"]


def test_a_failed_setup_leaves_nothing(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname), callback="db.create_all(); raise RuntimeError('no seeds')")
    message = error(project.here("setup"))
    assert message == (
        "the init callback app.init_db failed: RuntimeError: no seeds (app.py:17). "
        f'Database "{dbname}" was removed again.'
    )
    assert not any(dbname in name for name in server.names())


def test_a_failed_init_says_what_stays(project: Project, server: Server, dbname: str) -> None:
    """The one exception to "nothing changes": what the callback itself committed to an older database."""
    project.app(server.uri(dbname), callback="db.create_all(); raise RuntimeError('no seeds')")
    project.here("create")
    server.execute("CREATE TABLE older (id int)", dbname=dbname)
    assert error(project.here("setup")).endswith(f'What it had committed to "{dbname}" stays.')
    assert tables(server, dbname) == {"older", "pet"}


def test_a_create_all_that_fails_leaves_nothing(project: Project, server: Server, dbname: str) -> None:
    """It is one transaction, so nothing is said of what it had committed."""
    project.app(server.uri(dbname)).here("create")
    server.execute("CREATE TABLE older (id int); CREATE VIEW pet AS SELECT 1 AS id", dbname=dbname)
    server.execute("GRANT CREATE ON SCHEMA public TO PUBLIC", dbname=dbname)
    file = project.folder / "app.py"
    more = """
from sqlalchemy.types import UserDefinedType

class Strange(UserDefinedType):
    cache_ok = True

    def get_col_spec(self, **_):
        return "strange"

class Toy(db.Model):
    id = db.Column(Strange, primary_key=True)
"""
    file.write_text(file.read_text() + more)
    failed = error(project.here("init", "--init-with", "create_all"))
    assert 'type "strange" does not exist' in failed
    assert "stays" not in failed
    assert tables(server, dbname) == {"older"}


@pytest.mark.parametrize("command", ["create", "setup"])
@pytest.mark.usefixtures("database")
def test_overwrite(project: Project, server: Server, dbname: str, command: str) -> None:
    project.app(server.uri(dbname))
    before = oid(server, dbname)
    assert "no confirmation received" in error(project.here(command, "--overwrite"))
    assert oid(server, dbname) == before
    result = project.here(command, "--overwrite", input=f"{dbname}\n")
    assert result.code == 0, str(result)
    done = ["created", "initialized"] if command == "setup" else ["created"]
    outcomes = [*(f'database "{dbname}" was {word}' for word in done), KEPT]
    assert said(result)[-len(outcomes) :] == outcomes
    assert oid(server, dbname) != before


def test_reset_of_nothing_makes_it(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    result = project.here("reset")
    assert said(result) == [f'database "{dbname}" was created', f'database "{dbname}" was initialized']


def test_init_with_create_all(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    assert project.here("setup", "--init-with", "create_all").code == 0
    assert pets(server, dbname) == []


def test_init_with_migrations_that_are_not_there(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    assert "migrations" in error(project.here("setup", "--init-with", "migrations"))
    assert oid(server, dbname) is None


def test_protection(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    assert project.here("setup", env={"FLASK_POSTGRES_PROTECT": "true"}).code == 0
    before = oid(server, dbname)
    for arguments in (
        ["drop", "-f", "-fd"],
        ["reset", "-f", "-fd"],
        ["create", "-o", "-f"],
        ["setup", "-o", "-f"],
    ):
        assert f'database "{dbname}" is protected' in error(project.here(*arguments))
    assert oid(server, dbname) == before
    comment = "[flask-postgres:protected {}]\nthe shop of Berlin "
    server.execute(f"COMMENT ON DATABASE \"{dbname}\" IS '{comment}'")
    assert f'database "{dbname}" is protected' in error(project.here("drop", "-f")), "on whatever line"
    assert project.here("setup").code == 0  # initializing again takes nothing away
    assert "no confirmation received" in error(project.here("unprotect"))
    result = project.here("unprotect", input=f"{dbname}\n")
    assert said(result)[-1] == f'database "{dbname}" is no longer protected'
    assert said(project.here("protect")) == [f'database "{dbname}" is now protected']
    assert said(project.here("protect")) == [f'database "{dbname}" is already protected']
    assert project.here("unprotect", "--yes").code == 0
    assert project.here("drop", "--yes").code == 0


def test_protecting_nothing(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    for command in ("protect", "unprotect"):
        assert f'database "{dbname}" does not exist' in error(project.here(command))


def test_quiet_says_nothing_but_errors(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    assert project.here("setup", "--quiet").all == ""
    assert error(project.here("init", "-q", "--uri", full(server.uri("no_such"))))


def test_verbose_says_what_initialized(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    assert "the init callback app.init_db" in said(project.here("setup", "--verbose"))


def test_colour_is_for_terminals(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    assert "\x1b" not in project.here("create").all
    assert "\x1b" not in project.here("drop").all
