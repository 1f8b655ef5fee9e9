"""Between us and the server: a pooler."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import tempfile
import typing as t

import psycopg
import pytest

from ..servers import PASSWORD, ROLE, as_server_account, free_port, give_to_server_account, wait_until
from .world import NEW_ROWS, OLD_ROWS, World

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")

CONFIG = """
[databases]
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
            host=world.cluster.host, server=world.cluster.port, port=port, folder=folder, mode=request.param
        )
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


def _answers(uri: str) -> bool:
    try:
        psycopg.connect(uri).close()
    except psycopg.OperationalError:
        return False
    return True
