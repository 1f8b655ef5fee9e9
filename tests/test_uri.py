"""PostgresUri: what it accepts, what it refuses, and that it never shows a password."""

from __future__ import annotations

import dataclasses
import pickle

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from flask_postgres import PostgresUri, UriValidationError

FULL = "postgresql+psycopg://me:s3cret%40@db.example:5433/shop?application_name=x&sslmode=require"


def test_parts() -> None:
    uri = PostgresUri(FULL)
    assert (uri.scheme, uri.driver, uri.user, uri.password) == ("postgresql", "psycopg", "me", "s3cret@")
    assert (uri.host, uri.port, uri.dbname) == ("db.example", 5433, "shop")
    assert uri.query == {"sslmode": "require", "application_name": "x"}
    assert uri.hosts == (("db.example", 5433),)


def test_bare() -> None:
    uri = PostgresUri("postgresql:///shop")
    assert (uri.driver, uri.user, uri.password, uri.host, uri.port, uri.hosts) == (
        None,
        None,
        None,
        None,
        None,
        (),
    )


@pytest.mark.parametrize("value", [FULL, sa.make_url(FULL), PostgresUri(FULL), f"  {FULL}\n"])
def test_forms(value: str) -> None:
    assert PostgresUri(value) == PostgresUri(FULL)
    assert hash(PostgresUri(value)) == hash(PostgresUri(FULL))


def test_text_masks_the_password() -> None:
    uri = PostgresUri(FULL + "&password=other&sslpassword=third")
    for text in (str(uri), repr(uri), f"{uri}", uri.render(), f"{uri!r}"):
        assert "s3cret" not in text
        assert "other" not in text
        assert "third" not in text
    assert set(uri.secrets) >= {"other", "third"}
    assert PostgresUri(uri.render(hide_password=False)) == uri
    assert PostgresUri(FULL).render(hide_password=False) == FULL
    assert str(PostgresUri(FULL)) == FULL.replace("s3cret%40", "***")
    assert {"s3cret@", "s3cret%40"} <= set(PostgresUri(FULL).secrets)


def test_immutable() -> None:
    uri = PostgresUri(FULL)
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
        uri.url = None  # type: ignore[misc, assignment]
    assert uri.with_dbname("other").dbname == "other"
    assert uri.with_dbname("other").with_dbname("shop") == uri
    assert uri.dbname == "shop"
    assert uri.with_driver(None).driver is None
    assert pickle.loads(pickle.dumps(uri)) == uri


@pytest.mark.parametrize("prefix", ["postgres://", "POSTGRESQL://", "postgresql://"])
def test_schemes(prefix: str) -> None:
    uri = PostgresUri(f"{prefix}h/shop")
    assert uri.render() == "postgresql://h/shop"


def test_the_old_scheme_keeps_its_driver() -> None:
    assert PostgresUri("postgres+psycopg2://h/x").driver == "psycopg2"


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("postgresql://[::1]:5433/x", (("::1", 5433),)),
        ("postgresql://[fe80::1%25eth0]/x", None),
        ("postgresql:///x?host=/run/pg&port=5433", (("/run/pg", 5433),)),
        ("postgresql://u@:5433/x?host=/run/pg", (("/run/pg", 5433),)),
        ("postgresql://u@%2Frun%2Fpg:5433/x", (("/run/pg", 5433),)),
        ("postgresql:///x?host=a:1&host=b:2", (("a", 1), ("b", 2))),
        ("postgresql:///x?host=a,b&port=1,2", (("a", 1), ("b", 2))),
        ("postgresql:///x?host=a,b&port=7", (("a", 7), ("b", 7))),
        ("postgresql:///x?host=a&host=b&target_session_attrs=read-write", (("a", None), ("b", None))),
        ("postgresql:///x?host=[::1]:7", (("::1", 7),)),
    ],
)
def test_hosts(text: str, hosts: tuple[tuple[str, int | None], ...] | None) -> None:
    uri = PostgresUri(text)
    if hosts is not None:
        assert uri.hosts == hosts
        assert (uri.host, uri.port) == hosts[0]
    assert PostgresUri(uri.render(hide_password=False)) == uri
    assert uri.with_dbname("y").hosts == uri.hosts


def test_spellings_of_libpq() -> None:
    """Left in the query they would win over what stands before it, on every connection."""
    uri = PostgresUri("postgresql://h/?user=me&password=pw&dbname=shop&port=7")
    assert (uri.user, uri.password, uri.dbname, uri.port, uri.query) == ("me", "pw", "shop", 7, {})
    assert uri.with_dbname("other").dbname == "other"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "scheme"),
        ("shop", "scheme"),
        ("mysql://h/x", "scheme"),
        ("postgresqlx://h/x", "scheme"),
        ("postgresql://h", "database"),
        ("postgresql://h/", "database"),
        ("postgresql://h:port/x", "port"),
        ("postgresql://h:0/x", "port"),
        ("postgresql://h:65536/x", "port"),
        ("postgresql:///x?host=a:b", "port"),
        ("postgresql://u:p@x@h/db", "host"),
        ("postgresql://u:p@/x@h/db", "host"),
        ("postgresql:///x?host=u@h", "host"),
        ("postgresql://h h/x", "host"),
        ("postgresql://h/" + "x" * 64, "database"),
        ("postgresql://h/a\0b", "database"),
    ],
)
def test_refused(text: str, part: str) -> None:
    with pytest.raises(UriValidationError) as caught:
        PostgresUri(text)
    assert caught.value.part == part
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("value", [None, 5, b"postgresql://h/x"])
def test_not_text(value: object) -> None:
    with pytest.raises(UriValidationError, match="a URI is text"):
        PostgresUri(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["postgresql://u:s3cret@x@h/db", "postgresql://u:s3cret@h:p/x", "mysql://u:s3cret@h/x"]
)
def test_a_refusal_repeats_no_password(text: str) -> None:
    with pytest.raises(UriValidationError) as caught:
        PostgresUri(text)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_build() -> None:
    uri = PostgresUri.build(
        dbname="a b",
        user="m/e",
        password="p@ss:/",
        host="::1",
        port=7,
        driver="psycopg",
        query={"sslmode": "prefer"},
    )
    assert (uri.dbname, uri.user, uri.password, uri.host, uri.port) == ("a b", "m/e", "p@ss:/", "::1", 7)
    assert PostgresUri.build(dbname="x", host="/run/pg", port=7).hosts == (("/run/pg", 7),)
    with pytest.raises(UriValidationError):
        PostgresUri.build(dbname="")


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
    lambda text: len(text.encode()) <= 63
)


@given(dbname=NAMES, user=NAMES, password=NAMES)
def test_any_name_through_build(dbname: str, user: str, password: str) -> None:
    uri = PostgresUri.build(dbname=dbname, user=user, password=password, host="h")
    assert (uri.dbname, uri.user, uri.password) == (dbname, user, password)
    assert uri.with_dbname("other").with_dbname(dbname) == uri


def test_one_uri_is_read_as_sqlalchemy_reads_it() -> None:
    """2.1 decodes the database's name, 2.0 does not: the app and this tool must mean the same database."""
    text = "postgresql://h/a%20b"
    assert PostgresUri(text).dbname == sa.make_url(text).database
