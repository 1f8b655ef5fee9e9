"""The server that everything is measured on: the embedded one, in a folder and on a port of its own."""

from __future__ import annotations

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import typing as t

from .environments import Environments
from .measure import clean_environment

HOST = "127.0.0.1"
ROLE, PASSWORD = "bench", "bench"
CONTROL = pathlib.Path(__file__).with_name("control.py")


class Server:
    """A PostgreSQL server, and a helper that runs SQL on it."""

    def __init__(self, environments: Environments) -> None:
        self._environments = environments
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="flask-postgres-bench-"))
        self.port = _free_port()

    def address(self, *, scheme: str = "postgresql", port: int | None = None) -> str:
        """Return a URI up to the name of the database."""
        return f"{scheme}://{ROLE}:{PASSWORD}@{HOST}:{port or self.port}"

    def __enter__(self) -> Server:
        self._folder.chmod(0o755)
        self._psql("start", "--server", "embedded")
        self._control = subprocess.Popen(
            [self._environments.ours.python, CONTROL, self.address()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._control.communicate("")
        self._psql("stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def execute(self, statement: str, *, dbname: str = "postgres") -> list[t.Any]:
        """Run one statement and return its rows."""
        assert self._control.stdin is not None
        assert self._control.stdout is not None
        print(json.dumps([dbname, statement]), file=self._control.stdin, flush=True)
        answer = self._control.stdout.readline()
        if not answer:
            raise RuntimeError(f"failed: {statement}")
        rows: list[t.Any] = json.loads(answer)
        return rows

    def exists(self, dbname: str) -> bool:
        return bool(self.execute(f"SELECT FROM pg_database WHERE datname = '{dbname}'"))

    def drop(self, dbname: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {dbname}")

    def _psql(self, *arguments: str) -> None:
        where = ("--uri", f"{self.address()}/postgres", "--server-data-dir", str(self._folder / "data"))
        command = self._environments.server.flask("psql", "server", *arguments, *where)
        done = subprocess.run(
            command, cwd=self._folder, env=clean_environment(), capture_output=True, text=True
        )
        if done.returncode:
            print(done.stdout + done.stderr, file=sys.stderr)
            raise RuntimeError(f"flask psql server {arguments[0]} failed")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
