"""Which driver the URI names, and which drivers are installed."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import make_url

from ..cli.looking import error, full, oid, said, tables
from ..project import Project, Result
from ..servers import Server
from .apps import LEGACY, LITE_ASYNC

DEFAULT = make_url("postgresql://").get_dialect().driver
OTHER = {"psycopg": "psycopg2", "psycopg2": "psycopg"}[DEFAULT]
PACKAGES = {"psycopg2": "psycopg2-binary", "psycopg": "'psycopg[binary]'"}

# Python runs this at its start: these modules are then as if they were not installed.
NOT_INSTALLED = """
    import sys
    from importlib.machinery import PathFinder

    class Without(PathFinder):
        @classmethod
        def find_spec(cls, fullname, path=None, target=None):
            if fullname.partition(".")[0] in {names!r}:
                return None
            return super().find_spec(fullname, path, target)

    sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
"""


class Bare:
    """A project in whose Python some drivers are not installed."""

    def __init__(self, project: Project, *missing: str) -> None:
        self.project = project.write({"sitecustomize.py": NOT_INSTALLED.format(names=missing)})
        paths = [str(project.folder), project.env["PYTHONPATH"]]
        self.env = {"PYTHONPATH": os.pathsep.join(paths)}

    def psql(self, *arguments: str) -> Result:
        return self.project.psql(*arguments, env=self.env)


@pytest.mark.parametrize("installed", ["psycopg", "psycopg2"])
def test_one_driver_is_enough(project: Project, server: Server, dbname: str, installed: str) -> None:
    bare = Bare(project, OTHER if installed == DEFAULT else DEFAULT)
    project.write({"app.py": LEGACY.format(uri=full(server.uri(dbname, installed)))})
    assert bare.psql("setup").code == 0
    assert tables(server, dbname) == {"pet"}
    assert bare.psql("drop", "--force").code == 0


def test_the_uri_names_the_one_that_is_missing(project: Project, server: Server, dbname: str) -> None:
    """The app itself cannot work so; what does not need the app uses the other one."""
    for driver, missing in ((None, DEFAULT), (OTHER, OTHER)):
        bare = Bare(project, missing)
        uri = full(server.uri(dbname, driver))
        project.write({"app.py": LEGACY.format(uri=uri)})
        why = f"the app could not be loaded: ModuleNotFoundError: No module named '{missing}'"
        message = error(bare.psql("setup"))
        assert message.startswith(why)
        assert message.endswith(f"(app.py:7). Run: pip install {PACKAGES[missing]}")
    assert said(bare.psql("create", "--uri", uri))[-1] == f'database "{dbname}" was created'


@pytest.mark.parametrize("driver", [None, OTHER])
def test_neither_is_installed(project: Project, server: Server, dbname: str, driver: str | None) -> None:
    bare = Bare(project, "psycopg", "psycopg2")
    uri = full(server.uri(dbname, driver))
    project.write({"app.py": "from flask import Flask\napp = Flask(__name__)\n"})
    for command in ("create", "status"):
        message = error(bare.psql(command, "--uri", uri))
        assert message == "neither psycopg2 nor psycopg is installed. Run: pip install 'psycopg[binary]'"


@pytest.mark.parametrize("driver", ["pg8000", "asyncpg"])
def test_only_a_driver_that_does_not_administer(
    project: Project, server: Server, dbname: str, driver: str
) -> None:
    bare = Bare(project, "psycopg", "psycopg2")
    text = LITE_ASYNC if driver == "asyncpg" else LEGACY
    project.write({"app.py": text.format(uri=full(server.uri(dbname, driver)))})
    message = error(bare.psql("setup"))
    assert message == "neither psycopg2 nor psycopg is installed. Run: pip install 'psycopg[binary]'"
    assert oid(server, dbname) is None


def test_a_foreign_driver_keeps_its_encryption(project: Project, server: Server, dbname: str) -> None:
    """The server has no TLS: to go on without it would send the password in the clear."""
    uri = full(server.uri(dbname, "asyncpg")) + "?ssl=require&prepared_statement_cache_size=0"
    project.write({"app.py": LITE_ASYNC.format(uri=uri)})
    result = project.here("create", "--verbose")
    assert result.code == 1
    assert "SSL" in result.err
    assert oid(server, dbname) is None
    project.write({"app.py": LITE_ASYNC.format(uri=uri.replace("require", "prefer"))})
    result = project.here("setup")
    assert result.code == 0, str(result)
    assert tables(server, dbname) == {"pet"}
