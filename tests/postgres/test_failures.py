"""Driver errors become ours, by SQLSTATE: here every one of them, and some by a real server."""

from __future__ import annotations

import types
import typing as t

import psycopg
import pytest
import sqlalchemy as sa

from flask_postgres import errors
from flask_postgres.postgres import ddl, failures
from flask_postgres.postgres.admin import Connector

from ..servers import Server

KINDS = {
    "42501": errors.PermissionDenied,
    "55006": errors.DatabaseInUse,
    "3D000": errors.DatabaseMissing,
    "42P04": errors.DatabaseExists,
    "53300": errors.ServerError,
    "22023": errors.ServerError,
    "0A000": errors.Unsupported,
    "08006": errors.ServerUnreachable,
    "28P01": errors.AuthenticationFailed,
    "57P01": errors.ServerError,
    "57P04": errors.DatabaseMissing,
    "XX000": errors.ServerError,
    "99999": errors.ServerError,
}


def made(code: str | None, message: str = "it went wrong", detail: str | None = None) -> sa.exc.DBAPIError:
    diag = types.SimpleNamespace(message_primary=message if code else None, message_detail=detail)
    original: t.Any = Exception(message)
    original.sqlstate, original.diag = code, diag
    return sa.exc.DBAPIError("SECRET STATEMENT", None, original)


@pytest.mark.parametrize(("code", "kind"), KINDS.items())
def test_kinds(code: str, kind: type[errors.FlaskPostgresError]) -> None:
    error = failures.translate(made(code), doing='drop database "x"')
    assert isinstance(error, kind)
    assert error.message.startswith('could not drop database "x": it went wrong')
    assert "SECRET STATEMENT" not in str(error)
    assert getattr(error, "sqlstate", None) == code


@pytest.mark.parametrize(
    "error", [value for value in vars(psycopg.errors).values() if isinstance(value, type)]
)
def test_every_error_of_the_driver_has_one_of_ours(error: type) -> None:
    if issubclass(error, psycopg.Error) and error.sqlstate:
        assert isinstance(failures.translate(made(error.sqlstate), doing="x"), errors.FlaskPostgresError)


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        ("55000", 'cannot connect to invalid database "x"', "Remove it: flask psql drop"),
        ("XX000", "template database has a collation version mismatch", "REFRESH COLLATION VERSION"),
        ("55006", "is being accessed by other users", "--force-disconnect"),
    ],
)
def test_advice(code: str, message: str, hint: str) -> None:
    assert hint in str(failures.translate(made(code, message, "There is 1 other session."), doing="x"))


@pytest.mark.parametrize(
    ("code", "message"), [("40P01", "deadlock detected"), ("XX000", "tuple concurrently updated")]
)
def test_whoever_loses_a_race_is_told_so(code: str, message: str) -> None:
    error = failures.translate(made(code, message), doing="finish it")
    assert type(error) is errors.LostRace
    assert str(error).startswith("could not finish it: another command")


def test_detail_is_shown() -> None:
    error = failures.translate(made("55006", "busy", "There is 1 other session"), doing="x")
    assert "busy. There is 1 other session" in str(error)


def test_without_a_code() -> None:
    """While connecting, the drivers carry none."""
    error = made(None, "connection failed\n\tIs the server running?\nthird line")
    assert failures.sqlstate(error) is None
    assert failures.server_line(error) == "connection failed Is the server running?"
    assert failures.lost_connection(error)


@pytest.mark.parametrize(
    ("code", "lost"), [("57P01", True), ("08003", True), ("42501", False), ("25P03", True)]
)
def test_lost(code: str, lost: bool) -> None:
    assert failures.lost_connection(made(code)) is lost


@pytest.mark.usefixtures("database")
def test_real_ones(server: Server, dbname: str, driver: str) -> None:
    with Connector(uri=server.uri(dbname, driver)).admin() as admin:
        for statement, kind in (
            (ddl.CreateDatabase(dbname), errors.DatabaseExists),
            (ddl.DropDatabase("no_such_db"), errors.DatabaseMissing),
            (ddl.DropDatabase("template1"), errors.PermissionDenied),
            (ddl.CreateDatabase("x", {"encoding": "nope"}), errors.ServerError),
        ):
            with pytest.raises(kind) as caught:
                admin.run(statement, doing="try")
            assert failures.sqlstate(t.cast("BaseException", caught.value.__cause__)) is not None
