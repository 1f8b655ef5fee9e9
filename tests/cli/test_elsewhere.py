"""Unix sockets and IPv6: a server of its own, for the others listen on 127.0.0.1 alone."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from flask_postgres import database_exists, drop_db

from ..project import Project
from ..servers import PASSWORD, ROLE, Server, server_folder
from .looking import error, said

USER = "app_dev:c%40n%2Fary%3Apw"


@pytest.fixture(scope="module")
def elsewhere() -> t.Iterator[Server]:
    """Return a server that listens on ::1 and in a folder."""
    with server_folder("fp-") as folder:
        server = Server(folder)
        server.initdb()
        server.start(listen_addresses="127.0.0.1,::1", unix_socket_directories=str(folder))
        try:
            server.make_role()
            yield server
        finally:
            server.stop("immediate")


def test_ipv6(project: Project, elsewhere: Server, driver: str) -> None:
    uri = f"postgresql+{driver}://{USER}@[::1]:{elsewhere.port}/six"
    project.app(uri)
    assert said(project.here("setup"))[0] == 'database "six" was created'
    result = project.here("drop", input="six\n")
    assert f"[::1]:{elsewhere.port}" in result.err
    assert result.code == 0, str(result)


@pytest.mark.parametrize(
    "form", ["?host={folder}&port={port}", "@:{port}?host={folder}", "@{encoded}:{port}"]
)
def test_unix_socket(project: Project, elsewhere: Server, driver: str, form: str) -> None:
    folder, port = str(elsewhere.folder), elsewhere.port
    place, _, query = form.partition("?")
    encoded = folder.replace("/", "%2F")
    place = (place or "@").format(port=port, encoded=encoded)
    uri = f"postgresql+{driver}://{USER}{place}/sock" + (f"?{query}" if query else "").format(
        folder=folder, port=port
    )
    project.write({"app.py": "from flask import Flask\napp = Flask(__name__)\n"})
    assert said(project.here("create", "--uri", uri)) == ['database "sock" was created']
    assert database_exists(uri)
    result = project.here("drop", "--uri", uri, input="sock\n")
    assert f"the socket in {folder}, port {port}" in result.err
    assert result.code == 0, str(result)


def test_unix_socket_through_the_app(project: Project, elsewhere: Server, driver: str) -> None:
    uri = f"postgresql+{driver}://{USER}@/sock?host={elsewhere.folder}&port={elsewhere.port}"
    project.app(uri)
    for arguments in (["setup"], ["reset", "-f"], ["drop", "-f"]):
        result = project.here(*arguments)
        assert result.code == 0, str(result)
    assert not drop_db(uri)


def test_no_server_in_the_folder(project: Project, tmp_path: pathlib.Path, driver: str) -> None:
    project.app(f"postgresql+{driver}:///x?host={tmp_path}")
    message = error(project.here("create", "--server", "external"))
    assert f"no PostgreSQL server listens at the socket in {tmp_path}, port 5432" in message


def test_the_password_comes_from_the_environment(project: Project, elsewhere: Server, driver: str) -> None:
    """What libpq would add to a URI counts here as well."""
    project.app(f"postgresql+{driver}://127.0.0.1/fromenv")
    env = {
        "PGPORT": str(elsewhere.port),
        "PGUSER": ROLE,
        "PGPASSWORD": PASSWORD,
        "FLASK_POSTGRES_SERVER": "external",
    }
    for arguments in (["setup"], ["drop", "-f"]):
        result = project.here(*arguments, env=env)
        assert result.code == 0, str(result)
