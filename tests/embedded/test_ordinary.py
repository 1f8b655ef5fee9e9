"""The ordinary path: a server where there was none, for as long as it is wanted."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time

import psycopg
import pytest

from flask_postgres import EmbeddedServerError, PostgresUri
from flask_postgres.embedded import location, process, service

from ..servers import wait_until
from .conftest import Site, ask, connect

ENSURE = """
import json, pathlib, sys
from flask_postgres.reporting import Silence
from flask_postgres.embedded import service
from flask_postgres.uri import PostgresUri
info = service.ensure(PostgresUri(sys.argv[1]), mode="auto", data_dir=pathlib.Path(sys.argv[2]),
                      bin_dir=None, reporter=Silence())
print(json.dumps(info.as_json()))
"""


def in_another_process(site: Site, *, process_group: bool = False) -> subprocess.Popen[str]:
    text = site.uri().render(hide_password=False)
    return subprocess.Popen(
        [sys.executable, "-c", ENSURE, text, os.fspath(site.data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=process_group,
    )


def test_first_start_says_one_line_and_serves_the_uri(empty: Site) -> None:
    info = empty.ensure()
    assert info is not None
    assert info.running
    assert info.addresses == ("127.0.0.1",)
    (line,) = empty.reporter.notes
    assert f"127.0.0.1:{empty.port}" in line
    assert str(info.version) in line
    assert str(empty.data_dir) in line
    assert "\n" not in line
    assert ask(empty.uri(), "SELECT current_user") == "alice"
    assert ask(empty.uri(), "SHOW server_encoding") == "UTF8"
    assert ask(empty.uri(), "SHOW password_encryption") == "scram-sha-256"
    assert stat.S_IMODE(empty.data_dir.stat().st_mode) == 0o700
    assert [path.name for path in empty.data_dir.parent.iterdir() if "new" in path.name] == []


def test_a_hostile_locale_does_not_matter(empty: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "xx_YY.ISO-8859-15")
    monkeypatch.setenv("LANG", "de_DE.ISO-8859-1")
    monkeypatch.setenv("PGOPTIONS", "-c no_such_setting=1")
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGDATA", "/nowhere")
    assert empty.ensure() is not None
    monkeypatch.undo()
    assert ask(empty.uri(), "SELECT upper('é')") == "É"
    assert ask(empty.uri(), "SHOW server_encoding") == "UTF8"


def test_a_running_server_is_neither_announced_nor_asked(served: Site) -> None:
    began = time.perf_counter()
    info = served.ensure()
    assert time.perf_counter() - began < 0.1
    assert info is not None
    assert info.running
    assert served.reporter.notes == []


def test_it_outlives_the_command_and_holds_none_of_its_pipes(site: Site) -> None:
    command = in_another_process(site)
    out, err = command.communicate(timeout=20)  # ends only when nobody holds the pipes any more
    assert command.returncode == 0, err
    assert process.find(site.data_dir) is not None
    assert os.getsid(json.loads(out)["pid"]) != os.getsid(0)
    assert ask(site.uri(), "SELECT 1") == 1


def test_many_commands_at_once_make_one_server(empty: Site) -> None:
    commands = [in_another_process(empty) for _ in range(5)]
    answers = [(*command.communicate(timeout=60), command.returncode) for command in commands]
    assert [code for _, _, code in answers] == [0] * 5, [err for _, err, _ in answers]
    assert len({json.loads(out)["pid"] for out, _, _ in answers}) == 1
    assert ask(empty.uri(), "SELECT 1") == 1


def test_start_says_when_it_is_running_already(served: Site) -> None:
    served.start()
    (line,) = served.reporter.notes
    assert f"already running on 127.0.0.1:{served.port}" in line


def test_stop_is_fast_ends_sessions_and_loses_nothing(served: Site) -> None:
    with connect(served.uri()) as connection:
        connection.execute("CREATE DATABASE shop")
    with connect(served.uri(), "shop") as connection:
        connection.execute("CREATE TABLE item AS SELECT 7 AS id")
        began = time.monotonic()
        info = served.stop()
        assert time.monotonic() - began < 5
        assert info is not None
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT 1")
    assert process.find(served.data_dir) is None
    assert served.stop() is None
    served.ensure()
    assert ask(served.uri(), "SELECT id FROM item", "shop") == 7


def test_status(site: Site) -> None:
    stopped = service.status(site.uri(), data_dir=site.data_dir)
    assert stopped.as_json() == {
        "running": False,
        "host": "127.0.0.1",
        "port": site.port,
        "version": str(location.major_version(site.data_dir)),
        "data_dir": str(site.data_dir),
        "access": "password",
        "pid": None,
        "uptime_s": None,
    }
    site.ensure()
    running = service.status(site.uri(), data_dir=site.data_dir)
    assert running.pid == int((site.data_dir / "postmaster.pid").read_text().split()[0])
    assert running.uptime_s is not None
    assert 0 <= running.uptime_s < 60
    assert running.version == ask(site.uri(), "SHOW server_version")


def test_status_of_nothing_makes_nothing(empty: Site) -> None:
    assert service.status(empty.uri(), data_dir=empty.data_dir).running is False
    assert not empty.data_dir.exists()


def test_what_may_not_start_does_not(empty: Site) -> None:
    assert empty.ensure(start=False) is None
    assert empty.ensure(mode="external") is None
    assert empty.ensure(empty.uri(host="192.0.2.1")) is None
    assert not empty.data_dir.exists()
    with pytest.raises(EmbeddedServerError, match="this machine alone"):
        empty.ensure(empty.uri(host="192.0.2.1"), mode="embedded")
    with pytest.raises(EmbeddedServerError, match='"external"'):
        empty.start(mode="external")


def test_start_false_leaves_a_running_server_and_its_roles_alone(served: Site) -> None:
    info = served.ensure(served.uri(user="bob"), start=False)
    assert info is not None
    assert info.running
    assert ask(served.uri(), "SELECT count(*) FROM pg_roles WHERE rolname = 'bob'") == 0


def test_projects_that_spell_the_address_differently_share_the_server(
    served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flask_postgres.embedded import addresses

    monkeypatch.setattr(addresses, "resolve", lambda *_: ("127.0.0.1", "::1"))
    info = served.ensure(served.uri("other", host="localhost"))
    assert info is not None
    assert info.data_dir == served.data_dir


def test_the_data_folder_is_one_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from flask_postgres.embedded import place

    monkeypatch.setattr(location, "home", lambda: location.Path("/home/me"))
    folders = {
        uri: place.find(PostgresUri(uri), data_dir=None).folder.name
        for uri in (
            "postgresql://u@localhost:5433/a",
            "postgresql://u@127.0.0.1:5433/b",
            "postgresql://u@[::1]:5433/c",
            "postgresql://u@localhost/d",
        )
    }
    assert list(folders.values()) == ["localhost-5433"] * 3 + ["localhost-5432"]


def test_a_socket_folder_of_ones_own_is_served(site: Site) -> None:
    folder = site.data_dir.parent / "run"
    folder.mkdir()
    if os.geteuid() == 0:
        folder.chmod(0o777)  # the account that serves root must be able to make the socket in it
    uri = PostgresUri(f"postgresql://alice:pw@/shop?host={folder}&port={site.port}")
    info = site.ensure(uri)
    assert info is not None
    assert ask(uri, "SELECT current_user") == "alice"
    assert ask(uri, "SHOW listen_addresses") == ""


def test_two_folders_keep_apart(served: Site) -> None:
    other = PostgresUri.build(dbname="x", user="alice", password="pw", host="127.0.0.1", port=served.port + 1)
    with pytest.raises(EmbeddedServerError, match=rf"in use .* port {served.port}"):
        served.ensure(other)


def test_extensions_are_made_by_our_superuser(served: Site) -> None:
    info = served.ensure()
    assert info is not None
    with connect(served.uri()) as connection:
        connection.execute("CREATE DATABASE shop")
    service.create_extension(info, "shop", ["vector", "pg_stat_statements"])
    service.create_extension(info, "shop", ["vector"])
    assert ask(served.uri(), "SELECT '[1,2]'::vector::text", "shop") == "[1,2]"
    with pytest.raises(EmbeddedServerError, match=r"pgvector, not pgcrypto"):
        service.create_extension(info, "shop", ["pgcrypto"])
    with pytest.raises(EmbeddedServerError, match="is not part of"):
        service.create_extension(info, "shop", ['no"such'])


def test_the_stopped_server_starts_again_where_it_was(served: Site) -> None:
    served.stop()
    wait_until(lambda: process.find(served.data_dir) is None, what="the stop")
    info = served.ensure()
    assert info is not None
    assert len(served.reporter.notes) == 1
