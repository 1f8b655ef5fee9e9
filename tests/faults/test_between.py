"""Between us and the server: a pooler, and a network that breaks."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import typing as t

import psycopg
import pytest

from flask_postgres.postgres.admin import Connector

from ..servers import PASSWORD, ROLE, as_server_account, free_port, give_to_server_account, wait_until
from .world import NEW_ROWS, OLD_ROWS, World, settled

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")

CONFIG = """
[databases]
{alias} = host={host} port={server} dbname={dbname}
* = host={host} port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = {mode}
"""


@pytest.fixture(params=["session", "transaction"])
def pooled(world: World, request: pytest.FixtureRequest) -> t.Iterator[str]:
    """Let the world's app reach the server through PgBouncer; return the mode."""
    if PGBOUNCER is None:
        pytest.skip("PgBouncer is not installed")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="fp-bouncer-") as name:
        folder = pathlib.Path(name)
        (folder / "users").write_text(f'"{ROLE}" "{PASSWORD}"\n')
        text = CONFIG.format(
            host=world.cluster.host, server=world.cluster.port, port=port, folder=folder, mode=request.param,
            alias=f"{world.dbname}_alias", dbname=world.dbname,
        )  # fmt: skip
        (folder / "ini").write_text(text)
        for path in (folder, folder / "users", folder / "ini"):
            give_to_server_account(path)
        process = subprocess.Popen(
            [PGBOUNCER, "-q", folder / "ini"], stderr=subprocess.DEVNULL, **as_server_account()
        )
        try:
            uri = world.cluster.uri("postgres", port=port).render(hide_password=False)
            wait_until(lambda: _answers(uri), what="PgBouncer")
            world.app()
            app = world.folder / "app.py"
            app.write_text(app.read_text().replace(f":{world.cluster.port}/", f":{port}/"))
            yield str(request.param)
        finally:
            process.terminate()
            process.wait(10)


def test_reset(world: World, pooled: str) -> None:
    old = world.old_database()
    result = world.run("reset", "-f")
    if pooled == "transaction":
        assert result.code == 1
        assert "transaction mode" in result.err
        assert "--uri" in result.err
        assert world.state() == old
        assert world.rows() == OLD_ROWS
        shown = world.run("reset", "--dry-run")  # what would be refused is not shown as a plan
        assert (shown.code, shown.out) == (1, "")
        assert "transaction mode" in shown.err
        status = world.run("status", "--exit-code")
        assert status.code == 0, str(status)  # the app can use it
        assert "behind a pooler in transaction mode" in status.out
        lock = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        assert world.cluster.execute(lock) == [(0,)]
        return
    assert result.code == 0, str(result)
    assert world.rows() == NEW_ROWS
    kept = world.run("reset", "-f")  # the pooler's own sessions are somebody's sessions
    assert kept.code == 1
    assert "--force-disconnect" in kept.err
    assert world.run("reset", "-f", "-fd").code == 0
    assert world.names() == {world.dbname}


def test_an_empty_search_path_is_not_left_to_the_next_client(world: World, pooled: str) -> None:
    """PgBouncer refuses options in the start-up packet that it does not know."""
    world.old_database()
    result = world.run("status")
    assert result.code == 0, f"{pooled}: {result}"
    port = re.search(r":(\d+)/", (world.folder / "app.py").read_text())
    assert port is not None
    uri = world.cluster.uri(world.dbname, port=int(port[1]))
    with Connector(uri=uri).target() as session:
        assert session.value("SELECT pg_catalog.current_setting('search_path')") == ""
    with psycopg.connect(uri.render(hide_password=False)) as client:
        assert client.execute("SHOW search_path").fetchone() == ('"$user", public',)


@pytest.mark.parametrize("pooled", ["session"], indirect=True)
@pytest.mark.usefixtures("pooled")
def test_a_killed_command_is_not_alive_behind_a_pooler(world: World) -> None:
    """The pooler keeps its sessions; their names must not tell that somebody is at work."""
    old = world.old_database()
    killed = world.run("reset", "-f", fault={"step": 3, "moment": "during", "cause": "SIGKILL"})
    assert killed.code == -signal.SIGKILL
    result = world.run("recover", "-f")
    assert result.code == 0, str(result)
    assert world.state() == old
    assert world.rows() == OLD_ROWS


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize("pooled", ["session"], indirect=True)
@pytest.mark.parametrize("command", [("setup",), ("reset", "-f"), ("setup", "-a", "{alias}")])
def test_a_name_that_the_pooler_gives(world: World, command: tuple[str, ...]) -> None:
    """No database has that name; what the app would fill under it is one that must not be touched."""
    old = world.old_database()
    alias = f"{world.dbname}_alias"
    app = world.folder / "app.py"
    app.write_text(app.read_text().replace(f"/{world.dbname}", f"/{alias}"))
    result = world.run(*(word.format(alias=alias) for word in command))
    assert result.code == 1, str(result)
    assert f'under the name "{alias}" is database "{world.dbname}": a pooler' in result.err
    assert world.state() == old
    assert world.rows() == OLD_ROWS
    assert world.names() == {world.dbname}


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_commit_on_its_way_when_the_network_breaks(world: World, driver: str) -> None:
    """The server still carries it out while the command undoes: undoing waits for that."""
    old = world.old_database()
    with Line(world.cluster.port) as line:
        world.app(driver=driver)
        app = world.folder / "app.py"
        app.write_text(app.read_text().replace(f":{world.cluster.port}/", f":{line.port}/"))
        child = world.start("reset", "-f", fault={"step": 2, "moment": "statement 4", "cause": "pause"})
        wait_until(lambda: child.reached, what="the last statement of the swap")
        query = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'flask-postgres %'"
        ((pid,),) = world.cluster.execute(query)
        os.kill(pid, signal.SIGSTOP)
        try:
            sent = line.sent
            child.go_on()
            wait_until(lambda: line.sent > sent, what="the COMMIT to be sent")
            line.cut()
            time.sleep(1.5)
        finally:
            os.kill(pid, signal.SIGCONT)
        result = child.finish()
    assert result.code == 1, str(result)
    assert result.err.rstrip().endswith(f'Database "{world.dbname}" is as it was.')
    settled(world, "nobody at work", world.nobody_at_work)
    assert world.state() == old
    assert world.rows() == OLD_ROWS
    assert world.names() == {world.dbname}


class Line:
    """A network between the app and the server, which can break."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.port = self._listener.getsockname()[1]
        self.sent = 0
        """How many bytes have gone to the server."""

    def cut(self) -> None:
        """Break every connection for the client; the server does not notice."""
        for client, _ in self._pairs:
            client.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Line:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pair in self._pairs:
            for end in pair:
                end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                self._pairs.append((client, server))
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client), daemon=True).start()

    def _pass_on(self, source: socket.socket, to: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                to.sendall(data)
                self.sent += len(data) if to.getpeername()[1] == self._server else 0
            if to.getpeername()[1] != self._server:
                to.shutdown(socket.SHUT_WR)


def _answers(uri: str) -> bool:
    try:
        psycopg.connect(uri).close()
    except psycopg.OperationalError:
        return False
    return True
