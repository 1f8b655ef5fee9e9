"""``flask psql server``, as it is typed."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest

from flask_postgres import CannotConnect
from flask_postgres.embedded import location, process
from flask_postgres.postgres import admin

from .conftest import Site, ask

APP = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "{uri}"
db = SQLAlchemy(app)
"""


def flask(
    site: Site,
    *arguments: str,
    group: tuple[str, ...] = ("server",),
    uri: str = "",
    stdin: str = "",
    **settings: str,
) -> subprocess.CompletedProcess[str]:
    app = site.data_dir.parent / "app.py"
    app.write_text(APP.format(uri=uri or site.uri().render(hide_password=False)))
    env = {name: value for name, value in os.environ.items() if not name.startswith("FLASK")}
    env |= {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "FLASK_POSTGRES_SERVER_DATA_DIR": str(site.data_dir),
        "PYTHONDONTWRITEBYTECODE": "1",
        **{f"FLASK_POSTGRES_{name.upper()}": value for name, value in settings.items()},
    }
    command = [sys.executable, "-m", "flask", "--app", "app", "psql", *group, *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, cwd=app.parent, env=env, timeout=60
    )


def test_start_status_log_stop(site: Site) -> None:
    started = flask(site, "start")
    assert started.returncode == 0, started.stderr
    assert len(started.stderr.splitlines()) == 1
    assert "Started PostgreSQL" in started.stderr
    status = json.loads(flask(site, "status", "--json").stdout)
    assert list(status) == ["running", "host", "port", "version", "data_dir", "access", "pid", "uptime_s"]
    assert status["running"] is True
    assert status["data_dir"] == str(site.data_dir)
    log = flask(site, "log", "-n", "1")
    assert log.stdout.count("\n") == 1

    stopped = flask(site, "stop")
    assert stopped.returncode == 0
    assert "was stopped" in stopped.stderr
    assert process.find(site.data_dir) is None


def test_who_gets_in_is_said(empty: Site) -> None:
    uri = empty.uri(password=None).render()
    started = flask(empty, "start", uri=uri)
    try:
        trusts = "every account of this machine (the URI has no password)"
        assert f"; access: {trusts}; stop it with" in started.stderr
        assert f"access:      {trusts}" in flask(empty, "status", uri=uri).stdout
    finally:
        empty.clean()


def test_a_server_of_another_account(served: Site) -> None:
    """Its databases are not dropped because a repository's configuration names them."""
    served.stop()
    mark = served.data_dir / location.MARK
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "cluster_name": "flask-postgres-4711-ab"}))
    run = functools.partial(flask, served, group=())
    assert run("setup").returncode == 0
    whose = "embedded, of another account of this machine (uid 4711)"
    assert whose in run("status").stdout
    uri = served.uri().render(hide_password=False)
    for words in (["reset", "-f"], ["drop", "-f"], ["create", "--overwrite", "-f"]):
        refused = run(*words)
        assert refused.returncode == 1
        assert "was started by another account (uid 4711). If that is meant" in refused.stderr
        assert "--uri" in refused.stderr
    assert run("drop", "-f", "--uri", uri).returncode == 0


@contextlib.contextmanager
def impostor(port: int, kind: int) -> t.Iterator[list[bytes]]:
    """Listen on a port and ask for a password: 3 wants it in clear, 5 as an MD5 hash. Give what is heard."""
    heard: list[bytes] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    asks = struct.pack("!ii", 8 if kind == 3 else 12, kind) + (b"" if kind == 3 else b"salt")
                    packet = connection.recv(4096)
                    if packet[4:8] == struct.pack("!i", 80877103):  # whether it encrypts
                        connection.sendall(b"N")
                        connection.recv(4096)
                    connection.sendall(b"R" + asks)
                    heard.append(connection.recv(4096))

    with socket.create_server(("127.0.0.1", port)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield heard
        finally:
            listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("kind", [3, 5])
@pytest.mark.parametrize("knows", [True, False])
def test_a_stranger_at_the_address_is_not_sent_the_password(
    served: Site, driver: str, monkeypatch: pytest.MonkeyPatch, *, kind: int, knows: bool
) -> None:
    """While the server is stopped, any account of the machine can listen there."""
    served.stop()
    if not knows:  # an older libpq
        monkeypatch.setattr(admin, "knows_require_auth", lambda _: False)
    connector = admin.Connector(uri=served.uri().with_driver(driver), data_dir=served.data_dir)
    with impostor(served.port, kind) as heard:
        with pytest.raises(CannotConnect, match=r"not the embedded server that belongs there.*was not sent"):
            connector.admin()
        assert not any(heard)


def test_the_commands_know_whose_address_it_is(served: Site) -> None:
    served.stop()
    with impostor(served.port, 3) as heard:
        for words in (["status"], ["create"], ["wait", "--timeout", "1"], ["drop", "-f"]):
            done = flask(served, *words, group=())
            assert done.returncode == 1
            assert "not the embedded server that belongs there" in done.stderr, done.stderr
    assert not any(heard)
    served.ensure()
    assert flask(served, "setup", group=()).returncode == 0


def test_stop_and_log_where_there_is_nothing(empty: Site) -> None:
    stopped = flask(empty, "stop")
    assert stopped.returncode == 0
    assert "no embedded server is running" in stopped.stderr
    log = flask(empty, "log")
    assert log.returncode == 0
    assert "no log yet" in log.stderr
    assert not empty.data_dir.exists()


@pytest.mark.parametrize("command", ["start", "status"])
def test_an_address_elsewhere_is_one_line(empty: Site, command: str) -> None:
    done = flask(empty, command, "--uri", "postgresql://u:hush-hush@192.0.2.1/d")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "this machine alone" in done.stderr
    assert "hush-hush" not in done.stdout + done.stderr


def test_what_the_programs_of_the_extra_do_not_have(served: Site) -> None:
    """ICU, SSL and two extensions that many an app asks for: each is said, with a way out."""
    setup = functools.partial(flask, served, "setup", group=())
    assert "gen_random_uuid() is built in" in setup(extensions="uuid-ossp").stderr
    assert "Leave locale_provider and icu_locale out" in setup(locale_provider="icu", icu_locale="de").stderr
    uri = served.uri().render(hide_password=False) + "?sslmode=require"
    assert "as the embedded one, needs sslmode=prefer" in setup(uri=uri).stderr


def test_a_log_that_cannot_be_read(empty: Site) -> None:
    empty.data_dir.write_text("")
    log = flask(empty, "log")
    assert log.returncode == 1
    assert "is not a folder" in log.stderr
    assert len(log.stderr.splitlines()) == 1


def test_a_target_called_postgres(served: Site) -> None:
    run = functools.partial(flask, served, group=(), uri=served.uri("postgres").render(hide_password=False))
    for words in (["setup"], ["reset", "-f"], ["status"]):
        done = run(*words)
        assert done.returncode == 0, done.stderr


# --- server list and server delete


def test_servers_are_listed_and_deleted(served: Site) -> None:
    """Protected, running and another name: refused. Then it is gone, with all that lay beside it."""
    assert flask(served, "create", group=()).returncode == 0
    listed = json.loads(flask(served, "list", "--json").stdout)
    (found,) = [item for item in listed if item["folder"] == str(served.data_dir)]
    assert (found["running"], found["port"], found["addresses"]) == (True, served.port, ["127.0.0.1"])
    assert found["size_bytes"] > 10_000_000
    assert str(served.data_dir) in flask(served, "list").stdout
    running = flask(served, "delete", "-f")
    assert (running.returncode, "is running" in running.stderr) == (1, True)
    assert flask(served, "protect", group=()).returncode == 0
    served.stop()
    protected = flask(served, "delete", "-f")
    assert (protected.returncode, 'protected databases: "shop"' in protected.stderr) == (1, True)
    served.start()
    assert flask(served, "unprotect", "-f", group=()).returncode == 0
    served.stop()
    kept = flask(served, "delete", stdin="shop\n")
    assert (kept.returncode, "shop (" in kept.stderr, served.data_dir.exists()) == (1, True, True)
    served.start()
    assert ask(served.uri(), "SELECT 1", "shop") == 1
    served.stop()
    (served.data_dir.with_name(f".{served.data_dir.name}.new-killed") / "data").mkdir(parents=True)
    gone = flask(served, "delete", str(served.data_dir), stdin=f"{served.data_dir.name}\n")
    assert (gone.returncode, served.data_dir.exists()) == (0, False), gone.stderr
    assert [path.name for path in served.data_dir.parent.iterdir() if ".new-" in path.name] == []
    again = flask(served, "delete", "-f", str(served.data_dir))
    assert (again.returncode, "There is no embedded server in" in again.stderr) == (1, True)


def test_a_server_that_cannot_be_looked_into_is_not_deleted(site: Site) -> None:
    (site.data_dir / "global" / "pg_control").unlink()
    refused = flask(site, "delete", "-f", str(site.data_dir))
    assert refused.returncode == 1
    assert "cannot be listed, so nothing was deleted" in refused.stderr
    assert (site.data_dir / "PG_VERSION").exists()


def test_a_folder_that_is_not_ours_is_not_deleted(site: Site, folder: Path) -> None:
    (folder / "photo.jpg").write_text("x")
    refused = flask(site, "delete", "-f", str(folder))
    assert (refused.returncode, "was not made by Flask-Postgres" in refused.stderr) == (1, True)
    assert (folder / "photo.jpg").exists()


def test_the_guard_holds_for_deleting_a_server(site: Site) -> None:
    refused = flask(site, "delete", "-f", cli_disallowed_envs="production", env="production")
    assert (refused.returncode, "flask psql server delete" in refused.stderr) == (1, True), refused.stderr
    assert (site.data_dir / "PG_VERSION").exists()
