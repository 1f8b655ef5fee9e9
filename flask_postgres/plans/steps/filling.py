"""Steps that fill a database."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ...errors import CannotConnect, Refused
from ...postgres import contents, ddl
from ...postgres.facts import Facts
from ...remedies import Option
from .. import preflight
from ..changes import Action, Plain
from ..context import StepContext
from .base import FILL, Faults, Step

STANDBY_ATTEMPTS = 40
STANDBY_PAUSE = 0.25
"""Seconds between two attempts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CreateInside(Step):
    """Create the schemas and extensions that settings name, before anything else is in the database.

    It has its real name by then: some extensions work in a database of a certain name only, as pg_cron does.

    :param owner: of the schemas; None for the role that we are.
    """

    name: str
    schemas: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    owner: str | None = None
    phase: int = FILL
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        named = [("schemas", self.schemas), ("extensions", self.extensions)]
        what = " and ".join(f"the {kind} {', '.join(names)}" for kind, names in named if names)
        return f'create {what} in "{self.name}"'

    def actions(self) -> tuple[Action, ...]:
        schemas = [ddl.CreateSchema(name, self.owner) for name in self.schemas]
        extensions = [ddl.CreateExtension(name) for name in self.extensions]
        return tuple(Plain(f"run {ddl.sql_text(each)}", (each,)) for each in (*schemas, *extensions))

    def faults(self, facts: Facts) -> Faults:
        yield from preflight.extensions(facts)

    def run(self, context: StepContext) -> None:
        # An extension is created in the first schema of the search path.
        with context.connector.open(self.name, own_search_path=False) as session:
            for action in self.actions():
                if context.make_extensions is None or isinstance(action.statements[0], ddl.CreateSchema):
                    context.send(action, to=session)
        if context.make_extensions is not None and self.extensions:
            context.make_extensions(self.name, self.extensions)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Initialize(Step):
    """Have the app fill the database, under its real name.

    :param how: what will run, in words.
    :param transient: whether the plan undoes everything when this fails.
    :param commits: whether some of it may stay when it fails.
    :param said: whether that it was done is an outcome of its own.
    :param aside: the name under which the former database is set aside, if a new one without any table must
        not take its place unless that had none either.
    """

    name: str
    how: str
    aside: str | None = None
    transient: bool = True
    commits: bool = True
    said: bool = False
    phase: int = FILL
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'initialize "{self.name}": {self.how}'

    def run(self, context: StepContext) -> None:
        assert context.initialize is not None, "the plan was built to initialize"
        if context.admin.pooled or len(context.connector.uri.hosts) > 1:
            _reach(context)
        try:
            with context.reporter.progress(f'initializing database "{self.name}"'):
                if context.made or context.fresh:
                    context.load_again()
                did = context.initialize(whole=self.transient)
            context.check()  # before anything else uses the connections
        finally:
            context.release()
        if self.aside is not None:
            self._refuse_nothing(context, self.aside)
        context.filled = True
        context.reporter.detail(did)
        if self.said:
            context.outcomes.append(f'database "{self.name}" was initialized')

    def _refuse_nothing(self, context: StepContext, aside: str) -> None:
        with context.connector.target() as session:
            if contents.count_tables(session):
                return
        opened = Plain(f'open "{aside}"', (ddl.AllowConnections(aside, True),))
        context.send(opened)
        with context.connector.open(aside) as session:
            lost = contents.count_tables(session)
        if lost:
            raise Refused(
                f'initializing "{self.name}" created no table, and the old database has {lost}.',
                remedy=(
                    "Import the models in the app, or register an init_db_callback",
                    Option("to replace it all the same: {}", "init_with", "create_all"),
                ),
            )
        context.send(Plain(f'close "{aside}"', (ddl.AllowConnections(aside, False),)))

    def remains(self, *, done: bool) -> str | None:  # noqa: ARG002
        stays = self.commits and not self.transient
        return f'What it had committed to "{self.name}" stays.' if stays else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadApp(Step):
    """Load the app while its database is there."""

    name: str
    phase: int = FILL
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'load the app, which connects to "{self.name}" meanwhile'

    def run(self, context: StepContext) -> None:
        assert context.initialize is not None, "the plan was built to load the app"
        context.initialize()


def _reach(context: StepContext) -> None:
    """Make sure that the URI leads to the target, before the app fills what it leads to.

    libpq asks several hosts in turn, and gives up at a standby that does not have the new database yet.
    A pooler may give an existing database the name of the new one.

    :raises Refused: if that is so.
    """
    for _ in range(STANDBY_ATTEMPTS if len(context.connector.uri.hosts) > 1 else 1):
        with contextlib.suppress(CannotConnect), context.connector.target():
            return
        context.sleep(STANDBY_PAUSE)
