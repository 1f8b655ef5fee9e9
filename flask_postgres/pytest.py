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
RUN: pytest.StashKey[Run] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Set the guard up before any other fixture of the run, and the databases before those of a test."""
    closures: list[list[str]] = [getattr(item, "fixturenames", []) for item in session.items]
    if not any("postgres_db" in names for names in closures):
        return
    for names in closures:
        first = (GUARD, "postgres_db") if "postgres_db" in names else (GUARD,)
        names[:] = [*first, *(name for name in names if name not in first)]


@pytest.hookimpl(hookwrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[t.Any], request: pytest.FixtureRequest
) -> t.Generator[None, t.Any, None]:
    """Guard the fixture ``app`` of tests that do not take ``postgres_db``, too."""
    run = request.session.stash.get(RUN, None)
    if run is None or fixturedef.argname != "app":
        yield
        return
    with run.guard.of_the_app_fixture():
        outcome = yield
    if outcome.excinfo is None:
        run.refuse(outcome.get_result())


@pytest.fixture(scope="session")
def _postgres_run(request: pytest.FixtureRequest) -> t.Iterator[Run]:
    if sys.platform == "win32":
        pytest.fail("postgres_db needs Linux or macOS", pytrace=False)
    from .testing.run import running

    with running(str(request.config.rootpath)) as run:
        request.session.stash[RUN] = run
        try:
            yield run
        finally:
            del request.session.stash[RUN]


@pytest.fixture
def postgres_db(request: pytest.FixtureRequest, _postgres_run: Run) -> t.Iterator[t.Any]:
    """The app's extension (``db``), in an app context, on a database of tests.

    The app is that of the fixture ``app``, or else the one that the ``flask`` command would load.
    """
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
