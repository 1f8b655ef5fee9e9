"""``flask psql shell``: psql meets the target and the terminal, and nobody meets the password."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import typing as t

import pytest

from flask_postgres import PostgresUri
from flask_postgres.embedded import service
from flask_postgres.errors import UsageError
from flask_postgres.postgres import psql

from ..project import Project, Result, finish
from ..servers import PASSWORD, Server, free_port, wait_until

pytestmark = pytest.mark.skipif(service.psql_path(None) is None, reason="needs psql")

FAKE_PSQL = """
    import json, os, pathlib, sys
    file = os.environ.get("PGSERVICEFILE")
    paths = (file, os.path.dirname(file)) if file else ()
    print(json.dumps({
        "arguments": sys.argv[1:],
        "variables": {key: value for key, value in os.environ.items() if key.startswith("PG")},
        "service": pathlib.Path(file).read_text() if file else None,
        "modes": [oct(os.stat(path).st_mode & 0o777) for path in paths],
    }))
    sys.exit(7)
"""

IN_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


@pytest.fixture
def told(project: Project, tmp_path: pathlib.Path) -> t.Callable[..., dict[str, t.Any]]:
    """Return what runs the command with a psql that writes down what it was told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    fake = folder / "psql"
    fake.write_text(f"#!{sys.executable}\n{textwrap.dedent(FAKE_PSQL)}")
    fake.chmod(0o755)

    def tell(*arguments: str, **env: str) -> dict[str, t.Any]:
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        done = _finish_telling(project.start("psql", "shell", *arguments, env={**env, "PATH": path}))
        assert done.code == 7, str(done)
        return t.cast("dict[str, t.Any]", json.loads(done.out))

    return tell


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg", "asyncpg"])
def test_psql_meets_the_target(server: Server, database: PostgresUri, project: Project, driver: str) -> None:
    project.app(server.uri(database.dbname))
    uri = _text(database.with_driver(driver))
    done = project.psql("shell", "-u", uri, "--", "-Atc", "SELECT current_database(), current_user")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{database.dbname}|app_dev\n"


def test_names_and_passwords_of_any_kind(server: Server, dbname: str, project: Project) -> None:
    name = f"{dbname} 'a\\ \"%:ü"
    role = f"{dbname} role"
    password = "it's \\ a \" %20 pass:wörd \t"
    server.execute(
        "CREATE ROLE " + f'"{role}" LOGIN CREATEDB PASSWORD ' + "'" + password.replace("'", "''") + "'"
    )
    try:
        uri = server.uri(name, user=role, password=password)
        project.app(uri)
        assert project.psql("create").code == 0
        done = project.psql("shell", "--", "-Atc", "SELECT current_database()")
        assert (done.code, done.out) == (0, f"{name}\n")
        assert project.psql("drop", "--force", "--final").code == 0
    finally:
        server.execute(f'DROP ROLE "{role}"')


def test_the_exit_code_is_psqls(database: PostgresUri, project: Project) -> None:
    project.app(database)
    assert project.psql("shell", "--", "-c", "SELECT bogus").code == 1
    assert project.psql("shell", "--", "-v", "ON_ERROR_STOP=1", "-f", "-", input="SELECT bogus;").code == 3


def test_standard_input_is_psqls(database: PostgresUri, project: Project) -> None:
    done = project.app(database).psql("shell", "--", "-At", input="SELECT 6 * 7;\n")
    assert (done.code, done.out) == (0, "42\n")


def test_the_password_is_not_on_the_command_line(
    database: PostgresUri, project: Project, told: t.Callable[..., dict[str, t.Any]]
) -> None:
    project.app(database)
    seen = told("--", "-c", "SELECT 1", "more")
    assert seen["arguments"] == ["-c", "SELECT 1", "more"]
    assert seen["variables"] == {
        "PGHOST": database.host,
        "PGPORT": str(database.port),
        "PGUSER": "app_dev",
        "PGPASSWORD": PASSWORD,
        "PGDATABASE": database.dbname,
        "PGCONNECT_TIMEOUT": "10",
    }
    assert seen["service"] is None, "nothing is written to a disk when nothing has to be"


def test_other_parameters_go_into_a_closed_file_that_is_removed(
    database: PostgresUri, project: Project, told: t.Callable[..., dict[str, t.Any]], tmp_path: pathlib.Path
) -> None:
    project.app(f"{_text(database)}?sslpassword=c%40n%2Fary%3Apw&keepalives_idle=77&options=-c%20a%3Db")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    seen = told(TMPDIR=str(temporary))
    assert seen["arguments"] == []
    lines = seen["service"].splitlines()
    assert lines[0] == f"[{seen['variables']['PGSERVICE']}]"
    assert sorted(lines[1:]) == ["keepalives_idle=77", "options=-c a=b", f"sslpassword={PASSWORD}"]
    assert seen["modes"] == ["0o600", "0o700"]
    assert list(temporary.iterdir()) == []


def test_parameters_of_the_uri_and_of_the_app_count(
    server: Server, database: PostgresUri, project: Project
) -> None:
    project.app(database)
    app = (project.folder / "app.py").read_text()
    options = "app.config['SQLALCHEMY_ENGINE_OPTIONS'] = {'connect_args': {'options': '-c work_mem=99kB'}}\n"
    (project.folder / "app.py").write_text(
        app.replace("db = SQLAlchemy(app)", f"{options}db = SQLAlchemy(app)")
    )
    done = project.psql("shell", "--", "-Atc", "SHOW work_mem")
    assert (done.code, done.out) == (0, "99kB\n")
    hosts = f"host=127.0.0.1:{free_port()}&host=127.0.0.1:{server.port}"
    several = f"{_text(database).split('@')[0]}@/{database.dbname}?{hosts}"
    done = project.psql("shell", "-u", several, "--", "-Atc", "SELECT inet_server_port()")
    assert (done.code, done.out) == (0, f"{server.port}\n")


def test_psqls_own_flags_win(database: PostgresUri, project: Project) -> None:
    project.app(f"{_text(database)}?keepalives_idle=77")
    done = project.psql("shell", "--", "-At", "-d", "postgres", "-c", "SELECT current_database()")
    assert done.out == "postgres\n"


def test_a_service_of_the_user(server: Server, database: PostgresUri, project: Project) -> None:
    project.write({"services": f"[mine]\nhost={server.host}\nport={server.port}\nuser=app_dev\n"})
    env = {"PGSERVICEFILE": str(project.folder / "services")}
    ask = ("--", "-Atc", "SELECT current_database()")
    project.app(f"postgresql://:c%40n%2Fary%3Apw@/{database.dbname}?service=mine")
    assert project.psql("shell", *ask, env=env).out == f"{database.dbname}\n"
    project.app(f"postgresql://:c%40n%2Fary%3Apw@/{database.dbname}")
    assert project.psql("shell", *ask, env={**env, "PGSERVICE": "mine"}).out == f"{database.dbname}\n"


def test_a_missing_database(server: Server, dbname: str, project: Project) -> None:
    done = project.app(server.uri(dbname)).psql("shell")
    assert done.code == 1
    assert done.err == f'Error: database "{dbname}" does not exist. Create it: flask psql setup\n'


def test_a_server_that_is_down(server: Server, project: Project) -> None:
    project.app(server.uri("shop", port=free_port()))
    done = project.psql("shell", "--server", "external")
    assert done.code == 1
    assert done.err.startswith("Error: no PostgreSQL server listens at")


def test_the_guard_holds(database: PostgresUri, project: Project) -> None:
    project.app(database).write({"flask_postgres.toml": "cli_disallowed_envs = ['production']"})
    done = project.psql("shell", "--", "-c", "SELECT 1")
    assert (done.code, done.out) == (1, "")
    assert "flask psql shell is not allowed" in done.err


def test_without_psql_on_the_path(database: PostgresUri, project: Project) -> None:
    project.app(database)
    done = project.psql("shell", "--", "-Atc", "SELECT 1", env={"PATH": str(project.folder)})
    assert (done.code, done.out) == (0, "1\n"), "an installed server has one"


def test_without_any_psql(monkeypatch: pytest.MonkeyPatch, database: PostgresUri, project: Project) -> None:
    from click.testing import CliRunner

    from flask_postgres.cli import cli

    monkeypatch.chdir(project.folder)
    monkeypatch.setattr(service, "psql_path", lambda _: None)
    done = CliRunner().invoke(cli, ["shell", "-u", _text(database)])
    assert done.exit_code == 1
    assert "there is no psql" in done.output
    assert "pip install 'flask-postgres[embedded]'" in done.output


def test_a_signal_ends_psql_and_removes_the_file(
    server: Server, database: PostgresUri, project: Project, tmp_path: pathlib.Path
) -> None:
    project.app(f"{_text(database)}?keepalives_idle=77")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = project.start("psql", "shell", "--", "-c", SLEEP, env={"TMPDIR": str(temporary)})
    wait_until(lambda: asleep(server, database.dbname), what="psql to run the query")
    assert len(list(temporary.iterdir())) == 1
    process.terminate()
    assert finish(process, timeout=20).code == 128 + 15
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_in_a_terminal_ctrl_c_is_psqls(server: Server, database: PostgresUri, project: Project) -> None:
    project.app(database)
    flask = [sys.executable, "-m", "flask", "psql", "shell", "--", "--no-psqlrc"]
    with tempfile.TemporaryFile() as screen:
        process = subprocess.Popen(
            [sys.executable, "-c", IN_A_TERMINAL, *flask],
            cwd=project.folder,
            env={**project.env, "PAGER": "cat", "TERM": "dumb"},
            stdin=subprocess.PIPE,
            stdout=screen,
            stderr=subprocess.STDOUT,
        )
        with process:
            assert process.stdin is not None
            process.stdin.write(f"{SLEEP};\n".encode())
            process.stdin.flush()
            wait_until(lambda: asleep(server, database.dbname), what="psql to run the query")
            process.stdin.write(b"\x03")
            process.stdin.flush()
            wait_until(lambda: not asleep(server, database.dbname), what="the query to be cancelled")
            process.stdin.write(b"SELECT 6 * 7 AS answer;\n\\q\n")
            process.stdin.flush()
            code = process.wait(20)
        screen.seek(0)
        text = screen.read().decode()
    assert "canceling statement due to user request" in text
    assert "42" in text
    assert code == 0


SLEEP = "SELECT pg_sleep(60)"


def asleep(server: Server, dbname: str) -> bool:
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND state = 'active' AND query LIKE %s"
    return bool(server.execute(query, dbname, f"{SLEEP}%"))


@pytest.mark.parametrize("value", ["a\nb", "ends in a space "])
def test_a_value_that_a_service_file_cannot_hold(value: str) -> None:
    with pytest.raises(UsageError, match='"options"'):
        psql.session(PostgresUri("postgresql://h/shop"), {"options": value}, {})


def test_arguments_that_are_the_drivers_own() -> None:
    given = {"prepare_threshold": None, "autocommit": True, "row_factory": object(), "keepalives": 1}
    found = psql.session(PostgresUri("postgresql+psycopg://h/shop"), given, {})
    assert found.service == "[flask-postgres]\nkeepalives=1\n"
    assert "shop" not in repr(found), "what may hold a secret is not shown"


def _finish_telling(process: subprocess.Popen[str]) -> Result:
    """As ``finish``, for a psql that shows the password on purpose."""
    out, err = process.communicate("", 60)
    return Result(process.returncode, out, err)


def _text(uri: PostgresUri) -> str:
    return uri.render(hide_password=False)
