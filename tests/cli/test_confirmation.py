"""Before anything is lost the user types the database's name; nobody else answers for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flask_postgres import PostgresUri

from ..project import Project, Result, checked
from ..servers import Server
from .looking import KEPT, error, oid, said


def test_what_is_shown(project: Project, server: Server, database: PostgresUri, dbname: str) -> None:
    project.app(database)
    result = project.here("drop", input="no\n")
    address = f"{server.host}:{server.port}"
    shown = [line.split() for line in said(result)]
    until = "for flask psql undo until the next reset or drop:"
    assert said(result)[0] == f"This database will be dropped, and kept {until}"
    assert ["server", address] in shown
    assert ["user", "app_dev"] in shown
    assert ["database", dbname] in shown
    assert ["sessions", "0"] in shown
    assert next(line for line in shown if line[0] == "size")[2] == "MB"


@pytest.mark.parametrize("answer", ["", "y", "yes", "postgres", "{}x", " {}", "{} "])
def test_a_wrong_answer(
    project: Project, server: Server, database: PostgresUri, dbname: str, answer: str
) -> None:
    project.app(database)
    before = oid(server, dbname)
    assert error(project.here("drop", input=answer.format(dbname) + "\n")) == (
        f'that is not "{dbname}", so nothing was done.'
    )
    assert oid(server, dbname) == before


@pytest.mark.parametrize("command", [["drop"], ["reset"], ["create", "-o"], ["setup", "--overwrite"]])
def test_no_answer(
    project: Project, server: Server, database: PostgresUri, dbname: str, command: list[str]
) -> None:
    project.app(database)
    before = oid(server, dbname)
    assert error(project.here(*command)) == (
        "no confirmation received; nothing was changed. To skip the confirmation: --force"
    )
    assert oid(server, dbname) == before


@pytest.mark.parametrize("ending", ["\n", "", "\r\n"])
def test_the_right_answer_through_a_pipe(
    project: Project, server: Server, database: PostgresUri, dbname: str, ending: str
) -> None:
    project.app(database)
    result = project.psql("drop", input=dbname + ending) if ending == "\n" else None
    result = result or project.here("drop", input=dbname + ending)
    assert result.code == 0, str(result)
    deleted = f'database "{dbname}" was deleted'
    assert said(result)[-2:] == [deleted, KEPT], "the words stand on a line of their own"
    assert oid(server, dbname) is None


def shell(project: Project, command: str, **variables: str) -> Result:
    """Run ``flask psql`` as a shell with redirections does."""
    done = subprocess.run(
        ["bash", "-c", command.replace("flask", f"{sys.executable} -m flask", 1)],
        cwd=project.folder,
        env={**project.env, **variables},
        capture_output=True,
        text=True,
        timeout=90,
    )
    return checked(Result(done.returncode, done.stdout, done.stderr))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "flask psql drop <&-",
            "no confirmation received; nothing was changed. To skip the confirmation: --force",
        ),
        (r"flask psql drop < <(printf '\xff\n')", 'that is not "{}", so nothing was done.'),
    ],
)
def test_an_answer_that_cannot_be_read(
    project: Project, server: Server, database: PostgresUri, dbname: str, command: str, message: str
) -> None:
    project.app(database)
    assert error(shell(project, command, PYTHONIOENCODING="utf-8:strict")) == message.format(dbname)
    assert oid(server, dbname) is not None


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(project: Project, server: Server, dbname: str, closed: str) -> None:
    """A daemon may start a command so."""
    project.app(server.uri(dbname))
    assert shell(project, f"flask psql create {closed}").code == 0
    assert oid(server, dbname) is not None


@pytest.mark.parametrize("flag", ["--force", "-f", "--yes", "-y"])
def test_not_being_asked(project: Project, database: PostgresUri, dbname: str, flag: str) -> None:
    project.app(database)
    assert said(project.here("drop", flag)) == [f'database "{dbname}" was deleted', KEPT]


def test_no_variable_answers(project: Project, server: Server, database: PostgresUri, dbname: str) -> None:
    """Flask gives its group the prefix FLASK, which made this a hidden source of "yes" in 0.2.5."""
    project.app(database)
    names = [
        f"{prefix}{name}"
        for prefix in ("FLASK_PSQL_DROP_", "FLASK_", "PSQL_DROP_")
        for name in ("FORCE", "YES")
    ]
    result = project.psql("drop", env=dict.fromkeys(names, "1"))
    assert "no confirmation received" in error(result)
    assert oid(server, dbname) is not None


def test_nothing_is_asked_where_nothing_is_lost(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    assert project.here("reset").code == 0
    assert project.here("setup", "--if-missing").code == 0


def test_a_refusal_comes_before_the_question(
    project: Project, server: Server, database: PostgresUri, dbname: str
) -> None:
    project.app(database)
    with server.connect(dbname):
        result = project.here("drop", input=f"{dbname}\n")
    assert "open session" in error(result)
    assert "type the name" not in result.err
