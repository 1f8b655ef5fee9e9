"""Apps made by a factory in a package, and apps that are hard to load."""

from __future__ import annotations

import pytest

from ..cli.looking import KEPT, error, full, oid, pets, said, tables
from ..project import Project
from ..servers import Server
from .apps import LEGACY, LITE

MODELS = """
    from flask_sqlalchemy import SQLAlchemy

    db = SQLAlchemy()

    class Pet(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.Text)
"""

SEED = """
    from flask_postgres import init_db_callback
    from .models import Pet, db

    @init_db_callback
    def fill(app):
        db.create_all()
        db.session.add(Pet(name=app.config["OWNER"]))
        db.session.commit()
"""

FACTORY = """
    from flask import Flask

    def create_app(owner="nobody", *, suffix=""):
        from . import seed
        from .models import db

        app = Flask(__name__)
        app.config["OWNER"] = owner
        app.config["SQLALCHEMY_DATABASE_URI"] = {uri!r} + suffix
        db.init_app(app)
        return app
"""


@pytest.fixture
def shop(project: Project, server: Server, dbname: str) -> Project:
    uri = full(server.uri(dbname))
    return project.write(
        {"shop/__init__.py": FACTORY.format(uri=uri), "shop/models.py": MODELS, "shop/seed.py": SEED}
    )


def test_a_factory_as_the_flask_command_finds_it(shop: Project, server: Server, dbname: str) -> None:
    result = shop.run("--app", "shop:create_app", "psql", "setup")
    assert result.code == 0, str(result)
    assert pets(server, dbname) == ["nobody"]


@pytest.mark.parametrize(
    ("path", "suffix", "owner"),
    [
        ("shop", "", "nobody"),
        ("shop:create_app()", "", "nobody"),
        ("shop:create_app('demo')", "", "demo"),
        ("shop:create_app('demo', suffix='_test')", "_test", "demo"),
    ],
)
def test_a_factory_with_arguments(
    shop: Project, server: Server, dbname: str, path: str, suffix: str, owner: str
) -> None:
    assert shop.here("setup", app=path).code == 0
    assert pets(server, dbname + suffix) == [owner]
    other = f"{dbname}_other"
    assert shop.here("reset", "--uri", full(server.uri(other)), app=path).code == 0
    assert pets(server, other) == [owner]


CONNECTS = {
    "Flask-SQLAlchemy": LEGACY + "\n    with app.app_context():\n        db.create_all()\n",
    "Lite": LITE + "\n    with app.app_context():\n        Base.metadata.create_all(db.engine)\n",
}


@pytest.mark.parametrize(("kind", "command"), [("Flask-SQLAlchemy", "create"), ("Lite", "setup")])
def test_an_app_that_connects_while_it_is_imported(
    project: Project, server: Server, dbname: str, kind: str, command: str
) -> None:
    project.write({"app.py": CONNECTS[kind].format(uri=full(server.uri(dbname)))})
    line = len(CONNECTS[kind].splitlines())
    message = error(project.here("init"))
    assert message.startswith("the app connects to its database while it is imported, and that failed")
    assert f"(app.py:{line})" in message
    result = project.here("status")
    assert result.code == 0, str(result)
    assert "the app's config may be incomplete: the app connects to its database" in result.err
    assert f'no: database "{dbname}" does not exist' in result.out
    assert oid(server, dbname) is None
    result = project.psql(command)
    assert result.code == 0, str(result)
    assert said(result)[1] == f'database "{dbname}" was created'
    assert tables(server, dbname) == ({"pet"} if command == "setup" else set())
    for other in (["setup"], ["reset", "--force"], ["status", "--exit-code"], ["drop", "--force"]):
        result = project.psql(*other)
        assert result.code == 0, str(result)
    assert oid(server, dbname) is None


def test_an_app_that_cannot_be_imported(project: Project, server: Server, dbname: str) -> None:
    """What can be done without the app is done, and that is said; the rest refuses in one line."""
    project.write({"app.py": "import os\n\nimport no_such_module\n"})
    why = "the app could not be loaded: ModuleNotFoundError: No module named 'no_such_module' (app.py:3)"
    uri = ["--uri", full(server.uri(dbname))]
    not_read = f"the app's config was not read: {why}"
    assert said(project.here("wait", *uri))[0] == not_read
    shown = project.here("config", *uri)
    assert shown.err.splitlines() == [not_read]
    assert f"/{dbname}" in shown.out
    assert said(project.here("create", *uri)) == [not_read, f'database "{dbname}" was created']
    for command in ("init", "setup", "reset"):
        assert error(project.here(command, *uri)) == why
    assert "flask psql drop is not allowed" in error(project.here("drop", "--force", *uri))
    dropped = project.here("drop", "--force", "--no-app", *uri)
    assert said(dropped)[-2] == f'database "{dbname}" was deleted'
    assert error(project.here("create", "--all-binds")) == why


def test_an_app_without_an_extension(project: Project, server: Server, dbname: str) -> None:
    config = f'app.config["FLASK_POSTGRES_TARGET_DATABASE_URI"] = {full(server.uri(dbname))!r}'
    project.write({"app.py": f"from flask import Flask\napp = Flask(__name__)\n{config}\n"})
    assert said(project.here("create")) == [f'database "{dbname}" was created']
    assert error(project.fresh("psql", "init")) == (
        'the app "app" has no Flask-SQLAlchemy instance (its extensions: none). '
        "Install Flask-SQLAlchemy or Flask-SQLAlchemy-Lite and set it up."
    )
    assert project.here("status", "--exit-code").code == 0
    assert said(project.here("drop", "--force")) == [f'database "{dbname}" was deleted', KEPT]
