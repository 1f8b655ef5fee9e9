"""The pytest plugin: the fixture ``postgres_db``, a database for each test.

pytest loads this module in every run, so it imports nothing else; the rest loads with the first fixture.
"""

from __future__ import annotations

import sys
import typing as t

import pytest

if t.TYPE_CHECKING:
    from .testing.run import Run

MARKER = (
    'postgres(isolation="rollback"): what postgres_db gives to the test: with "rollback", a database that is '
    'rolled back after it; with "copy", a fresh copy.'
)
GUARD = "_postgres_run"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set the guard and the databases up before any other fixture, such as one that makes tables."""
    for item in items:
        names: list[str] = getattr(item, "fixturenames", [])
        if "postgres_db" in names:
            first = (GUARD, "postgres_db")
            names[:] = [*first, *(name for name in names if name not in first)]


def pytest_runtest_logstart(nodeid: str) -> None:
    _name(nodeid)


def _name(nodeid: str) -> None:
    """Tell the guard, once there is one, which test runs."""
    guard = sys.modules.get("flask_postgres.testing.guard")
    if guard is not None:
        vars(guard)["current_test"] = nodeid


@pytest.fixture(scope="session")
def _postgres_run(request: pytest.FixtureRequest) -> t.Iterator[Run]:
    if sys.platform == "win32":
        pytest.fail("postgres_db needs Linux or macOS", pytrace=False)
    from .testing.run import running

    with running(str(request.config.rootpath)) as run:
        yield run


@pytest.fixture
def postgres_db(request: pytest.FixtureRequest, _postgres_run: Run) -> t.Iterator[t.Any]:
    """The app's extension (``db``), in an app context, on a database of tests.

    The app is that of the fixture ``app``, or else the one that the ``flask`` command would load.
    """
    _name(request.node.nodeid)
    marker = request.node.get_closest_marker("postgres")
    isolation = marker.kwargs.get("isolation", "rollback") if marker is not None else "rollback"
    with _postgres_run.database(_app(request, _postgres_run), isolation=isolation) as db:
        yield db


def _app(request: pytest.FixtureRequest, run: Run) -> t.Any:
    with run.guard.of_the_app_fixture():
        try:
            return request.getfixturevalue("app")
        except pytest.FixtureLookupError as error:
            if error.argname != "app":
                raise
            return run.load_app()
