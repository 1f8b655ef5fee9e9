"""Fixtures that every test may use: a real server, an empty database, a project of files."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import typing as t

import hypothesis
import pytest

from flask_postgres import PostgresUri

from .project import Project, clean_environment
from .servers import PASSWORD, RUN_FOLDER, ProductServer, Server, memory_disk, server_folder
from .warm import Warm

_numbers = itertools.count()

# No database: the folder of the tests may not be writable. No deadline: the machine may be busy.
# The same examples in every run, so that one commit passes or fails; --hypothesis-profile=explore has others.
hypothesis.settings.register_profile("explore", database=None, deadline=None)
hypothesis.settings.register_profile("same", hypothesis.settings.get_profile("explore"), derandomize=True)
hypothesis.settings.load_profile("same")


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that the processes of this run share.

    And take SIGINT and SIGHUP as a terminal sends them: a shell that runs the tests in the background, or
    nohup, ignores one of them, and every command that they start would inherit that.
    """
    # An app that a test writes twice within a second, at the same length, must not come from a cache.
    sys.dont_write_bytecode = True
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="fp-tests-", dir=memory_disk())
        os.environ[RUN_FOLDER] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.fixture(scope="session")
def server() -> t.Iterator[Server]:
    """Return a running server of this test process alone."""
    with server_folder() as folder:
        server = ProductServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(params=["psycopg2", "psycopg"])
def driver(request: pytest.FixtureRequest) -> str:
    """Return each driver in turn, where users would notice a difference."""
    return str(request.param)


@pytest.fixture(scope="session")
def plain_role(server: Server) -> str:
    """Return a role that can log in with the usual password, and nothing else."""
    server.execute(f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'")
    return "plain"


@pytest.fixture
def dbname(server: Server) -> t.Iterator[str]:
    """Return a name that no database has; what the test leaves under it, or under ours, is dropped."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    yield name
    _drop_all(server, name)


@pytest.fixture
def database(server: Server, dbname: str) -> PostgresUri:
    """Return a fresh, empty database that the role owns."""
    server.execute(f'CREATE DATABASE "{dbname}" OWNER app_dev')
    return server.uri(dbname)


@pytest.fixture(scope="session")
def warm() -> t.Iterator[Warm | None]:
    """Return what runs ``flask`` without starting an interpreter; None where a process cannot fork."""
    if not hasattr(os, "fork"):
        yield None
        return
    warm = Warm(clean_environment())
    yield warm
    warm.stop()


@pytest.fixture
def project(tmp_path: pathlib.Path, warm: Warm | None) -> Project:
    """Return an empty project, in which ``flask`` can be run."""
    (tmp_path / ".git").mkdir()  # settings are not looked for above
    return Project(tmp_path, clean_environment(), warm=warm)


def _drop_all(server: Server, dbname: str) -> None:
    import psycopg
    from psycopg import sql

    for name in server.names():
        if dbname in name:
            allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name))
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            with contextlib.suppress(psycopg.Error):  # an invalid one allows nothing but the drop
                server.execute(allow)
            server.execute(drop)
