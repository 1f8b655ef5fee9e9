"""A caller may close stdin, stdout or stderr, as daemons do, or stop reading."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from flask_postgres import PostgresUri

from ..project import Project
from ..servers import Server
from .looking import oid, pets

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="closes the streams with a shell")

PRINTING = 'print("filling"); db.create_all(); db.session.add(Pet(name="Fido")); db.session.commit()'


def closing(project: Project, streams: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``flask psql …`` with streams closed, in the words of a shell."""
    command = shlex.join([sys.executable, "-m", "flask", "psql", *arguments])
    return subprocess.run(
        ["sh", "-c", f"exec {command} {streams}"],
        cwd=project.folder, env=project.env, capture_output=True, text=True, encoding="utf-8", timeout=90,
    )  # fmt: skip


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_stops_nothing(
    project: Project, server: Server, database: PostgresUri, dbname: str, streams: str
) -> None:
    project.app(database, callback=PRINTING)
    before = oid(server, dbname)
    done = closing(project, streams, "reset", "--force")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert oid(server, dbname) not in (before, None)
    assert pets(server, dbname) == ["Fido"]


def test_a_closed_stdin_answers_nothing(
    project: Project, server: Server, database: PostgresUri, dbname: str
) -> None:
    project.app(database)
    before = oid(server, dbname)
    done = closing(project, "<&-", "reset")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: no confirmation received; nothing was changed.")
    assert oid(server, dbname) == before


def test_an_error_is_an_error_where_nobody_can_read_it(project: Project, database: PostgresUri) -> None:
    project.app(database, callback='raise ValueError("no")')
    assert closing(project, "2>&-", "init").returncode == 1
