"""The clauses of CREATE DATABASE and its extensions: as flags, and as settings in each source."""

from __future__ import annotations

import typing as t

import pytest

from ..cli.looking import error, full, oid, said
from ..project import Project
from ..servers import Server
from .apps import LEGACY

CLAUSES: dict[str, t.Any] = {
    "database_template": "template0",
    "owner": "app_dev",
    "encoding": "UTF8",
    "lc_collate": "C",
    "lc_ctype": "C",
    "connection_limit": 11,
    "extensions": ["citext", "pg_trgm"],
}

FACTS = """
    SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit
    FROM pg_database WHERE datname = %s
"""


def by_flags(_: Project) -> tuple[list[str], dict[str, str]]:
    flags = [text for name, value in CLAUSES.items() for text in _flag(name, value)]
    return flags, {}


def by_app(project: Project) -> tuple[list[str], dict[str, str]]:
    path = project.folder / "app.py"
    lines = [f'app.config["FLASK_POSTGRES_{name.upper()}"] = {value!r}' for name, value in CLAUSES.items()]
    path.write_text(path.read_text() + "\n".join(lines))
    return [], {}


def by_toml(project: Project) -> tuple[list[str], dict[str, str]]:
    lines = [f"{name} = {value!r}" for name, value in CLAUSES.items()]
    project.write({"flask_postgres.toml": "\n".join(lines)})
    return [], {}


def by_env(_: Project) -> tuple[list[str], dict[str, str]]:
    def text(value: t.Any) -> str:
        return ";".join(value) if isinstance(value, list) else str(value)

    return [], {f"FLASK_POSTGRES_{name.upper()}": text(value) for name, value in CLAUSES.items()}


def _flag(name: str, value: t.Any) -> list[str]:
    if name == "extensions":
        return [text for item in value for text in ("--extension", item)]
    flag = "--template" if name == "database_template" else "--" + name.replace("_", "-")
    return [flag, str(value)]


@pytest.mark.parametrize("source", [by_flags, by_app, by_toml, by_env])
def test_every_clause_from_every_source(
    project: Project, server: Server, dbname: str, source: t.Callable[..., t.Any]
) -> None:
    project.write({"app.py": LEGACY.format(uri=full(server.uri(dbname)))})
    flags, env = source(project)
    last = None
    for command in (["create"], ["reset", "--force"], ["drop", "--force"], ["setup"]):
        result = project.here(*command, *([] if command[0] == "drop" else flags), env=env)
        assert result.code == 0, str(result)
        if command[0] == "drop":
            continue
        assert server.execute(FACTS, dbname) == [("app_dev", "UTF8", "C", "C", 11)]
        found = {name for (name,) in server.execute("SELECT extname FROM pg_extension", dbname=dbname)}
        assert found >= {"citext", "pg_trgm"}
        assert oid(server, dbname) != last
        last = oid(server, dbname)


def test_a_locale_provider(project: Project, server: Server, dbname: str) -> None:
    if int(server.execute("SHOW server_version_num")[0][0]) < 170000:
        pytest.skip("the builtin provider came with PostgreSQL 17")
    project.write({"app.py": LEGACY.format(uri=full(server.uri(dbname)))})
    settings = 'database_template = "template0"\nlocale_provider = "builtin"\nlocale = "C.UTF-8"\n'
    project.write({"flask_postgres.toml": settings})
    result = project.here("setup")
    assert result.code == 0, str(result)
    query = "SELECT datlocprovider::text, datlocale FROM pg_database WHERE datname = %s"
    assert server.execute(query, dbname) == [("b", "C.UTF-8")]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("command", ["create", "setup", "reset"])
def test_every_reason_against_settings_is_told_at_once(
    project: Project, server: Server, dbname: str, command: str
) -> None:
    """And the database that is there is kept."""
    project.write(
        {
            "app.py": LEGACY.format(uri=full(server.uri(dbname))),
            "flask_postgres.toml": """
                owner = "nobody_here"
                tablespace = "no_space"
                encoding = "LATIN1"
                extensions = ["citexd"]
            """,
        }
    )
    before = oid(server, dbname)
    overwrite = [] if command == "reset" else ["--overwrite"]
    result = project.here(command, "--force", *overwrite)
    assert result.code == 1
    assert said(result) == [
        "Error: 4 checks failed; nothing was changed:",
        '  - the owner "nobody_here" does not exist. Run: CREATE ROLE nobody_here',
        '  - the tablespace "no_space" does not exist. Look at them: SELECT spcname FROM pg_tablespace',
        '  - the encoding LATIN1 is not that of "template1", UTF8. Use --template template0',
        '  - the extension "citexd" is not available on the server. Did you mean "citext"?',
    ]
    assert oid(server, dbname) == before


@pytest.mark.usefixtures("database")
def test_a_template_with_sessions(project: Project, server: Server, dbname: str) -> None:
    project.write({"app.py": LEGACY.format(uri=full(server.uri(f"{dbname}_copy")))})
    env = {"FLASK_POSTGRES_DATABASE_TEMPLATE": dbname}
    with server.connect(dbname, application_name="pgAdmin of Bea"):
        message = error(project.here("setup", env=env))
    assert f'the template "{dbname}" has open sessions' in message
    assert "pgAdmin of Bea" in message
    assert project.here("setup", env=env).code == 0
