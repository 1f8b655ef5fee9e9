"""Which driver administers, and what of a URI goes with it."""

from __future__ import annotations

import importlib.util
import ssl
import typing as t

import pytest
import sqlalchemy as sa

from flask_postgres import DriverMissing, PostgresUri, UriValidationError
from flask_postgres.postgres import drivers
from flask_postgres.postgres.drivers import administrative, libpq_arguments

DEFAULT = sa.make_url("postgresql://").get_dialect().driver


@pytest.mark.parametrize(
    ("named", "used"),
    [
        ("psycopg", "psycopg"),
        ("psycopg2", "psycopg2"),
        ("psycopg_async", "psycopg"),
        *((name, DEFAULT) for name in ("", "asyncpg", "pg8000", "nodriver")),
    ],
)
def test_choice(named: str, used: str) -> None:
    uri = PostgresUri(f"postgresql{'+' if named else ''}{named}://u:p@h:7/x")
    found, dropped = administrative(uri)
    assert (found.driver, dropped) == (used, ())
    assert found.with_driver(None) == uri.with_driver(None)


def _installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    real = importlib.util.find_spec

    def find_spec(name: str, *rest: t.Any) -> t.Any:
        return None if name in drivers.SYNCHRONOUS and name not in names else real(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


@pytest.mark.parametrize("only", ["psycopg", "psycopg2"])
def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, only: str) -> None:
    _installed(monkeypatch, only)
    for named in ("", "+psycopg", "+psycopg2", "+asyncpg"):
        assert administrative(PostgresUri(f"postgresql{named}://h/x")).uri.driver == only


def test_no_driver_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch)
    with pytest.raises(DriverMissing, match=r"pip install 'psycopg\[binary\]'"):
        administrative(PostgresUri("postgresql://h/x"))


@pytest.mark.parametrize(
    ("ssl", "sslmode"),
    [("require", "require"), ("true", "require"), ("disable", "disable"), ("VERIFY-FULL", "verify-full")],
)
def test_encryption_is_never_dropped(ssl: str, sslmode: str) -> None:
    found, dropped = administrative(PostgresUri(f"postgresql+asyncpg://h/x?ssl={ssl}&timeout=5"))
    assert found.query == {"sslmode": sslmode}
    assert dropped == ("timeout",)


def test_an_encryption_that_is_not_understood() -> None:
    with pytest.raises(UriValidationError) as caught:
        administrative(PostgresUri("postgresql+asyncpg://h/x?ssl=maybe"))
    assert caught.value.part == "query"


def test_libpqs_own_keys_are_kept() -> None:
    query = "host=a:1&host=b:2&target_session_attrs=read-write&sslrootcert=/x"
    found, dropped = administrative(PostgresUri(f"postgresql+asyncpg:///x?{query}"))
    assert dropped == ()
    assert found.hosts == (("a", 1), ("b", 2))
    assert found.query["target_session_attrs"] == "read-write"


SETTINGS = {"search_path": "a b,c", "jit": "off"}


@pytest.mark.parametrize(
    ("driver", "given", "taken"),
    [
        ("psycopg", {"prepare_threshold": 0}, {"prepare_threshold": 0}),
        ("psycopg_async", {"prepare_threshold": 0}, {"prepare_threshold": 0}),
        ("psycopg2", {"cursor_factory": object}, {}),
        ("asyncpg", {"statement_cache_size": 0, "server_settings": None, "ssl": False}, {}),
        ("asyncpg", {"server_settings": SETTINGS}, {"options": r"-c search_path=a\ b,c -c jit=off"}),
        ("asyncpg", {"ssl": "verify-full"}, {"sslmode": "verify-full"}),
        ("asyncpg", {"ssl": ssl.create_default_context()}, {"sslmode": "require"}),
        ("pg8000", {"ssl_context": True, "timeout": 3}, {"sslmode": "require"}),
    ],
)
def test_arguments(driver: str, given: dict[str, t.Any], taken: dict[str, t.Any]) -> None:
    assert libpq_arguments(given, driver, wanted="psycopg") == taken
