"""What ``create``, ``init``, ``drop``, ``setup`` and ``reset`` have in common."""

from __future__ import annotations

import typing as t

from ..errors import AppError, FlaskPostgresError
from ..plans import show
from ..plans.build import Command, Plan, Request
from ..plans.perform import Work, look, perform
from ..postgres import ddl, marks
from ..postgres.admin import Connector
from ..postgres.drivers import administrative
from .confirm import confirmation
from .context import Invocation

if t.TYPE_CHECKING:
    from ..embedded.info import ServerInfo
    from ..postgres.facts import Facts
    from ..settings.schema import Settings
    from ..uri import PostgresUri

STARTS_A_SERVER = ("create", "init", "setup", "reset")
MAKES_WHAT_AN_IMPORT_NEEDS = ("create", "setup")
NEEDS_THE_APP = ("init", "setup", "reset")


def carry_out(
    command: Command,
    *,
    build: t.Callable[[Request, Facts, str], Plan] | None = None,
    guarded: bool = True,
) -> None:
    """Carry out a command: the settings, the guard, the server, and then the plan.

    :param build: makes the plan, where the command has one of its own.
    :param guarded: whether ``cli_disallowed_envs`` holds for it.
    """
    on_connect = _make_missing if command in MAKES_WHAT_AN_IMPORT_NEEDS else None
    invocation = Invocation.current(on_connect=on_connect)
    if command in NEEDS_THE_APP:
        invocation.require_app()
    settings, uri = invocation.settings, invocation.target
    if guarded:
        invocation.guard()
    dry_run = bool(invocation.options.get("dry_run"))
    server = ensure_server(invocation, settings, uri, start=command in STARTS_A_SERVER and not dry_run)
    work = _work(invocation, command, uri, server)
    if build is not None:
        work = _with_build(work, build)
    if dry_run:
        _show(invocation, work)
        return
    asks = confirmation(invocation, {uri.dbname: uri})
    perform([work], confirm=None if invocation.options.get("force") else asks)


def connector(invocation: Invocation, uri: PostgresUri) -> Connector:
    """Return how to reach the server of a URI, with the app's own driver arguments."""
    settings = invocation.settings
    chosen = invocation.resolution().is_set("admin_dbname")
    connect_args = _connect_args(invocation, uri)
    invocation.hide.add([connect_args.get("password"), connect_args.get("sslpassword")])
    return Connector(
        uri=uri,
        admin_dbname=settings.admin_dbname if chosen else None,
        connect_timeout=settings.connect_timeout,
        connect_args=connect_args,
        token=marks.new_token(),
        reporter=invocation.reporter,
    )


def ensure_server(
    invocation: Invocation, settings: Settings, uri: PostgresUri, *, start: bool
) -> ServerInfo | None:
    """Start the embedded server, if it is the one to serve this URI; return it if it does."""
    from ..embedded import service

    return service.ensure(
        uri,
        mode=t.cast("t.Any", settings.server),
        data_dir=settings.server_data_dir,
        bin_dir=settings.server_bin_dir,
        reporter=invocation.reporter,
        start=start,
    )


def release(invocation: Invocation) -> None:
    """Close the connections that the app has open: they are never a reason against anything."""
    if invocation.loaded.app is None:
        return
    try:
        extension = invocation.extension
    except AppError:
        return  # no extension, no pools
    extension.close_sessions()
    extension.dispose()


def _work(invocation: Invocation, command: Command, uri: PostgresUri, server: ServerInfo | None) -> Work:
    settings, options = invocation.settings, invocation.options
    request = Request(
        command=command,
        dbname=uri.dbname,
        clauses={name: value for name in ddl.CLAUSES if (value := getattr(settings, name)) is not None},
        extensions=settings.extensions if command in ("create", "setup", "reset") else (),
        overwrite=bool(options.get("overwrite")),
        force_disconnect=bool(options.get("force_disconnect")),
        if_missing=bool(options.get("if_missing")),
        protect=settings.protect,
        how=_how(invocation) if command in NEEDS_THE_APP else "",
    )
    reach = connector(invocation, uri)

    def make_extensions(dbname: str, names: t.Sequence[str]) -> None:
        from ..embedded import service

        assert server is not None
        service.create_extension(server, dbname, names)

    return Work(
        request=request,
        connector=reach,
        initialize=lambda: _initialize(invocation, reach),
        release=lambda: release(invocation),
        make_extensions=make_extensions if server is not None else None,
    )


def _with_build(work: Work, build: t.Callable[[Request, Facts, str], Plan]) -> Work:
    import dataclasses

    return dataclasses.replace(work, build=build)


def _how(invocation: Invocation) -> str:
    from ..app.initialize import choose

    settings = invocation.settings
    return str(
        choose(invocation.app, invocation.extension, how=settings.init_with, metadata=settings.metadata)
    )


def _initialize(invocation: Invocation, reach: Connector) -> str:
    from ..app.initialize import initialize
    from ..app.redirect import redirect
    from ..app.tagging import tagged
    from ..postgres.batch import create_tables

    app, extension, settings = invocation.app, invocation.extension, invocation.settings
    with redirect(extension, app, {None: reach.uri}), tagged(extension, reach.application_name):
        return initialize(
            app,
            extension,
            create_tables=create_tables,
            how=settings.init_with,
            metadata=settings.metadata,
        )


def _connect_args(invocation: Invocation, uri: PostgresUri) -> dict[str, t.Any]:
    """Return the app's own arguments for the driver, if it is the one that administers."""
    if invocation.loaded.app is None:
        return {}
    from ..errors import ExtensionNotFound

    try:
        engine = invocation.extension.engine()
    except ExtensionNotFound:
        return {}
    if engine.dialect.driver != administrative(uri).uri.driver:
        return {}
    return invocation.extension.connect_args()


def _show(invocation: Invocation, work: Work) -> None:
    from ..plans import checks

    planned = look(work)
    invocation.echo_data(show.as_text(planned, work.connector.uri))
    checks.raise_all(planned.plan.faults(planned.facts))


def _make_missing(uri: PostgresUri) -> None:
    """Make what an app that connects while it is imported is about to connect to."""
    from ..api import create_db

    invocation = Invocation.current()
    settings = invocation.without_app()
    wanted = settings.target_database_uri
    if wanted is not None and wanted.dbname != uri.dbname:
        return
    environment = settings.env.casefold()
    if environment in {name.casefold() for name in settings.cli_disallowed_envs}:
        return
    try:
        server = ensure_server(invocation, settings, uri, start=True)
        made = create_db(uri, connect_timeout=settings.connect_timeout)
    except FlaskPostgresError as error:
        invocation.reporter.detail(f"what the app connects to could not be made: {error}")
        return
    if made:
        where = "on the embedded server " if server else ""
        invocation.reporter.outcome(f'database "{uri.dbname}" was created')
        invocation.reporter.detail(f"it was made {where}because the app connects while it is imported")
