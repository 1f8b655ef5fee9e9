"""What ``create``, ``init``, ``drop``, ``setup`` and ``reset`` have in common."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import sys
import typing as t

import click

from ..app.engines import release_all
from ..errors import FlaskPostgresError
from ..plans import dry_run, engine, preflight
from ..plans.context import StepContext
from ..plans.engine import Task
from ..plans.plan import CommandName, Request, app_role
from ..postgres import ddl, marks
from ..postgres.admin import Connector
from ..postgres.contents import summary
from ..postgres.drivers import administrative, libpq_arguments
from ..sizes import in_bytes
from . import scaffold, targets
from .app_commands import check_command, run_command
from .boundary import flask_command
from .confirm import confirmation
from .context import Invocation
from .embedding import ensure_server, make_extensions, own_data_dir
from .foreign import redacted
from .targets import Target

if t.TYPE_CHECKING:
    from ..app.discovery import BindKey
    from ..app.initialize import Choice
    from ..app.seeds.declared import Seed
    from ..uri import PostgresUri

STARTS_A_SERVER = ("create", "init", "setup", "reset", "seed")
MAKES_WHAT_AN_IMPORT_NEEDS = ("create", "setup")
NEEDS_THE_APP = ("init", "setup", "reset", "seed")
SEEDS = ("setup", "reset", "seed")


def carry_out(command: CommandName, *, guarded: bool = True) -> None:
    """Carry out a command: the settings, the guard, the server, and then the plan.

    :param guarded: whether ``cli_disallowed_envs`` holds for it.
    """
    only_shown = bool(click.get_current_context().params.get("dry_run"))
    invocation = Invocation.current()
    if command in STARTS_A_SERVER and not only_shown:
        scaffold.load(invocation, make=command in MAKES_WHAT_AN_IMPORT_NEEDS)
    if command in NEEDS_THE_APP or invocation.several:
        invocation.require_app()
    _ = invocation.settings
    chosen = targets.chosen(invocation)
    if guarded:
        invocation.guard()
    tasks = _tasks(invocation, command, chosen)
    if only_shown:
        _show(invocation, tasks)
        return
    contents = functools.partial(_contents, invocation, {each.uri: each.keys[0] for each in chosen})
    forced = invocation.options.get("force")
    engine.run(tasks, confirm=None if forced else confirmation(invocation, contents=contents))
    if command == "setup" and sys.stderr.isatty():
        for each in chosen:
            if holds := contents(each.uri):
                invocation.reporter.note(f'database "{each.uri.dbname}" has {holds}')
        invocation.reporter.note(f"Next: {flask_command(invocation.ctx)} run")


def _contents(invocation: Invocation, keys: t.Mapping[PostgresUri, BindKey], uri: PostgresUri) -> str | None:
    """Return what is in a target, in words; None where it cannot be asked, as one that is closed."""
    with (
        contextlib.suppress(FlaskPostgresError),
        connector(invocation, uri, bind_key=keys[uri]).target() as session,
    ):
        return summary(session)
    return None


def connector(invocation: Invocation, uri: PostgresUri, *, bind_key: BindKey = None) -> Connector:
    """Return how to reach the server of a URI, with the app's own driver arguments."""
    settings = invocation.settings
    chosen = invocation.resolution().is_set("admin_dbname")
    connect_args = _connect_args(invocation, uri, bind_key)
    invocation.hide.add([connect_args.get("password"), connect_args.get("sslpassword")])
    return Connector(
        uri=uri,
        admin_uri=settings.admin_uri,
        admin_dbname=settings.admin_dbname if chosen else None,
        connect_timeout=settings.connect_timeout,
        connect_args=connect_args,
        program=True,
        data_dir=own_data_dir(settings, uri),
        token=marks.new_token(),
        reporter=invocation.reporter,
    )


def _tasks(invocation: Invocation, command: CommandName, chosen: t.Sequence[Target]) -> list[Task]:
    start = command in STARTS_A_SERVER and not invocation.options.get("dry_run")
    servers = [ensure_server(invocation, invocation.settings, target.uri, start=start) for target in chosen]
    reaches = [connector(invocation, target.uri, bind_key=target.keys[0]) for target in chosen]
    initialize = _Initialize(invocation, chosen, reaches[0].app_application_name)
    choice = initialize.choice if command in NEEDS_THE_APP and command != "seed" else None
    seeds = initialize.seeds if command in SEEDS else ()
    return [
        Task(
            dataclasses.replace(
                _request(invocation, command, target.uri, among_others=len(chosen) > 1),
                how=str(choice or ""),
                init_commits=choice is None or choice.kind != "create_all" or len(chosen) > 1,
                seeds=seeds if None in target.keys else (),
            ),
            StepContext(
                connector=reach,
                initialize=initialize,
                run_seed=initialize.seed,
                load_again=functools.partial(scaffold.load_again, invocation, target.uri),
                release=release_all,
                make_extensions=functools.partial(make_extensions, server) if server else None,
            ),
        )
        for target, server, reach in zip(chosen, servers, reaches, strict=True)
    ]


def _request(
    invocation: Invocation, command: CommandName, uri: PostgresUri, *, among_others: bool
) -> Request:
    settings, options = invocation.settings, invocation.options
    clauses = {name: value for name in ddl.CLAUSES if (value := getattr(settings, name)) is not None}
    return Request(
        command=command,
        dbname=uri.dbname,
        clauses=clauses,
        app_role=app_role(uri, settings.admin_uri),
        schemas=settings.schemas if command in STARTS_A_SERVER else (),
        extensions=settings.extensions if command in STARTS_A_SERVER else (),
        overwrite=bool(options.get("overwrite")),
        force_disconnect=bool(options.get("force_disconnect")),
        if_missing=bool(options.get("if_missing")),
        protect=settings.protect,
        undo_limit=in_bytes(settings.undo_limit),
        final=bool(options.get("final")),
        replace_rows=bool(options.get("replace_rows")),
        reset_with=settings.reset_with,
        snapshot=options.get("label"),
        source=options.get("source"),
        among_others=among_others,
        init_chosen=options.get("init_with") is not None,
        uri_typed=options.get("target_database_uri") is not None,
    )


class _Initialize:
    """Lets the app fill all chosen databases at once: the first plan that comes to it does it for all."""

    def __init__(self, invocation: Invocation, chosen: t.Sequence[Target], application_name: str) -> None:
        self._invocation = invocation
        self._targets = {key: target.uri for target in chosen for key in target.keys}
        self._application_name = application_name
        self._did: str | None = None

    @functools.cached_property
    def choice(self) -> Choice:
        """What will run."""
        from ..app.initialize import choose

        invocation, settings = self._invocation, self._invocation.settings
        return choose(
            invocation.app,
            invocation.extension,
            how=settings.init_with,
            metadata=settings.metadata,
            binds=tuple(self._targets),
        )

    @property
    def seeds(self) -> tuple[Seed, ...]:
        """What the setting ``seed`` declares, made sure of."""
        from ..app.seeds.declared import AppCommand, Function, read

        found = read(self._invocation.settings.seed)
        for each in found:
            if isinstance(each, AppCommand):
                check_command(self._invocation.app, each)
            elif isinstance(each, Function):
                each.load(self._invocation.app)
        return found

    def seed(self, seed: Seed) -> None:
        """Run a function or a command of the app on the target."""
        from ..app.seeds.declared import AppCommand, Function

        app, extension = self._invocation.app, self._invocation.extension
        with self._on_targets():
            if isinstance(seed, AppCommand):
                run_command(app, seed)
            elif isinstance(seed, Function) and seed.run(app, extension.db):
                self._invocation.reporter.note(
                    f"the seed {seed} left changes in db.session that it did not commit: they are lost."
                )

    @contextlib.contextmanager
    def _on_targets(self) -> t.Iterator[None]:
        """Send the app's connections to the targets, and name them as the tool's."""
        from ..app.redirect import redirect
        from ..app.tagging import tagged

        invocation = self._invocation
        app, extension = invocation.app, invocation.extension
        with (
            redacted(invocation.hide),
            redirect(extension, app, self._targets),
            tagged(extension, self._application_name),
        ):
            yield

    def __call__(self, *, whole: bool) -> str:
        if self._did is None:
            self._did = self._initialize(split=whole and len(self._targets) == 1)
        return self._did

    def _initialize(self, *, split: bool) -> str:
        from ..app.initialize import initialize
        from ..postgres.batch import create_tables

        invocation, settings = self._invocation, self._invocation.settings
        app, extension = invocation.app, invocation.extension
        with self._on_targets():
            return initialize(
                app,
                extension,
                create_tables=functools.partial(create_tables, split=split),
                how=settings.init_with,
                metadata=settings.metadata,
                binds=tuple(self._targets),
                reporter=invocation.reporter,
            )


def _connect_args(invocation: Invocation, uri: PostgresUri, bind_key: BindKey) -> dict[str, t.Any]:
    """Return the app's own arguments for its driver, as far as they suit the one that administers."""
    if invocation.loaded.app is None:
        return {}
    from ..app.engines import is_postgresql
    from ..errors import ExtensionNotFound

    try:
        engine = invocation.extension.engine(bind_key)
    except ExtensionNotFound:
        return {}
    if not is_postgresql(engine):
        return {}
    wanted = str(administrative(uri).uri.driver)
    return libpq_arguments(invocation.extension.connect_args(bind_key), engine.dialect.driver, wanted=wanted)


def _show(invocation: Invocation, tasks: t.Sequence[Task]) -> None:
    planned = [engine.preview(task) for task in tasks]
    invocation.echo_data("\n\n".join(dry_run.as_text(each, render=invocation.render) for each in planned))
    preflight.raise_all(fault for each in planned for fault in each.plan.faults(each.facts))
