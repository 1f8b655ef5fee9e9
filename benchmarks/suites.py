"""One test suite, and four ways to give each of its tests a database."""

from __future__ import annotations

import pathlib
import textwrap

from . import apps

_TESTS = """
    import os

    import pytest
    from app import db


    @pytest.mark.parametrize("number", range(int(os.environ["TESTS"])))
    def test_one_row(database, number):
        pet = database.Model.metadata.tables["pet_0"]
        assert database.session.execute(pet.select()).all() == []
        database.session.execute(pet.insert().values(name=str(number)))
        database.session.commit()
        assert len(database.session.execute(pet.select()).all()) == 1
"""

_OURS = """
    import pytest


    @pytest.fixture
    def database(postgres_db):
        return postgres_db
"""

_DROP_ALL = """
    import pytest
    from app import app, db


    @pytest.fixture
    def database():
        with app.app_context():
            db.create_all()
            yield db
            db.session.remove()
            db.drop_all()
"""

_TRUNCATE = """
    import pytest
    import sqlalchemy as sa
    from app import app, db


    @pytest.fixture(scope="session")
    def tables():
        with app.app_context():
            db.create_all()
            yield ", ".join(db.metadata.tables)
            db.drop_all()


    @pytest.fixture
    def database(tables):
        with app.app_context():
            yield db
            db.session.remove()
            with db.engine.begin() as connection:
                connection.execute(sa.text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
"""

_PYTEST_POSTGRESQL = """
    import os

    import pytest
    import sqlalchemy as sa
    from app import app, db
    from pytest_postgresql import factories

    at = sa.make_url(os.environ["DATABASE_URL"])


    def load(**parameters):
        engine = sa.create_engine(at.set(database=parameters["dbname"]))
        db.metadata.create_all(engine)
        engine.dispose()


    server = factories.postgresql_noproc(
        host=at.host, port=at.port, user=at.username, password=at.password, load=[load]
    )
    connection = factories.postgresql("server")


    @pytest.fixture
    def database(connection):
        with app.app_context():
            engine = sa.create_engine(at.set(database=connection.info.dbname))
            db.engines[None] = engine
            yield db
            db.session.remove()
            engine.dispose()
"""

WAYS = {
    "ours": _OURS,
    "create_all/drop_all": _DROP_ALL,
    "TRUNCATE": _TRUNCATE,
    "pytest-postgresql": _PYTEST_POSTGRESQL,
}
"""The fixture of each way, by its name in the table."""


def write(folder: pathlib.Path, way: str) -> pathlib.Path:
    """Write the app and its tests, and return their folder."""
    if not folder.exists():
        apps.app_of_tables(folder.parent, folder.name)
        (folder / "conftest.py").write_text(textwrap.dedent(WAYS[way]))
        (folder / "test_pets.py").write_text(textwrap.dedent(_TESTS))
    return folder
