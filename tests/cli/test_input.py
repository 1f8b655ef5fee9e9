"""Whatever comes in is a value or one clear error with exit code 2, through the real command.

``project`` looks for tracebacks and passwords in everything that is printed.
"""

from __future__ import annotations

import decimal
import os
import pathlib
import pickle
import typing as t

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from flask_postgres.settings.schema import SETTINGS

from ..project import Project, Result

pytestmark = pytest.mark.long

APP = """
    import pathlib, pickle
    from flask import Flask
    app = Flask(__name__)
    config = pathlib.Path(__file__).with_name("config.pickle")
    if config.exists():
        app.config.update(pickle.loads(config.read_bytes()))
"""
COMMANDS = (["config"], ["config", "--json"], ["create", "-n"], ["drop", "-n"], ["init", "-n"], ["status"])
LOOKING = COMMANDS[:2]
AWAY = {"FLASK_POSTGRES_SERVER": "external", "FLASK_POSTGRES_CONNECT_TIMEOUT": "0.2"}
PASSWORD = "super-s3cret"

many = settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# What a system can hand over: any bytes but NUL, those that are not UTF-8 as lone surrogates. Hypothesis
# tries the strings of this module as well; the password must not turn up where a name is meant.
texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    | st.sampled_from("/@:?&=;,%[]{}$#+' \n\x1b\udcff")
).filter(lambda text: PASSWORD not in text)
TAME = ("postgresql", "me", "", "127.0.0.1:1", "x", "")
ODD: tuple[tuple[str, ...], ...] = (
    ("postgres", "postgresql+psycopg", "postgresql+asyncpg", "postgresql+none", "mysql", "", "é"),
    ("", "\udcff", "%00", "%FF", "a b", "u@v", "\x1b[31m"),
    ("\udcff", "%00", "%FF", "@", "/", " ", "+", "\\", "'", "\n", "é"),
    ("", "[::1]:1", "[fe80::1%25lo]:1", "a,b:1", "a:1,b:2", "h..x", "h" * 64, "h:" + "9" * 5000, "h\udcff"),
    ("", "\udcff", "%00", "n" * 64, "é", "a/b", "a\nb", "\x1b[31m"),
    ("?", "?host=/no", "?host=a:1&host=b:2", "?host=a,b&port=1,2,3", "?port=x", "?host=a&port=" + "9" * 5000),
    ("?options=%00", "?sslmode=require", "?ssl=no", "?service=none", "?passfile=/no", "?user=%FF"),
    (f"?password={PASSWORD}", f"?sslpassword={PASSWORD}%FF", "?target_session_attrs=any", "?=&&", "?a=1&b=2"),
)  # fmt: skip


def uri(*parts: str) -> str:
    scheme, user, password, host, dbname, *query = parts
    return f"{scheme}://{user}:{PASSWORD}{password}@{host}/{dbname}{''.join(query)}"


def with_odd(index: int, odd: str) -> str:
    """Return a URI with one odd part: the first fault hides all others."""
    parts = [*TAME, "", ""]
    parts[index] = odd
    return uri(*parts)


uris = st.integers(0, len(TAME) - 1).flatmap(lambda index: texts.map(lambda odd: with_odd(index, odd)))
mixed = st.tuples(
    *(st.just(tame) | st.sampled_from(odd) for tame, odd in zip((*TAME, "", ""), ODD, strict=True))
)
anything = texts | uris | mixed.map(lambda parts: uri(*parts))


@pytest.fixture
def app(project: Project) -> Project:
    return project.write({"app.py": APP})


def expect_clear(result: Result, *, of: t.Sequence[str]) -> None:
    """Expect one line of an error for a code that is not 0, and 2 from what needs no server."""
    errors = [line for line in result.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == (result.code != 0), str(result)
    assert result.code in ((0, 2) if of in LOOKING else (0, 1, 2)), str(result)


FROM = {
    "the variable": "FLASK_POSTGRES_TARGET_DATABASE_URI",
    "the app's variable": "SQLALCHEMY_DATABASE_URI",
    "another variable": "DATABASE_URL",
}


def run_on(app: Project, uri: str, *, command: list[str], source: str) -> None:
    flags, env = ([], {FROM[source]: uri}) if source in FROM else (["--uri", uri], {})
    expect_clear(app.here(*command, *flags, env={**AWAY, **env}), of=command)


@pytest.mark.parametrize("source", ["the flag", "the variable"])
def test_each_odd_part_of_a_uri(app: Project, source: str) -> None:
    command = COMMANDS[2] if source == "the flag" else COMMANDS[0]
    for index, odds in enumerate(ODD):
        for odd in odds:
            run_on(app, with_odd(index, odd), command=command, source=source)


@given(uri=anything, command=st.sampled_from(COMMANDS), source=st.sampled_from(["the flag", *FROM]))
@many
def test_uris(app: Project, uri: str, command: list[str], source: str) -> None:
    run_on(app, uri, command=command, source=source)


variables = st.sampled_from(
    [setting.variable + ending for setting in SETTINGS for ending in ("", "_FILE", "S")]
    + ["FLASK_POSTGRES_CONFIG", "FLASK_ENV", *FROM.values(), "PGPASSWORD"]
)


@given(environ=st.dictionaries(variables, anything, max_size=4), command=st.sampled_from(LOOKING))
@many
def test_environments(app: Project, environ: dict[str, str], command: list[str]) -> None:
    expect_clear(app.here(*command, env=environ), of=command)


names = st.sampled_from(
    [one.name for one in SETTINGS] + ["uri", "[tool", '"ke y"', "[[tool.flask_postgres]]"]
)
literals = st.sampled_from(
    ["1", "true", "nan", "2026-01-01", "[]", "[1, ['a']]", "{a = 1}", "0x10", '"${"', '"${A:-${B}}"', "'''"]
)
quoted = anything.map("'{}'".format) | anything.map('["{}", "${{HOME}}"]'.format)
lines = st.builds("{} = {}".format, names, literals | quoted)


@given(
    text=st.lists(lines, max_size=4).map("\n".join) | texts,
    header=st.sampled_from(["", "[tool.flask_postgres]\n", "[tool.flask-postgres]\n", "\ufeff"]),
    file=st.sampled_from(["flask_postgres.toml", "pyproject.toml"]),
    command=st.sampled_from(LOOKING),
)
@many
def test_toml(app: Project, text: str, header: str, file: str, command: list[str]) -> None:
    for name in ("flask_postgres.toml", "pyproject.toml"):
        (app.folder / name).unlink(missing_ok=True)
    (app.folder / file).write_bytes((header + text).encode("utf-8", "surrogateescape"))
    expect_clear(app.here(*command), of=command)


odd_objects = st.sampled_from(
    [pathlib.Path("a"), decimal.Decimal(1), range(3), {"b"}, len, str, 1j, make_url("mysql://u:p@h/x"), ...]
)
objects = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | anything | st.binary() | odd_objects,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
keys = st.sampled_from(
    [setting.variable for setting in SETTINGS] + ["ENV", "SQLALCHEMY_DATABASE_URI", "SQLALCHEMY_BINDS"]
)


@given(config=st.dictionaries(keys, objects, max_size=4), command=st.sampled_from(LOOKING))
@many
def test_app_config(app: Project, config: dict[str, t.Any], command: list[str]) -> None:
    (app.folder / "config.pickle").write_bytes(pickle.dumps(config))
    expect_clear(app.here(*command), of=command)


@given(name=texts.filter(lambda text: len(os.fsencode(text)) < 80), command=st.sampled_from(COMMANDS))
@many
def test_names(app: Project, name: str, command: list[str]) -> None:
    flag = {"config": "--owner", "create": "--template"}.get(command[0], "--admin-dbname")
    url = "postgresql://127.0.0.1:1/x"
    expect_clear(app.here(*command, "--uri", url, f"{flag}={name}", env=AWAY), of=command)
