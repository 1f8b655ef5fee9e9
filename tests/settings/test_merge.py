"""Which source wins, what it shadows, and what is used where nothing is set."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from flask_postgres.errors import SettingsError, Unsupported
from flask_postgres.settings.convert import Raw, convert
from flask_postgres.settings.masking import secrets_in
from flask_postgres.settings.schema import SETTINGS, Setting, Settings
from flask_postgres.settings.sources import PRECEDENCE
from flask_postgres.uri import PostgresUri

from .resolving import resolved

OWN = "postgresql://localhost/own"
APP = "postgresql://localhost/app"
ENV = "postgresql://localhost/env"

EVERYWHERE = {
    "cli": {"owner": "cli"},
    "app": {"FLASK_POSTGRES_OWNER": "app"},
    "toml": 'owner = "toml"',
    "env": {"FLASK_POSTGRES_OWNER": "env"},
}


def test_nothing_set_is_the_defaults() -> None:
    assert resolved().settings == Settings()


@pytest.mark.parametrize("first", range(4))
def test_highest_source_wins_and_the_others_are_shadowed_in_order(folder: Path, first: int) -> None:
    sources = PRECEDENCE[first:-1]
    if "toml" in sources:
        (folder / "flask_postgres.toml").write_text(str(EVERYWHERE["toml"]))
    entry = resolved(
        cli=EVERYWHERE["cli"] if "cli" in sources else {},
        app_config=EVERYWHERE["app"] if "app" in sources else {},
        environ=EVERYWHERE["env"],
        cwd=folder,
    )["owner"]
    assert (entry.source, entry.value) == (sources[0], sources[0])
    shadowed = [(value.source, value.value) for value in entry.shadowed]
    assert shadowed == [*((source, source) for source in sources[1:]), ("default", None)]


VALUES: dict[str, tuple[t.Any, ...]] = {
    "text": ("cli", "app", "toml", "env"),
    "environment": ("cli", "app", "toml", "env"),
    "environments": (("cli",), ["app"], ["toml"], "env;env2"),
    "identifier": ("cli", "app", "toml", "env"),
    "integer": ("4", 3, 2, "1"),
    "size": ("4MB", 3, "2 GB", "1"),
    "seconds": ("4", 3, 2.5, "1"),
    "boolean": (True, False, True, "no"),
    "list": (("cli",), ["app"], ["toml"], "env;env2"),
    "seeds": (("cli:f",), ["app:f"], ["toml:f"], "env:f;flask env"),
    "path": ("/cli", "/app", "/toml", "/env"),
    "uri": (f"{OWN}?a=cli", f"{OWN}?a=app", f"{OWN}?a=toml", f"{OWN}?a=env"),
    "attribute": ("m:cli", "m:app", "m:toml", "m:env"),
}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_from_every_source(setting: Setting, folder: Path) -> None:
    """Taking away the highest source leaves the next one, down to the default."""
    raw = dict(
        zip(PRECEDENCE[:-1], VALUES.get(setting.kind) or (*setting.choices, *setting.choices), strict=False)
    )
    expected = {source: convert(setting, Raw(value=value)) for source, value in raw.items()}
    for first, source in enumerate(PRECEDENCE):
        there = PRECEDENCE[first:-1]
        toml = f"{setting.name} = {json.dumps(raw['toml'])}\n" if "toml" in there else ""
        (folder / "flask_postgres.toml").write_text(toml)
        entry = resolved(
            cli={setting.name: raw["cli"]} if "cli" in there else {},
            app_config={setting.variable: raw["app"]} if "app" in there else {},
            environ={setting.variable: raw["env"]} if "env" in there else {},
            cwd=folder,
        )[setting.name]
        assert [value.source for value in entry.values] == [*there, "default"]
        assert entry.value == expected.get(source, setting.default)
        assert [value.value for value in entry.shadowed[:-1]] == [expected[one] for one in there[1:]]


def test_origins_say_where_exactly(folder: Path) -> None:
    (folder / "flask_postgres.toml").write_text(str(EVERYWHERE["toml"]))
    entry = resolved(
        cli=EVERYWHERE["cli"], app_config=EVERYWHERE["app"], environ=EVERYWHERE["env"], cwd=folder
    )["owner"]
    assert [value.origin for value in entry.values] == [
        "--owner",
        'app.config["FLASK_POSTGRES_OWNER"]',
        f"{folder}/flask_postgres.toml: owner",
        "FLASK_POSTGRES_OWNER",
        "the role that connects",
    ]


@pytest.mark.parametrize(("value", "origin"), [(True, "--protect"), (False, "--no-protect")])
def test_flag_of_two_halves_is_named_by_the_one_that_was_typed(value: bool, origin: str) -> None:
    assert resolved(cli={"protect": value})["protect"].origin == origin


def test_falsy_value_is_a_value() -> None:
    environ = {
        "FLASK_POSTGRES_CLI_DISALLOWED_ENVS": "production",
        "FLASK_POSTGRES_PROTECT": "true",
        "FLASK_POSTGRES_CONNECTION_LIMIT": "5",
    }
    app_config = {
        "FLASK_POSTGRES_CLI_DISALLOWED_ENVS": [],
        "FLASK_POSTGRES_PROTECT": False,
        "FLASK_POSTGRES_CONNECTION_LIMIT": 0,
    }
    settings = resolved(environ=environ, app_config=app_config).settings
    assert (settings.cli_disallowed_envs, settings.protect, settings.connection_limit) == ((), False, 0)


def test_none_in_the_app_is_not_set() -> None:
    environ = {"FLASK_POSTGRES_OWNER": "env"}
    assert resolved(environ=environ, app_config={"FLASK_POSTGRES_OWNER": None})["owner"].value == "env"


def test_same_value_as_the_default_counts_as_set() -> None:
    assert resolved(app_config={"FLASK_POSTGRES_ADMIN_DBNAME": "postgres"}).is_set("admin_dbname")
    assert not resolved().is_set("admin_dbname")


class TestTarget:
    @pytest.mark.parametrize(
        ("app", "env", "engine", "dbname", "source", "origin"),
        [
            (APP, ENV, OWN, "app", "app", 'app.config["SQLALCHEMY_DATABASE_URI"]'),
            (make_url(APP), None, None, "app", "app", 'app.config["SQLALCHEMY_DATABASE_URI"]'),
            ("", ENV, OWN, "env", "env", "SQLALCHEMY_DATABASE_URI"),
            (None, "", OWN, "own", "app", "the engine of the app's extension"),
        ],
    )
    def test_falls_back_to_the_apps_own(
        self, app: t.Any, env: str | None, engine: str | None, dbname: str, source: str, origin: str
    ) -> None:
        entry = resolved(
            app_config={"SQLALCHEMY_DATABASE_URI": app},
            environ={} if env is None else {"SQLALCHEMY_DATABASE_URI": env},
            engine_url=lambda: engine and make_url(engine),
        )["target_database_uri"]
        assert (entry.value.dbname, entry.source, entry.origin) == (dbname, source, origin)

    def test_ours_from_the_lowest_source_beats_the_apps_from_the_highest(self) -> None:
        entry = resolved(
            app_config={"SQLALCHEMY_DATABASE_URI": APP},
            environ={"FLASK_POSTGRES_TARGET_DATABASE_URI": OWN, "SQLALCHEMY_DATABASE_URI": ENV},
        )["target_database_uri"]
        assert (entry.value.dbname, entry.source) == ("own", "env")
        assert [getattr(value.value, "dbname", None) for value in entry.shadowed] == ["app", "env", None]

    def test_engine_is_asked_only_when_nothing_else_names_a_database(self) -> None:
        def engine_url() -> t.NoReturn:
            raise AssertionError("asked")

        resolved(cli={"target_database_uri": OWN}, engine_url=engine_url)

    def test_engine_that_cannot_tell_is_a_fault(self) -> None:
        def engine_url() -> t.NoReturn:
            raise Unsupported("the engine is made with a creator")

        faults = resolved(engine_url=engine_url).faults
        assert faults == ("the engine of the app's extension: the engine is made with a creator",)

    def test_sqlite_app_is_a_fault_only_where_it_is_the_target(self) -> None:
        app_config = {"SQLALCHEMY_DATABASE_URI": "sqlite:///app.db"}
        (fault,) = resolved(app_config=app_config).faults
        assert fault.startswith(
            'app.config["SQLALCHEMY_DATABASE_URI"]: the scheme "sqlite" is not PostgreSQL'
        )
        shadowing = resolved(app_config=app_config, cli={"target_database_uri": OWN})
        assert shadowing.settings.target_database_uri == PostgresUri(OWN)
        assert shadowing["target_database_uri"].shadowed[0].value == "sqlite:///app.db"

    def test_nothing_anywhere_is_none_and_no_fault(self) -> None:
        assert resolved().settings.target_database_uri is None


class TestEnv:
    @pytest.mark.parametrize(
        ("app", "environ", "debug", "value", "source", "origin"),
        [
            ({"FLASK_POSTGRES_ENV": "a", "FLASK_ENV": "b"}, {}, False, "a", "app",
             'app.config["FLASK_POSTGRES_ENV"]'),
            ({"FLASK_ENV": "b"}, {"FLASK_POSTGRES_ENV": "a"}, False, "a", "env", "FLASK_POSTGRES_ENV"),
            ({"FLASK_ENV": "b", "ENV": "c"}, {"FLASK_ENV": "d"}, True, "b", "app", 'app.config["FLASK_ENV"]'),
            ({"ENV": " c "}, {"FLASK_ENV": "d"}, True, "c", "app", 'app.config["ENV"]'),
            ({"ENV": ""}, {"FLASK_ENV": "d"}, True, "d", "env", "FLASK_ENV"),
            ({}, {"FLASK_ENV": ""}, True, "development", "default", "debug is on"),
            ({}, {}, False, "production", "default", "debug is off"),
            (None, {}, False, "production", "default", "debug is off"),
        ],
    )  # fmt: skip
    def test_falls_back(
        self, app: t.Any, environ: dict[str, str], debug: bool, value: str, source: str, origin: str
    ) -> None:
        entry = resolved(app_config=app, environ=environ, debug=debug)["env"]
        assert (entry.value, entry.source, entry.origin) == (value, source, origin)

    def test_empty_one_of_ours_does_not_pass_the_guard(self) -> None:
        faults = resolved(environ={"FLASK_POSTGRES_ENV": " "}, debug=True).faults
        assert faults == ("FLASK_POSTGRES_ENV: must not be empty; remove it to leave it unset",)


class TestFaults:
    def test_all_are_collected_with_their_places(self, folder: Path) -> None:
        (folder / "flask_postgres.toml").write_text('ownr = "me"\nprotect = "yes"\n')
        resolution = resolved(
            cli={"server": "cloud"},
            app_config={"FLASK_POSTGRES_EXTENSIONS": 5},
            environ={"FLASK_POSTGRES_CONNECT_TIMEOUT": "soon"},
            cwd=folder,
        )
        with pytest.raises(SettingsError) as caught:
            _ = resolution.settings
        assert caught.value.exit_code == 2
        assert set(caught.value.faults) == {
            f'{folder}/flask_postgres.toml: unknown key "ownr"; did you mean "owner"?',
            f"{folder}/flask_postgres.toml: protect: must be true or false, not text",
            '--server: must be one of auto, embedded, external, not "cloud"',
            'app.config["FLASK_POSTGRES_EXTENSIONS"]: must be a list of text, or text separated by ;, '
            "not a whole number",
            'FLASK_POSTGRES_CONNECT_TIMEOUT: must be a number of seconds, not "soon"',
        }

    def test_shadowed_value_of_ours_is_checked_too(self) -> None:
        resolution = resolved(
            cli={"connect_timeout": "5"}, environ={"FLASK_POSTGRES_CONNECT_TIMEOUT": "soon"}
        )
        assert resolution["connect_timeout"].error is None
        assert resolution["connect_timeout"].value == 5
        assert len(resolution.faults) == 1


class TestSecrets:
    @pytest.mark.parametrize(
        "uri",
        [
            "postgresql://u:canary@h/db",
            "postgresql://u@h/db?password=canary",
            "postgresql://u@h/db?sslpassword=canary",
            "mysql://u:canary@h/db",
            "postgresql://u:canary@h:x/db",
            "u:canary@h",
            "host=h password=canary",
            "host=h password='canary'",
        ],
    )
    @pytest.mark.parametrize("shadowed", [False, True])
    def test_of_every_source_and_state(self, uri: str, shadowed: bool) -> None:
        resolution = resolved(
            cli={"target_database_uri": OWN} if shadowed else {},
            environ={"FLASK_POSTGRES_TARGET_DATABASE_URI": uri},
        )
        assert "canary" in set(resolution.secrets())

    def test_of_a_url_object_in_the_app(self) -> None:
        app_config = {"SQLALCHEMY_DATABASE_URI": make_url("mysql://u:canary@h/db")}
        assert "canary" in set(resolved(app_config=app_config, cli={"target_database_uri": OWN}).secrets())

    def test_percent_encoded_is_known_as_it_is_meant(self) -> None:
        resolution = resolved(environ={"SQLALCHEMY_DATABASE_URI": "postgresql://u:p%40ss@h/db"})
        assert set(resolution.secrets()) == {"p@ss"}

    def test_under_the_keys_of_a_dictionary_that_contains_itself(self) -> None:
        binds: dict[str, t.Any] = {"a": {"connect_args": {"oauth_client_secret": "canary", "user": "me"}}}
        binds["b"] = [binds, binds]
        assert secrets_in(binds) == ("canary",)

    def test_shown_names_are_those_of_every_uri(self) -> None:
        uri = "postgresql://me@/db?host=a&host=b"
        resolution = resolved(environ={"SQLALCHEMY_DATABASE_URI": uri, "FLASK_POSTGRES_OWNER": "boss"})
        assert {"me", "a", "b", "db", "boss", "postgres"} <= set(resolution.shown_names())


variables = st.sampled_from(
    [setting.variable + suffix for setting in SETTINGS for suffix in ("", "_FILE")]
    + ["FLASK_ENV", "SQLALCHEMY_DATABASE_URI", "FLASK_POSTGRES_CONFIG"]
)


@given(environ=st.dictionaries(variables, st.text(), max_size=5), debug=st.booleans())
def test_any_text_in_any_variable_is_a_value_or_a_fault(environ: dict[str, str], debug: bool) -> None:
    resolution = resolved(environ=environ, debug=debug)
    if resolution.faults:
        with pytest.raises(SettingsError):
            _ = resolution.settings
    else:
        assert isinstance(resolution.settings, Settings)


@given(environ=st.dictionaries(st.text().map("FLASK_POSTGRES_".__add__), st.text(), max_size=3))
def test_any_name_is_known_unused_or_a_fault(environ: dict[str, str]) -> None:
    resolution = resolved(environ=environ)
    known = {setting.variable for setting in SETTINGS}
    for name in environ:
        assert name in known or name in resolution.unused or any(name in f for f in resolution.faults)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


@given(config=st.dictionaries(st.sampled_from([s.variable for s in SETTINGS] + ["ENV"]), values, max_size=5))
def test_anything_in_the_app_is_a_value_or_a_fault(config: dict[str, t.Any]) -> None:
    assert resolved(app_config=config).faults is not None
