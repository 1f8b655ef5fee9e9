"""A server that may be stopped, and processes that start fast."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from flask_postgres import PostgresUri

from ..servers import Server, server_folder
from .cells import cells, cells_of_two
from .nursery import Nursery
from .world import World


def pytest_report_header() -> str:
    return f"kill matrix: {len(cells())} cells, and {len(cells_of_two())} of two databases at once"


@pytest.fixture(scope="session")
def cluster() -> t.Iterator[Server]:
    """Return a server of these tests alone, for they stop it."""
    with server_folder("fp-faults-") as folder:
        server = Server(folder)
        server.initdb()
        server.start(autovacuum="off", max_prepared_transactions="5")
        try:
            server.make_role()
            yield server
        finally:
            server.stop("immediate")


@pytest.fixture(scope="session")
def nursery() -> t.Iterator[Nursery]:
    """Return the mother of all commands."""
    nursery = Nursery()
    yield nursery
    nursery.stop()


@pytest.fixture
def world(cluster: Server, nursery: Nursery, dbname: str, tmp_path: pathlib.Path) -> World:
    """Return one target on that server, its app, and ways to look at it."""
    (tmp_path / ".git").mkdir()
    return World(cluster, nursery, dbname, tmp_path)


@pytest.fixture
def dbname(cluster: Server) -> t.Iterator[str]:
    """Return a name that no database of the cluster has; what is left of it goes."""
    from ..conftest import _drop_all, _numbers

    name = f"fault_{next(_numbers)}"
    yield name
    _drop_all(cluster, name)


@pytest.fixture
def uri(world: World) -> PostgresUri:
    return world.uri
