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


@pytest.mark.parametrize(
    "query", ["??password=p%40w", "?sslmode=require?password=p%40w", "?a=1&b?password=p@w"]
)
def test_text_masks_a_password_behind_a_second_question_mark(query: str) -> None:
    uri = PostgresUri(f"postgresql://localhost/x{query}")
    assert "p%40w" not in str(uri)
    assert "p@w" not in str(uri)
    assert "p@w" in uri.secrets


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
    assert PostgresUri(FULL).secrets == ("s3cret@",)


@pytest.mark.parametrize(
    "key",
    ["Password", "PASSWORD", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"],
)
def test_every_secret_parameter_of_libpq_is_masked_in_any_case(key: str) -> None:
    uri = PostgresUri(f"postgresql://localhost/x?application_name=a&{key}=s3cret%2F")
    assert "s3cret" not in str(uri)
    assert f"{key}=***" in str(uri)
    assert uri.secrets == ("s3cret/",)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("postgresql://<user>:<password>@localhost/mydb", "user"),
        ("postgresql://me:<password>@localhost/mydb", "password"),
        ("postgresql://me:<your password>@localhost/mydb", "password"),
        ("postgresql://me@<host>/mydb", "host"),
        ("postgresql://me@localhost/<dbname>", "database"),
    ],
)
def test_placeholder_that_was_left_is_refused(text: str, part: str) -> None:
    with pytest.raises(UriValidationError, match=f"the {part} is a placeholder") as caught:
        PostgresUri(text)
    assert caught.value.part == part


def test_angle_brackets_of_a_real_password_are_taken() -> None:
    assert PostgresUri("postgresql://me:%3Cpassword%3E@localhost/x").password == "<password>"
    assert PostgresUri("postgresql://me:a<b>c@localhost/x").password == "a<b>c"


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
        ("postgresql:///x?host=[::1]:7&host=h:8", (("::1", 7), ("h", 8))),
        ("postgresql:///x?host=::1&host=h", (("::1", None), ("h", None))),
        ("postgresql:///x?host=a:1,b:2", (("a", 1), ("b", 2))),
        ("postgresql:///x?host=a:1&host=b&port=2", (("a", 1), ("b", 2))),
        ("postgresql:///x?host=a,b&port=1,", (("a", 1), ("b", None))),
        ("postgresql://a,b:7/x", (("a", 7), ("b", 7))),
        ("postgresql:///x?host=a&port=00007", (("a", 7),)),
    ],
)
def test_hosts(text: str, hosts: tuple[tuple[str, int | None], ...] | None) -> None:
    uri = PostgresUri(text)
    if hosts is not None:
        assert uri.hosts == hosts
        assert (uri.host, uri.port) == hosts[0]
    assert PostgresUri(uri.render(hide_password=False)) == uri
    assert uri.with_dbname("y").hosts == uri.hosts


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
@pytest.mark.parametrize(
    "hosts",
    [
        "a,b&port=7",
        "a:1,b:2",
        "a:1&host=b:2",
        "a:1&host=b&port=2",
        "[::1]:7",
        "[::1]:7&host=h:8",
        "::1&host=h",
    ],
)
def test_sqlalchemy_reads_the_hosts_as_this_class_does(hosts: str, driver: str) -> None:
    """Its own reading of these ends in an error, or in a host that does not exist."""
    uri = PostgresUri(f"postgresql+{driver}:///x?host={hosts}")
    _, arguments = sa.create_engine(uri.url).dialect.create_connect_args(uri.url)
    names, ports = str(arguments["host"]).split(","), str(arguments.get("port", "")).split(",")
    ports += [""] * (len(names) - len(ports))
    assert [(name, port or None) for name, port in zip(names, ports, strict=True)] == [
        (name, str(port) if port else None) for name, port in uri.hosts
    ]


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
        ("postgresql://h/a\udcff", "database"),
        ("postgresql://u\0:p@h/x", "user"),
        ("postgresql://u\udcff:p@h/x", "user"),
        ("postgresql://u:p%00@h/x", "password"),
        ("postgresql://u:p\udcff@h/x", "password"),
        ("postgresql://h\udcff/x", "host"),
        ("postgresql://h/x?options=%00", "query"),
        ("postgresql://h/x?k\udcff=v", "query"),
        ("postgresql://h/x?k=v&k=\udcff", "query"),
        ("postgresql://h..example/x", "host"),
        ("postgresql://" + "h" * 64 + "/x", "host"),
        ("postgresql:///x?host=a,,b", "host"),
        ("postgresql:///x?host=a,b&port=1,2,3", "port"),
        ("postgresql:///x?host=a&port=123456", "port"),
        pytest.param("postgresql:///x?host=a&port=" + "9" * 5000, "port", id="port in the query"),
        pytest.param("postgresql:///x?host=a:" + "9" * 5000, "port", id="port of a host"),
        pytest.param("postgresql://a:" + "9" * 5000 + "/x", "port", id="port"),
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


def test_several_hosts_in_the_wrong_place() -> None:
    with pytest.raises(UriValidationError, match="Write several hosts as postgresql:///mydb"):
        PostgresUri("postgresql://u:s3cret@a:1,b:2/x")


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


ANY = st.text(st.characters() | st.sampled_from("/@:?&=,%[]#+ \t\0\udcff"))


@given(
    rest=ANY | st.tuples(ANY, ANY, ANY, ANY).map("{0[0]}:s3cret{0[1]}@{0[2]}/x?host={0[3]}".format),
    scheme=st.sampled_from(["postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg", "sqlite"]),
)
def test_any_text_is_a_uri_or_an_error_that_names_the_part(scheme: str, rest: str) -> None:
    uri = read(f"{scheme}://{rest}")
    if isinstance(uri, UriValidationError):
        assert uri.part in ("scheme", "user", "password", "host", "port", "database", "query")
        assert "s3cret" not in str(uri)
        return
    assert PostgresUri(uri.render(hide_password=False)) == uri
    assert uri.with_dbname("other").hosts == uri.hosts
    assert "s3cret" not in (uri.password or "") or "s3cret" not in f"{uri} {uri!r}"


def read(text: str) -> PostgresUri | UriValidationError:
    try:
        return PostgresUri(text)
    except UriValidationError as error:
        return error


@given(dbname=NAMES, user=NAMES, password=NAMES)
def test_any_name_through_build(dbname: str, user: str, password: str) -> None:
    uri = PostgresUri.build(dbname=dbname, user=user, password=password, host="h")
    assert (uri.dbname, uri.user, uri.password) == (dbname, user, password)
    assert uri.with_dbname("other").with_dbname(dbname) == uri


def test_one_uri_is_read_as_sqlalchemy_reads_it() -> None:
    """2.1 decodes the database's name, 2.0 does not: the app and this tool must mean the same database."""
    text = "postgresql://h/a%20b"
    assert PostgresUri(text).dbname == sa.make_url(text).database
