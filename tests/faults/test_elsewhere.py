"""Servers past one machine: a primary with a standby, and one that insists on encryption."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import typing as t
from urllib.parse import quote

import pytest

from ..servers import (
    PASSWORD,
    ROLE,
    SUPERUSER_PASSWORD,
    Server,
    as_server_account,
    give_to_server_account,
    server_folder,
    wait_until,
)
from .cells import FULL
from .nursery import Nursery
from .world import NEW_ROWS, World

ACCOUNT = f"{ROLE}:{quote(PASSWORD, safe='')}"


@pytest.fixture
def folder() -> t.Iterator[pathlib.Path]:
    """Return a folder that the server's account owns."""
    with server_folder("fp-elsewhere-") as path:
        yield path


@pytest.fixture
def pair(folder: pathlib.Path) -> t.Iterator[tuple[Server, Server]]:
    """Return a primary and its streaming standby."""
    primary, standby = Server(folder), Server(folder / "standby")
    (folder / "standby").mkdir()
    give_to_server_account(folder / "standby")
    primary.initdb()
    primary.start(wal_level="replica", max_wal_senders="4", hot_standby="on")
    try:
        primary.make_role()
        _copy(primary, standby)
        standby.start()
        yield primary, standby
    finally:
        standby.stop("immediate")
        primary.stop("immediate")


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"] if FULL else ["psycopg2"])
def test_failover(pair: tuple[Server, Server], nursery: Nursery, tmp_path: pathlib.Path, driver: str) -> None:
    primary, standby = pair
    world = World(primary, nursery, "shop", tmp_path)
    hosts = "&".join(f"host=127.0.0.1:{one.port}" for one in (standby, primary))
    world.app(uri=f"postgresql+{driver}://{ACCOUNT}@/shop?{hosts}&target_session_attrs=read-write")
    for command in (["setup"], ["reset", "-f"]):
        result = world.run(*command)
        assert result.code == 0, str(result)
    assert world.rows() == NEW_ROWS

    wait_until(lambda: _caught_up(primary), what="the standby to catch up")
    world.app(uri=f"postgresql+{driver}://{ACCOUNT}@127.0.0.1:{standby.port}/shop")
    refused = world.run("reset", "-f")
    assert refused.code == 1
    assert "the server is a standby" in refused.err
    assert "target_session_attrs=read-write" in refused.err

    primary.stop("immediate")
    standby.run("pg_ctl", "promote", "-w", "-D", str(standby.data_dir))
    world.app(uri=f"postgresql+{driver}://{ACCOUNT}@/shop?{hosts}&target_session_attrs=read-write")
    world.cluster = standby
    assert world.rows() == NEW_ROWS
    result = world.run("reset", "-f")
    assert result.code == 0, str(result)
    assert world.rows() == NEW_ROWS
    assert world.names() == {"shop"}


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"] if FULL else ["psycopg2"])
def test_encryption(folder: pathlib.Path, nursery: Nursery, tmp_path: pathlib.Path, driver: str) -> None:
    server = Server(folder, bin_dir=_programs_with_ssl())
    server.initdb()
    _certify(server)
    server.start(ssl="on")
    try:
        server.make_role()
        world = World(server, nursery, "shop", tmp_path)
        address = f"postgresql+{driver}://{ACCOUNT}@127.0.0.1:{server.port}/shop"
        world.app(uri=f"{address}?sslmode=require")
        for command in (["setup"], ["reset", "-f", "-fd"]):
            result = world.run(*command)
            assert result.code == 0, str(result)
        assert world.rows() == NEW_ROWS
        world.app(uri=f"{address}?sslmode=disable")
        refused = world.run("reset", "-f")
        assert refused.code == 1
        assert "no encryption" in refused.err
        world.app(uri=f"{address}?sslmode=verify-full&sslrootcert={tmp_path}/none")
        unknown = world.run("reset", "-f")
        assert unknown.code == 1
        assert "certificate" in unknown.err
        assert world.rows() == NEW_ROWS
    finally:
        server.stop("immediate")


def _copy(primary: Server, standby: Server) -> None:
    dsn = (
        f"host={primary.host} port={primary.port} user=postgres password={SUPERUSER_PASSWORD} dbname=postgres"
    )
    primary.run("pg_basebackup", "-d", dsn, "-D", str(standby.data_dir), "-R", "-X", "stream", "-c", "fast")


def _caught_up(primary: Server) -> bool:
    query = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()"
    return primary.execute(query) == [(1,)]


def _programs_with_ssl() -> pathlib.Path:
    for folder in sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        answer = subprocess.run(
            [folder / "pg_config", "--configure"], capture_output=True, text=True, check=False
        )
        if "openssl" in answer.stdout:
            return folder
    pytest.skip("no installed server with SSL; the wheel's has none")


def _certify(server: Server) -> None:
    """Give the server a self-signed certificate, and let nobody in without encryption but its superuser."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    command = [openssl, "req", "-new", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    files = ["-out", server.data_dir / "server.crt", "-keyout", server.data_dir / "server.key"]
    subprocess.run([*command, *files], check=True, capture_output=True, **as_server_account())
    (server.data_dir / "server.key").chmod(0o600)
    rules = "host all postgres 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
    (server.data_dir / "pg_hba.conf").write_text(rules)
