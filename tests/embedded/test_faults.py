"""Each fault that the specification lists, made to happen: a working server or one clear line."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import pytest

from flask_postgres import EmbeddedServerError, PostgresUri
from flask_postgres.embedded import account, addresses, connection, copies, location, process

from ..servers import free_port, wait_until
from .conftest import Site, ask, connect, remove

AS_ROOT = os.geteuid() == 0


@contextlib.contextmanager
def listener(address: str, port: int) -> t.Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen()
        yield server


def one_line(error: pytest.ExceptionInfo[EmbeddedServerError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


def store(site: Site) -> None:
    """Commit something that must still be there afterwards."""
    with connect(site.uri()) as connection:
        connection.execute("CREATE DATABASE shop")
    with connect(site.uri(), "shop") as connection:
        connection.execute("CREATE TABLE item AS SELECT 7 AS id")


def stored(site: Site) -> bool:
    return bool(ask(site.uri(), "SELECT id FROM item", "shop") == 7)


# Addresses


def test_a_port_that_is_taken(empty: Site) -> None:
    with listener("127.0.0.1", empty.port):
        assert empty.ensure() is None  # auto: whatever listens there is what the URI means
        for attempt in (lambda: empty.ensure(mode="embedded"), empty.start):
            with pytest.raises(EmbeddedServerError, match=f"{empty.port}.*taken") as error:
                attempt()
            assert str(os.getpid()) in one_line(error)
    assert not empty.data_dir.exists()


def test_a_port_that_is_taken_on_one_address_of_two(empty: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "resolve", lambda *_: ("127.0.0.1", "::1"))
    try:
        taken = listener("::1", empty.port)
        taken.__enter__()
    except OSError:
        pytest.skip("this machine has no ::1")
    try:
        with pytest.raises(EmbeddedServerError, match=rf"{empty.port} on ::1 .*taken") as error:
            empty.ensure(empty.uri(host="localhost"), mode="embedded")
        one_line(error)
        assert not empty.data_dir.exists()
    finally:
        taken.__exit__(None, None, None)


def test_an_address_that_is_lost_between_the_check_and_the_start(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL only warns when it cannot bind one of two; we look at who answers."""
    monkeypatch.setattr(addresses, "resolve", lambda *_: ("127.0.0.1", "127.0.0.2"))
    monkeypatch.setattr(addresses, "check_free", lambda *_: None)
    monkeypatch.setattr("flask_postgres.embedded.roles._RELOAD_SECONDS", 0.3)
    monkeypatch.setitem(connection._OWN_WAYS, "connect_timeout", 2)
    with listener("127.0.0.2", site.port) as other:
        other.settimeout(0.1)
        with pytest.raises(EmbeddedServerError, match=r"127\.0\.0\.2") as error:
            site.start(site.uri(host="localhost"))
        one_line(error)
    assert process.find(site.data_dir) is None  # half a server is none


def test_an_address_that_this_machine_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*_: object, **__: object) -> list[t.Any]:
        return [(0, 0, 0, "", ("127.0.0.1", 1)), (0, 0, 0, "", ("::1", 1, 0, 0))]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", both)
    monkeypatch.setattr(addresses, "_exists", lambda address: address != "::1")
    assert addresses.resolve("localhost", 1) == ("127.0.0.1",)


def test_another_server_beside_a_data_folder_that_is_in_use(served: Site) -> None:
    """A project that names one data folder may have a bind on a server of another port."""
    other = PostgresUri.build(dbname="x", user="bob", password="pw", host="127.0.0.1", port=free_port())
    assert served.ensure(other, start=False) is None
    with pytest.raises(EmbeddedServerError, match="is in use by an embedded server"):
        served.ensure(other)
    with listener("127.0.0.1", other.port or 0):
        assert served.ensure(other) is None
        with pytest.raises(EmbeddedServerError, match="is in use by an embedded server"):
            served.ensure(other, mode="embedded")


# Processes


def test_a_server_that_was_killed(served: Site) -> None:
    store(served)
    before = served.kill()
    assert served.ensure() is not None
    assert stored(served)
    assert process.read_pid_file(served.data_dir).pid != before  # type: ignore[union-attr]


def rewrite_pid(site: Site, pid: int) -> None:
    path = site.data_dir / "postmaster.pid"
    lines = path.read_text().split("\n")
    path.write_text("\n".join([str(pid), *lines[1:]]))


def test_a_stale_pid_file(served: Site) -> None:
    store(served)
    served.kill()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    rewrite_pid(served, dead.pid)
    assert served.stop() is None
    assert served.ensure() is not None
    assert stored(served)


@pytest.mark.parametrize("name", ["python", "postgres"])
def test_a_pid_that_belongs_to_something_else(served: Site, folder: Path, name: str) -> None:
    """Of the server's account, so that PostgreSQL by itself would refuse to start; whatever it is called."""
    store(served)
    served.kill()
    program = folder / name
    shutil.copy("/bin/sleep", program)
    runs_as = account.candidates(served.data_dir)[0]
    options = runs_as._options()
    with subprocess.Popen([program, "60"], cwd="/", **options) as other:
        try:
            rewrite_pid(served, other.pid)
            assert process.find(served.data_dir) is None
            assert served.stop() is None
            assert other.poll() is None, "stop must not have hit the innocent"
            assert served.ensure() is not None
            assert stored(served)
            assert other.poll() is None
        finally:
            other.kill()


def test_a_server_out_of_reach(served: Site) -> None:
    """As from a container that shares the data folder: the socket answers, the pid means nothing here."""
    pid = process.find(served.data_dir).pid  # type: ignore[union-attr]
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    rewrite_pid(served, dead.pid)
    for attempt in (served.ensure, served.start, served.stop):
        with pytest.raises(EmbeddedServerError, match="served from another container") as error:
            attempt()
        one_line(error)
    with subprocess.Popen(["/bin/sleep", "60"], cwd="/") as innocent:
        rewrite_pid(served, innocent.pid)
        with pytest.raises(EmbeddedServerError, match="served from another container"):
            served.stop()
        assert innocent.poll() is None
        innocent.kill()
    rewrite_pid(served, pid)
    assert ask(served.uri(), "SELECT 1") == 1


def test_a_pid_that_belongs_to_a_zombie(served: Site) -> None:
    store(served)
    served.kill()
    options = account.candidates(served.data_dir)[0]._options()
    zombie = subprocess.Popen(["/bin/sh", "-c", ":"], cwd="/", **options)
    wait_until(lambda: Path(f"/proc/{zombie.pid}/stat").read_text().split()[2] == "Z", what="a zombie")
    rewrite_pid(served, zombie.pid)
    try:
        assert served.ensure() is not None
        assert stored(served)
    finally:
        zombie.wait()


def test_a_pid_file_that_is_cut_short(site: Site) -> None:
    path = site.data_dir / "postmaster.pid"
    path.write_text("")
    account.candidates(site.data_dir)[0].give(path)
    assert site.ensure() is not None
    assert ask(site.uri(), "SELECT 1") == 1


def test_backends_that_outlive_a_killed_server(served: Site) -> None:
    """They hold the shared memory for a while; nothing may start beside them, and nothing gives up."""
    store(served)
    with connect(served.uri(), "shop") as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        try:
            served.kill()
            resume = subprocess.Popen(["/bin/sh", "-c", f"sleep 1; kill -CONT {backend}"])
            assert served.ensure() is not None
            resume.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(backend, signal.SIGCONT)
    assert stored(served)


def test_a_command_that_is_killed_while_it_initializes(empty: Site) -> None:
    from .test_ordinary import in_another_process

    command = in_another_process(empty)
    wait_until(lambda: any(".new-" in p.name for p in empty.data_dir.parent.iterdir()), what="initdb")
    time.sleep(0.1)
    command.kill()
    command.communicate()
    assert not empty.data_dir.exists()
    assert empty.ensure() is not None
    assert [p.name for p in empty.data_dir.parent.iterdir() if ".new-" in p.name] == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_is_ended_while_the_server_starts(site: Site, signum: signal.Signals) -> None:
    """By Ctrl-C, which reaches pg_ctl as well, or by a signal of its own: the next command heals it."""
    from .test_ordinary import in_another_process

    command = in_another_process(site, process_group=True)
    wait_until((site.data_dir / process.PID_FILE).exists, what="the server to come up")
    (os.killpg if signum == signal.SIGINT else os.kill)(command.pid, signum)
    command.communicate()
    assert site.ensure() is not None
    assert ask(site.uri(), "SELECT 1") == 1
    assert site.stop() is not None


# Data folders


def test_a_folder_without_our_mark_is_never_touched(empty: Site) -> None:
    empty.data_dir.mkdir()
    (empty.data_dir / "PG_VERSION").write_text("18\n")
    before = empty.data_dir.stat()
    for attempt in (empty.ensure, empty.start, empty.stop):
        with pytest.raises(EmbeddedServerError, match="not made by Flask-Postgres") as error:
            attempt()
        assert "server_data_dir" in one_line(error)
    assert os.listdir(empty.data_dir) == ["PG_VERSION"]
    assert (empty.data_dir.stat().st_mode, empty.data_dir.stat().st_mtime_ns) == (
        before.st_mode,
        before.st_mtime_ns,
    )


def test_an_empty_folder_is_taken(empty: Site) -> None:
    empty.data_dir.mkdir()
    assert empty.ensure() is not None
    assert ask(empty.uri(), "SELECT 1") == 1


def test_a_data_folder_that_is_a_file(empty: Site) -> None:
    empty.data_dir.write_text("")
    with pytest.raises(EmbeddedServerError, match="not a folder") as error:
        empty.ensure()
    one_line(error)


def test_a_data_folder_of_another_major_version(site: Site) -> None:
    (site.data_dir / "PG_VERSION").write_text("12\n")
    files = sorted(path.name for path in site.data_dir.iterdir())
    with pytest.raises(EmbeddedServerError, match=r"of PostgreSQL 12, .* Nothing was touched") as error:
        site.ensure()
    assert "PostgreSQL 12" in one_line(error)
    assert sorted(path.name for path in site.data_dir.iterdir()) == files


def test_binaries_are_chosen_by_the_version_of_the_data(empty: Site) -> None:
    found = [Path(p) for p in ("/usr/lib/postgresql/15/bin",) if Path(p, "postgres").exists()]
    if not found:
        pytest.skip("needs PostgreSQL 15 in the system's place")
    assert empty.start(bin_dir=found[0]).version.startswith("15.")  # type: ignore[union-attr]
    assert ask(empty.uri(), "SELECT upper('é')") == "É"
    empty.stop()
    info = empty.ensure()  # the wheel would come first, and is of another major version
    assert info is not None
    assert info.bin_dir == found[0]


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_a_read_only_home(empty: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    home = empty.data_dir.parent / "home"
    home.mkdir(mode=0o500)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    with pytest.raises(EmbeddedServerError, match=r"Permission denied\. .*server_data_dir") as error:
        empty.ensure(data_dir=None)
    one_line(error)


def test_an_account_without_a_home(empty: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def unknown(uid: int) -> t.NoReturn:
        raise KeyError(uid)

    monkeypatch.setattr(location, "is_root", lambda: False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert empty.ensure(data_dir=None) is None  # auto: a server that listens there must not need a home
    with pytest.raises(EmbeddedServerError, match=r"no home folder .*server_data_dir") as error:
        empty.start(data_dir=None)
    one_line(error)


@pytest.mark.parametrize("name", ["a 'b' \"c\" $HOME `id` \\ %s", "com,ma", "größe→"])
def test_a_data_folder_with_an_odd_name(folder: Path, name: str) -> None:
    site = Site(folder / name, free_port())
    assert site.ensure() is not None
    assert ask(site.uri(), "SELECT 1") == 1
    info = site.stop()
    assert info is not None
    if info.socket_dir is not None and not info.socket_dir.is_relative_to(folder):
        remove(info.socket_dir)


def test_a_umask_that_closes_nothing(folder: Path) -> None:
    """Who may write in a parent may put another folder in the place of ours."""
    site = Site(folder / "share" / "servers" / "data", free_port())
    before = os.umask(0)
    try:
        site.ensure()
        modes = {path: path.stat().st_mode & 0o777 for path in (*site.data_dir.parents[:2], site.data_dir)}
        assert not any(mode & 0o022 for mode in modes.values()), modes
        assert modes[site.data_dir] == 0o700
    finally:
        os.umask(before)
        site.clean()


@pytest.mark.skipif(not AS_ROOT, reason="only root serves by another account")
def test_the_lesser_account_is_not_told_what_root_knows(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "hush-hush")
    info = site.ensure()
    assert info is not None
    known = Path(f"/proc/{info.pid}/environ").read_bytes()
    assert b"PATH=" in known
    assert b"hush-hush" not in known


@pytest.mark.skipif(not AS_ROOT, reason="only root serves by another account")
def test_a_folder_that_the_lesser_account_cannot_reach(empty: Site) -> None:
    closed = empty.data_dir.parent / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedServerError, match="cannot be reached by the account") as error:
        empty.ensure(data_dir=closed / "data")
    one_line(error)
    assert [path for path in closed.iterdir() if not path.name.endswith(".lock")] == []


@pytest.mark.skipif(not AS_ROOT, reason="only root serves by another account")
def test_root_copies_programs_that_the_lesser_account_cannot_reach(
    empty: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flask_postgres.embedded import binaries

    package = next(binaries.folders(None)).path.parent.parent
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(package, closed / package.name, symlinks=True)
    libs = package.with_name(package.name + ".libs")
    if libs.is_dir():
        shutil.copytree(libs, closed / libs.name, symlinks=True)
    monkeypatch.setattr(location, "ROOT_HOME", folder / "home")
    old = os.umask(0o077)
    try:
        info = empty.ensure(bin_dir=closed / package.name / "pginstall" / "bin")
    finally:
        os.umask(old)
    assert info is not None
    assert info.bin_dir is not None
    assert info.bin_dir.is_relative_to(folder / "home" / "binaries")
    shutil.move(closed / package.name, closed / "another environment" / package.name)
    again, _ = copies.choose(
        closed / "another environment" / package.name / "pginstall" / "bin",
        major=None,
        accounts=account.candidates(folder / "new"),
    )
    assert again.path == info.bin_dir, "one copy serves every environment with these programs"
    assert ask(empty.uri(), "SELECT 1") == 1


@pytest.fixture
def small_disk() -> t.Iterator[Path]:
    """Return a folder on a file system of 64 MB, enough for a data folder and little more."""
    if not AS_ROOT:
        pytest.skip("only root can mount a small disk")
    folder = Path(tempfile.mkdtemp(prefix="fp-disk-"))
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m,mode=0755", "tmpfs", folder], capture_output=True, text=True
    )
    if mount.returncode:
        folder.rmdir()
        pytest.skip(f"mount: {mount.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


def fill(folder: Path, *, leave: int = 0) -> Path:
    path = folder / "ballast"
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while shutil.disk_usage(folder).free > leave:
            file.write(b"\0" * min(65536, max(4096, shutil.disk_usage(folder).free - leave)))
    return path


def test_a_disk_too_full_to_initialize(small_disk: Path) -> None:
    site = Site(small_disk / "data", free_port())
    ballast = fill(small_disk, leave=10_000_000)
    with pytest.raises(EmbeddedServerError, match="is full") as error:
        site.ensure()
    one_line(error)
    assert not site.data_dir.exists()
    assert sorted(p.name for p in small_disk.iterdir()) == [".data.lock", "ballast"]
    ballast.unlink()
    assert site.ensure() is not None
    site.clean()


def test_a_disk_too_full_to_start(small_disk: Path) -> None:
    site = Site(small_disk / "data", free_port())
    site.ensure()
    store(site)
    site.stop()
    ballast = fill(small_disk)
    with pytest.raises(EmbeddedServerError, match="is full") as error:
        site.ensure()
    one_line(error)
    ballast.unlink()
    assert site.ensure() is not None
    assert stored(site)
    site.clean()


def test_a_mount_point_is_taken_as_the_data_folder(small_disk: Path) -> None:
    site = Site(small_disk, free_port())
    assert site.ensure() is not None
    assert ask(site.uri(), "SELECT 1") == 1
    site.clean()
    remove(small_disk.with_name(f".{small_disk.name}.lock"))


def test_a_socket_folder_with_a_long_path(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    site = Site(deep / "data", free_port())
    info = site.ensure()
    assert info is not None
    assert info.socket_dir is not None
    assert len(os.fsencode(info.socket_dir)) <= 85
    assert info.socket_dir.stat().st_mode & 0o077 == 0
    site.clean()
    remove(info.socket_dir)
