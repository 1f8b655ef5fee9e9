"""Load an app that connects to its database while it is imported, although there is none yet.

1. The app is loaded with nothing made for it. An app that bears that its database is missing is ready then.
2. Where loading failed, and the app had tried to connect to the target, the command begins again in a fresh
   interpreter, because modules that failed half-way cannot be imported anew. There the app is loaded once
   more, with the embedded server running, and for ``create`` and ``setup`` with an empty database under
   the target's name. That database is dropped as soon as the app is loaded; only then is a plan built.
   Killed in between, it is an unfinished database like any other.
3. What the app has put into a database while it was loaded, it puts into each new one: initializing that
   begins with loading the app in a process of its own.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import typing as t

import click

from ..app.engines import release_all
from ..errors import AppNotLoaded, EnvironmentNotAllowed, FlaskPostgresError
from ..plans import engine, execution, identity
from ..plans.context import StepContext
from ..plans.engine import Task
from ..plans.plan import Request, app_role
from ..postgres import ddl, marks
from ..postgres.admin import Connector
from ..settings import guard
from ..uri import PostgresUri
from .context import Invocation
from .embedding import ensure_server, make_extensions
from .targets import place

VARIABLE = "_FLASK_POSTGRES_SCAFFOLD"
"""Tells a fresh interpreter what to lend, as JSON. It is taken out of the environment at once."""

LOAD_ONLY = "load"
"""Its value for an interpreter that loads the app, and does nothing else."""


def load(invocation: Invocation, *, make: bool) -> None:
    """Load the app; ``invocation.loaded`` says how that went.

    :param make: whether the target may be made for it.
    :raises EnvironmentNotAllowed: if the app needs that, and the guard is closed.
    :raises SettingsError: if a setting is wrong.
    """
    order = os.environ.pop(VARIABLE, None)
    if order == LOAD_ONLY:
        _ = invocation.app
        invocation.ctx.exit()
    invocation.on_connect = invocation.connected.append
    if order is not None:
        _lend(invocation, json.loads(order))
    elif invocation.loaded.error is not None and invocation.connected and _is_the_program(invocation):
        _begin_again(invocation, make=make)


def load_again(invocation: Invocation, uri: PostgresUri) -> None:
    """Load the app in another process, once, if it connects to this database while it is loaded.

    Some apps make tables and rows then, of which nothing else knows, as Flask-AppBuilder does.

    :raises AppNotLoaded: if it cannot be loaded there; the other process has said why.
    """
    if not (_is_among(uri, invocation.connected) and _is_the_program(invocation)):
        return
    invocation.connected.clear()
    invocation.reporter.detail("the app is loaded once more, because it connects to the database meanwhile")
    loading = subprocess.run(
        _this_program(),
        env=os.environ | {VARIABLE: LOAD_ONLY},
        cwd=invocation.cwd,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        check=False,
    )
    if loading.returncode:
        raise AppNotLoaded("the app could not be loaded on the new database.")


def _begin_again(invocation: Invocation, *, make: bool) -> None:
    """Start the command anew in this process, if the target is what the app has missed."""
    resolution = invocation.before_loaded()
    settings = resolution.settings
    uri = settings.target_database_uri or _only(invocation.connected)
    if uri is None or not _is_among(uri, invocation.connected):
        return
    refusal = guard.refusal(resolution)
    if refusal is not None:
        raise EnvironmentNotAllowed(f"flask psql {invocation.command} {refusal}")
    server = ensure_server(invocation, settings, uri, start=True)
    admin_dbname = settings.admin_dbname if resolution.is_set("admin_dbname") else None
    reach = Connector(
        uri=uri,
        admin_uri=settings.admin_uri,
        admin_dbname=admin_dbname,
        connect_timeout=settings.connect_timeout,
    )
    if server is None and not (make and _is_missing(reach)):
        return
    order = {
        "uri": uri.render(hide_password=False),
        "admin_uri": settings.admin_uri and settings.admin_uri.render(hide_password=False),
        "admin_dbname": admin_dbname,
        "make": make,
        "clauses": {name: value for name in ddl.CLAUSES if (value := getattr(settings, name)) is not None},
        "schemas": settings.schemas,
        "extensions": settings.extensions,
    }
    release_all()
    sys.stdout.flush()
    sys.stderr.flush()
    os.chdir(invocation.cwd)
    program, env = _this_program(), os.environ | {VARIABLE: json.dumps(order)}
    if os.name == "nt":  # where exec would end the command for the shell that waits for it
        invocation.ctx.exit(subprocess.call(program, env=env))
    os.execve(sys.executable, program, env)


def _lend(invocation: Invocation, order: dict[str, t.Any]) -> None:
    uri = PostgresUri(order["uri"])
    invocation.hide.add(uri.secrets, shown=(uri.user, uri.dbname, *(host for host, _ in uri.hosts)))
    if order["make"]:
        try:
            _load_with_scaffold(invocation, uri, order)
        except execution.Over as over:
            invocation.reporter.note(
                "the app connects to its database while it is imported: it was lent an empty one for that. "
                "Better do this in a function, with @init_db_callback for making tables"
            )
            for text in over.notes:
                invocation.reporter.note(text, *over.remedies)
        except FlaskPostgresError as error:
            # What the app's own error will not tell.
            invocation.reporter.note(f"what the app connects to could not be made: {error}")
    _ = invocation.loaded


def _load_with_scaffold(invocation: Invocation, uri: PostgresUri, order: dict[str, t.Any]) -> None:
    def load_app() -> str:
        _ = invocation.loaded
        return ""

    settings = invocation.before_app().settings
    admin_uri = PostgresUri(order["admin_uri"]) if order["admin_uri"] else None
    server = ensure_server(invocation, settings, uri, start=True)
    request = Request(
        command="scaffold",
        dbname=uri.dbname,
        clauses=order["clauses"],
        app_role=app_role(uri, admin_uri),
        schemas=tuple(order["schemas"]),
        extensions=tuple(order["extensions"]),
        among_others=True,
    )
    context = StepContext(
        connector=Connector(
            uri=uri,
            admin_uri=admin_uri,
            admin_dbname=order["admin_dbname"],
            connect_timeout=settings.connect_timeout,
            token=marks.new_token(),
            reporter=invocation.reporter,
        ),
        initialize=load_app,
        release=release_all,
        make_extensions=functools.partial(make_extensions, server) if server else None,
    )
    engine.run([Task(request, context)])


def _is_missing(reach: Connector) -> bool:
    try:
        with reach.anywhere() as session:
            return identity.look_up(session, reach.uri.dbname) is None
    except FlaskPostgresError:
        return False  # the app's own error says why


def _is_the_program(invocation: Invocation) -> bool:
    """Tell whether this process was started for this command, and not for a program that calls it."""
    ctx: click.Context | None = invocation.ctx
    while ctx is not None and ctx.parent is not None:
        if ctx.info_name not in sys.argv:
            return False
        ctx = ctx.parent
    return True


def _this_program() -> list[str]:
    return [sys.executable, *sys.orig_argv[1:]]


def _is_among(uri: PostgresUri, connected: t.Sequence[PostgresUri]) -> bool:
    return any(place(uri) == place(each) for each in connected)


def _only(connected: t.Sequence[PostgresUri]) -> PostgresUri | None:
    """Return what the app has connected to, if that was one database."""
    return connected[0] if len({place(uri) for uri in connected}) == 1 else None
