"""Raw values of every source become values, or one clear line."""

from __future__ import annotations

import datetime
import enum
import string
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url
from werkzeug.local import LocalProxy

from flask_postgres.settings.convert import ConversionError, Raw, convert
from flask_postgres.settings.schema import BY_NAME, SETTINGS, Setting
from flask_postgres.uri import PostgresUri

URI = "postgresql://me@localhost/db"


class Name(str, enum.Enum):
    """What an app may call its environments; ``str()`` of it is not its text."""

    PRODUCTION = "production"


class Number(enum.IntEnum):
    FIVE = 5


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("admin_dbname", "My DB", "My DB"),
        ("admin_dbname", "é" * 31, "é" * 31),
        ("env", " staging ", "staging"),
        ("env", '"production"', "production"),
        ("env", " 'Zoë.2_x-y' ", "Zoë.2_x-y"),
        ("env", Name.PRODUCTION, "production"),
        ("cli_disallowed_envs", '"production"', ("production",)),
        ("cli_disallowed_envs", "'production; staging'", ("production", "staging")),
        ("cli_disallowed_envs", "'production'; \"staging\"", ("production", "staging")),
        ("cli_disallowed_envs", ['"production"', "a;b"], ("production", "a", "b")),
        ("cli_disallowed_envs", '""', ()),
        ("cli_disallowed_envs", [Name.PRODUCTION], ("production",)),
        ("cli_disallowed_envs", Name.PRODUCTION, ("production",)),
        ("connection_limit", Number.FIVE, 5),
        ("connection_limit", "50", 50),
        ("connection_limit", " -1 ", -1),
        ("connection_limit", 0, 0),
        ("connect_timeout", "2", 2),
        ("connect_timeout", "0.25", 0.25),
        ("connect_timeout", ".5", 0.5),
        ("connect_timeout", 1.5, 1.5),
        *(("protect", raw, True) for raw in (True, 1, "true", "Yes", "ON", "1", " true ")),
        *(("protect", raw, False) for raw in (False, 0, "false", "no", "Off", "0")),
        ("extensions", "citext; pg_trgm;;", ("citext", "pg_trgm")),
        ("extensions", "", ()),
        ("extensions", " ; ", ()),
        ("extensions", [], ()),
        ("extensions", ["citext", " ", " hstore"], ("citext", "hstore")),
        ("extensions", ("a;b", "c"), ("a", "b", "c")),
        ("extensions", {"b", "a"}, ("a", "b")),
        ("init_with", "migrations", "migrations"),
        ("server", " embedded ", "embedded"),
        ("metadata", "app.models:Base.metadata", "app.models:Base.metadata"),
        ("server_data_dir", "data", Path("/base/data")),
        ("server_data_dir", "/else/where", Path("/else/where")),
        ("server_data_dir", Path("data"), Path("/base/data")),
        ("target_database_uri", URI, PostgresUri(URI)),
        ("target_database_uri", make_url(URI), PostgresUri(URI)),
        ("target_database_uri", PostgresUri(URI), PostgresUri(URI)),
    ],
)
def test_text_and_native_values(name: str, raw: t.Any, value: t.Any) -> None:
    converted = convert(BY_NAME[name], Raw(value=raw, base=Path("/base")))
    assert converted == value
    assert type(converted) is type(value)


def test_a_path_may_start_at_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("USERPROFILE", "/home/me")
    assert convert(BY_NAME["server_data_dir"], Raw(value="~/pg")) == Path("/home/me/pg")


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("owner", 5, "must be text, not a whole number"),
        ("owner", "", "must not be empty; remove it to leave it unset"),
        ("env", "  ", "must not be empty; remove it to leave it unset"),
        ("owner", "a\0b", "must not contain a NUL character"),
        ("owner", "a\udcffb", "must be valid UTF-8"),
        ("owner", "é" * 32, "has 64 bytes; a name in PostgreSQL has at most 63"),
        ("connection_limit", "many", 'must be a whole number, not "many"'),
        ("connection_limit", "1_0", 'must be a whole number, not "1_0"'),
        ("connection_limit", "9" * 5000, f'must be a whole number, not "{"9" * 80}…"'),
        ("connection_limit", True, "must be a whole number, not true or false"),
        ("connection_limit", 1.0, "must be a whole number, not a number"),
        ("connection_limit", -2, "must be between -1 and 2147483647"),
        pytest.param("connection_limit", 10**5000, "must be between -1 and 2147483647", id="huge-limit"),
        ("undo_limit", "1 PB", 'must be a size in bytes, kB, MB, GB or TB, such as 500MB, not "1 PB"'),
        ("undo_limit", "-1", 'must be a size in bytes, kB, MB, GB or TB, such as 500MB, not "-1"'),
        ("undo_limit", -1, 'must be a size in bytes, kB, MB, GB or TB, such as 500MB, not "-1"'),
        ("undo_limit", True, "must be a size, such as 500MB, not true or false"),
        ("undo_limit", 1.5, "must be a size, such as 500MB, not a number"),
        ("connect_timeout", "soon", 'must be a number of seconds, not "soon"'),
        ("connect_timeout", "nan", 'must be a number of seconds, not "nan"'),
        ("connect_timeout", float("nan"), "must be more than 0 seconds and at most 86400"),
        ("connect_timeout", float("inf"), "must be more than 0 seconds and at most 86400"),
        ("connect_timeout", 0, "must be more than 0 seconds and at most 86400"),
        ("connect_timeout", "-1", 'must be a number of seconds, not "-1"'),
        pytest.param("connect_timeout", 10**5000, "must be more than 0 seconds and at most 86400", id="huge"),
        ("connect_timeout", True, "must be a number of seconds, not true or false"),
        ("protect", "maybe", 'must be true or false (or yes, no, on, off, 1, 0), not "maybe"'),
        ("protect", "", 'must be true or false (or yes, no, on, off, 1, 0), not ""'),
        ("protect", 2, "must be true or false, not a whole number"),
        ("extensions", 5, "must be a list of text, or text separated by ;, not a whole number"),
        ("extensions", {"a": 1}, "must be a list of text, or text separated by ;, not a table"),
        ("extensions", ["a", 5], "must be a list of text, but contains a whole number"),
        ("cli_disallowed_envs", "a; production,staging",
         'must be separated by ;, not as in "production,staging"'),
        ("cli_disallowed_envs", "production\nstaging",
         'must be separated by ;, not as in "production\\nstaging"'),
        ("cli_disallowed_envs", '["production"]',
         'must be separated by ;, not as in "[\\"production\\"]"'),
        *((name, raw, f'must be the name of an environment (letters, digits, _, - and .), not {shown}')
          for name in ("env", "cli_disallowed_envs")
          for raw, shown in (("production staging", '"production staging"'), ("a|b", '"a|b"'),
                             ('"production', '"\\"production"'), ('""a""', '"\\"\\"a\\"\\""'))),
        ("init_with", "migration", "must be one of auto, callback, migrations, create_all, "
         'not "migration"; did you mean migrations?'),
        ("server", "zzz", 'must be one of auto, embedded, external, not "zzz"'),
        ("metadata", "app.models", 'must be MODULE:ATTRIBUTE, as myapp.models:metadata, not "app.models"'),
        ("server_data_dir", 5, "must be text, not a whole number"),
        ("server_data_dir", "~nobody-of-this-name/x",
         'must be a path: "~nobody-of-this-name/x": there is no home folder for the ~ in it'),
        ("target_database_uri", 5, "must be a PostgreSQL URI, not a whole number"),
        ("target_database_uri", " ", "must not be empty; remove it to leave it unset"),
    ],
)  # fmt: skip
def test_wrong_values_are_one_line(name: str, raw: t.Any, message: str) -> None:
    with pytest.raises(ConversionError) as caught:
        convert(BY_NAME[name], Raw(value=raw))
    assert str(caught.value) == message


@pytest.mark.parametrize("character", ["\n", "\r", "\x1b", "\x7f", "\x85", "\u2028"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("owner", "a{}b"), ("owner", "a{}"), ("target_database_uri", "postgresql://h/db{}second"),
     ("extensions", "a{}b"), ("server_data_dir", "a{}b"), ("encoding", "a{}b")],
)  # fmt: skip
def test_control_character_in_a_variable_or_secret_file_is_a_mistake(
    name: str, value: str, character: str
) -> None:
    raw = value.format(character)
    with pytest.raises(ConversionError, match="must"):
        convert(BY_NAME[name], Raw(value=raw, one_line=True))


def test_value_that_raises_is_a_fault() -> None:
    """A proxy in the app's config, for one, which looks for something that is there in requests alone."""
    tenants: dict[str, str] = {}
    with pytest.raises(ConversionError, match="cannot be read: its value raises KeyError"):
        convert(BY_NAME["owner"], Raw(value=LocalProxy(lambda: tenants["mine"])))


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("connection_limit", "5", "must be a whole number, not text"),
        ("connect_timeout", "5", "must be a number of seconds, not text"),
        ("protect", "true", "must be true or false, not text"),
        ("protect", 1, "must be true or false, not a whole number"),
        ("owner", datetime.date(2026, 1, 1), "must be text, not a date or time"),
        ("owner", {"a": 1}, "must be text, not a table"),
        ("owner", ["a"], "must be text, not a list"),
    ],
)
def test_toml_has_types_of_its_own(name: str, raw: t.Any, message: str) -> None:
    with pytest.raises(ConversionError) as caught:
        convert(BY_NAME[name], Raw(value=raw, typed=True))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "raw",
    [
        "sqlite://u:canary@h/db",
        "postgresql://u:canary@pw@h/db",
        "postgresql://u:canary@h:port/db",
        "postgresql://u:canary@h",
        "u:canary@h/db",
        "host=h password=canary",
    ],
)
@pytest.mark.parametrize("name", ["target_database_uri", "server", "metadata", "connection_limit", "protect"])
def test_no_message_repeats_a_password(name: str, raw: str) -> None:
    with pytest.raises(ConversionError) as caught:
        convert(BY_NAME[name], Raw(value=raw))
    assert "canary" not in str(caught.value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
likely = st.text(alphabet=string.ascii_letters + string.digits + ":/@?&=%;.,_-~[]$ {}'\"\\")


def fault(setting: Setting, raw: Raw) -> str | None:
    try:
        convert(setting, raw)
    except ConversionError as error:
        return str(error)
    return None


@given(setting=st.sampled_from(SETTINGS), value=anything | likely, typed=st.booleans())
def test_anything_is_a_value_or_a_fault_of_one_line(setting: Setting, value: t.Any, typed: bool) -> None:
    message = fault(setting, Raw(value=value, typed=typed))
    assert message is None or (message and "\n" not in message)


@given(rest=likely)
def test_any_uri_is_a_value_or_a_fault_of_one_line(rest: str) -> None:
    message = fault(BY_NAME["target_database_uri"], Raw(value=f"postgresql://{rest}"))
    assert message is None or (message and "\n" not in message)
