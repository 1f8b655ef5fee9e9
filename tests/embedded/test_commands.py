"""``flask psql server``, as it is typed."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys

import pytest

from flask_postgres.embedded import process

from .conftest import Site

APP = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "{uri}"
db = SQLAlchemy(app)
"""


def flask(
    site: Site, *arguments: str, group: tuple[str, ...] = ("server",), uri: str = "", **settings: str
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
    return subprocess.run(command, capture_output=True, text=True, cwd=app.parent, env=env, timeout=60)


def test_start_status_log_stop(site: Site) -> None:
    started = flask(site, "start")
    assert started.returncode == 0, started.stderr
    assert len(started.stderr.splitlines()) == 1
    assert "Started PostgreSQL" in started.stderr
    status = json.loads(flask(site, "status", "--json").stdout)
    assert list(status) == ["running", "host", "port", "version", "data_dir", "pid", "uptime_s"]
    assert status["running"] is True
    assert status["data_dir"] == str(site.data_dir)
    log = flask(site, "log", "-n", "1")
    assert log.stdout.count("\n") == 1

    stopped = flask(site, "stop")
    assert stopped.returncode == 0
    assert "was stopped" in stopped.stderr
    assert process.find(site.data_dir) is None


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
