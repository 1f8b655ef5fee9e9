"""The checks before the first step: every reason, each with its remedy."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from flask_postgres.errors import DatabaseProtected, FlaskPostgresError, PermissionDenied, PreflightFailed
from flask_postgres.plans import preflight
from flask_postgres.postgres.capabilities import Capabilities
from flask_postgres.postgres.facts import Database, Facts, OtherSession, Role
from flask_postgres.postgres.marks import Mark, State

FACTS = Facts(role=Role(name="me"), admin_dbname="postgres")
SHOP = Database(name="shop", owner="me")
TEMPLATE = Database(name="tpl", is_template=True)


def session(pid: int, **more: t.Any) -> OtherSession:
    return OtherSession(**{"pid": pid, "user": "ann", "application": "psql", "address": "10.0.0.9", **more})


def texts(faults: t.Iterable[FlaskPostgresError]) -> list[str]:
    return [str(fault) for fault in faults]


def test_nothing_against_it() -> None:
    assert texts(preflight.server(FACTS)) == []
    assert texts(preflight.creating(FACTS, {})) == []
    assert texts(preflight.taking_away(SHOP, FACTS)) == []
    assert texts(preflight.open_sessions(SHOP)) == []
    assert texts(preflight.ending_sessions(SHOP, FACTS)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"can": Capabilities(version=120017)},
            "the server is PostgreSQL 12.17; 13 is the oldest that works.",
        ),
        ({"standby": True}, "?target_session_attrs=read-write"),
    ],
)
def test_the_server(change: dict[str, t.Any], message: str) -> None:
    (text,) = texts(preflight.server(dataclasses.replace(FACTS, **change)))
    assert message in text


@pytest.mark.parametrize(
    ("change", "clauses", "message"),
    [
        ({"role": Role(name="Me", createdb=False)}, {}, 'As a superuser, run: ALTER ROLE "Me" CREATEDB'),
        ({"missing_roles": ("no one",)}, {}, 'the owner "no one" does not exist. Run: CREATE ROLE "no one"'),
        ({"unusable_roles": ("boss",)}, {}, "As a superuser, run: GRANT boss TO me"),
        ({"missing_tablespaces": ("fast",)}, {}, 'the tablespace "fast" does not exist.'),
        ({"template_name": "tpl"}, {}, 'the template database "tpl" does not exist. Check --template.'),
        (
            {"template": dataclasses.replace(TEMPLATE, is_template=False, owned=False)},
            {},
            'the role "me" may not copy "tpl".',
        ),
        (
            {"template": dataclasses.replace(TEMPLATE, sessions=(session(3),))},
            {},
            'has open sessions: pid 3 "psql" as ann from 10.0.0.9. Close them, or use --template template0',
        ),
        ({"template": TEMPLATE}, {"encoding": "LATIN1"}, 'the encoding LATIN1 is not that of "tpl", UTF8.'),
        (
            {"can": Capabilities(templates=False, product="X"), "template_name": "t"},
            {},
            "X cannot copy a template.",
        ),
    ],
)
def test_creating(change: dict[str, t.Any], clauses: dict[str, str], message: str) -> None:
    (text,) = texts(preflight.creating(dataclasses.replace(FACTS, **change), clauses))
    assert message in text


@pytest.mark.parametrize("encoding", ["UTF8", "utf-8", "Unicode", "UTF_8"])
def test_spellings_of_an_encoding(encoding: str) -> None:
    known = dataclasses.replace(FACTS, template=TEMPLATE)
    assert texts(preflight.creating(known, {"encoding": encoding})) == []
    zero = dataclasses.replace(FACTS, template=dataclasses.replace(TEMPLATE, name="template0"))
    assert texts(preflight.creating(zero, {"encoding": "LATIN1"})) == []


def test_assumptions_are_not_checked() -> None:
    known = dataclasses.replace(FACTS, assumed="no server", template_name="tpl")
    assert texts(preflight.creating(known, {})) == []


def test_extensions() -> None:
    known = dataclasses.replace(
        FACTS, missing_extensions=("citextt", "zzz"), available_extensions=("citext",)
    )
    assert texts(preflight.extensions(known)) == [
        'the extension "citextt" is not available on the server. Did you mean "citext"?',
        'the extension "zzz" is not available on the server. Install its package on the server.',
    ]
    (text,) = texts(
        preflight.extensions(
            dataclasses.replace(FACTS, missing_extensions=("pgcrypto",), cluster_name="flask-postgres-1-ab")
        )
    )
    assert "without pgcrypto and uuid-ossp (gen_random_uuid() is built in)" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mark": Mark(State.PROTECTED)}, "nothing here drops it, whatever the flags. Lift that first:"),
        ({"owned": False, "owner": "Boss"}, 'As a superuser, run: GRANT "Boss" TO me'),
        ({"is_template": True}, "Run: ALTER DATABASE shop IS_TEMPLATE false"),
        (
            {"prepared": 2},
            "has 2 prepared transactions. Look at pg_prepared_xacts, and in the database COMMIT",
        ),
        ({"subscriptions": 1}, "has 1 subscriptions. In it, run DROP SUBSCRIPTION"),
        ({"slots": ("s",)}, "Run: SELECT pg_drop_replication_slot('s')"),
    ],
)
def test_taking_away(change: dict[str, t.Any], message: str) -> None:
    (text,) = texts(preflight.taking_away(dataclasses.replace(SHOP, **change), FACTS))
    assert message in text


@pytest.mark.parametrize("name", ["postgres", "template0", "template1", "admin"])
def test_never_dropped(name: str) -> None:
    """One reason alone: the remedies for the others, such as GRANT, would only lead astray."""
    known = dataclasses.replace(FACTS, admin_dbname="admin")
    database = Database(name=name, owned=False, is_template=True)
    (text,) = texts(preflight.taking_away(database, known))
    assert "never drops" in text


def test_sessions_are_named() -> None:
    many = tuple(session(pid) for pid in range(1, 8))
    (text,) = texts(preflight.open_sessions(dataclasses.replace(SHOP, sessions=many)))
    assert text.startswith('database "shop" has 7 open sessions: pid 1 "psql" as ann from 10.0.0.9; pid 2')
    assert "; and 2 more. Close them, or end them with --force-disconnect." in text
    lone = session(1, user=None, application="", address=None)
    (text,) = texts(preflight.open_sessions(dataclasses.replace(SHOP, sessions=(lone,))))
    assert "1 open session: pid 1 as an unknown user." in text
    assert texts(preflight.open_sessions(dataclasses.replace(SHOP, sessions=(session(1, citus=True),)))) == []


def test_sessions_that_may_not_be_ended() -> None:
    busy = dataclasses.replace(
        SHOP, sessions=(session(1), session(2, endable=False), session(3, endable=False))
    )
    (text,) = texts(preflight.ending_sessions(busy, FACTS))
    assert text.startswith('the role "me" may not end the sessions of "ann" on "shop".')


def test_raise_all() -> None:
    preflight.raise_all([])
    one = preflight.protected("shop")
    with pytest.raises(DatabaseProtected):
        preflight.raise_all([one, preflight.protected("shop")])  # the same reason twice is one
    other = PermissionDenied("not yours.")
    with pytest.raises(PreflightFailed) as caught:
        preflight.raise_all([one, other])
    assert caught.value.reasons == (one, other)
