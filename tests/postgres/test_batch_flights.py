"""The batch is one flight, whatever is in it."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa

from flask_postgres import PostgresUri
from flask_postgres.postgres.batch import create_tables

from ..servers import Server
from .batch_cases.flights import FlightCounter
from .batch_cases.metadata import everything, small


@pytest.fixture
def flights(server: Server) -> t.Iterator[FlightCounter]:
    with FlightCounter(server.host, server.port) as counter:
        yield counter


@pytest.fixture(params=["psycopg2", "psycopg"])
def engine(
    request: pytest.FixtureRequest, server: Server, database: PostgresUri, flights: FlightCounter
) -> t.Iterator[sa.Engine]:
    """Return an engine whose connections go through the counter, and that has one open."""
    engine = sa.create_engine(server.uri(database.dbname, driver=request.param, port=flights.port).url)
    engine.connect().close()
    yield engine
    engine.dispose()


@pytest.mark.parametrize("count", [1, 300])
def test_question_and_batch(engine: sa.Engine, flights: FlightCounter, count: int) -> None:
    with flights.counted() as flown:
        report = create_tables(engine, small(count))
    assert len(report.tables or ()) == count
    assert flown == [2]


def test_the_batch_is_one_message(engine: sa.Engine, flights: FlightCounter) -> None:
    create_tables(engine, small(3))
    batch = flights.sent[-1]
    assert batch[:1] == b"Q"
    assert int.from_bytes(batch[1:5], "big") == len(batch) - 1
    assert batch.count(b"CREATE TABLE") == 3


def test_everything(engine: sa.Engine, flights: FlightCounter) -> None:
    with flights.counted() as flown:
        assert create_tables(engine, everything()).fallback is None
    assert flown == [2]


def test_nothing_missing_is_one_question(engine: sa.Engine, flights: FlightCounter) -> None:
    create_tables(engine, small(5))
    with flights.counted() as flown:
        assert create_tables(engine, small(5)).statements == 0
    assert flown == [1]


def test_a_transaction_of_the_callers_costs_its_own_flights(
    engine: sa.Engine, flights: FlightCounter
) -> None:
    with flights.counted() as flown, engine.begin() as connection:
        create_tables(connection, small(50))
    # BEGIN, question, SAVEPOINT, batch, RELEASE, COMMIT
    assert flown[0] <= 6
