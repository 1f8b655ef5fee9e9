"""Steps of a reset inside the database: where none can be created, or where it holds our own administration.

What the app has is moved to schemas of ours, which bear a mark, and moved back if anything fails.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import typing as t

from sqlalchemy.schema import ExecutableDDLElement

from ...errors import FlaskPostgresError, PermissionDenied, Refused
from ...postgres import ddl, inside, marks, sessions
from ...postgres.facts import Database, Facts
from ...postgres.inside import Inside, Item, Schema
from ...postgres.marks import Mark, Signature, State
from ...remedies import Command, Option
from .. import preflight
from ..changes import Action, Plain, Statements, Together
from ..context import StepContext
from ..identity import lost_race
from .base import DISCARD, FINISH, SWAP, Faults, Step

BATCH = 50
"""How many objects one statement drops: each takes locks, of which the server has a limited number."""

PUBLIC = "public"
SHOWN = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class SetAsideInside(Step):
    """Set what the database holds aside, in schemas of ours.

    A schema that is wholly ours is renamed, so that the app can create it again. Out of any other, such as
    ``public``, the objects are moved one by one, and what an extension has there stays.

    :param old: the database.
    :param inside: what it holds.
    :param keep: whether schemas stay although they are empty: somebody has made them for the app.
    :param force: end other sessions first.
    """

    old: Database
    inside: Inside
    by: Signature
    keep: bool = False
    force: bool = False
    phase: int = SWAP

    def describe(self) -> str:
        return f'set what is in "{self.old.name}" aside, in schemas named like "{self._name(PUBLIC)}"'

    def actions(self) -> tuple[Action, ...]:
        return (Together(self.describe(), self._statements()),)

    def _statements(self) -> Statements:
        made: list[ExecutableDDLElement] = []
        moved: list[ExecutableDDLElement] = []
        items = {item: self._name(item.schema) for item in self.inside.items}
        for schema in self.inside.schemas:
            name = self._name(schema.name)
            if self._renamed(schema):
                made.append(ddl.RenameSchema(schema.name, name))
                items = {item: to for item, to in items.items() if item.schema != schema.name}
            elif self.keep or schema.owned or self.inside.of(schema) or schema.name == PUBLIC:
                # Also where nothing is in it: putting back drops every schema of ours that has no such twin.
                made.append(ddl.CreateSchema(name, new=True))
            else:
                continue
            made.append(self._marked(schema))
        if not made:  # there must be one that says what has happened
            made = [ddl.CreateSchema(self._name(PUBLIC), new=True), self._marked(Schema(name=PUBLIC))]
        moved = [ddl.SetSchema(item.kind, item.identity, to) for item, to in items.items()]
        return (*made, *moved)

    def _marked(self, schema: Schema, *, superseded: bool = False) -> ddl.CommentOnSchema:
        """Return what marks the schema that has the content of another; a renamed one keeps its comment."""
        renamed = self._renamed(schema)
        mark = Mark(
            State.ASIDE,
            schema.name,
            self.by.token,
            moved=not renamed,
            superseded=superseded,
            oid=self.inside.oid,
            server=self.by.server,
        )
        return ddl.CommentOnSchema(self._name(schema.name), mark.under(schema.comment if renamed else None))

    def marking(self, *, superseded: bool) -> Statements:
        """Return what marks all that was set aside."""
        return tuple(self._marked(schema, superseded=superseded) for schema in self._kept())

    def _kept(self) -> tuple[Schema, ...]:
        """Return each schema of which something is set aside."""
        return tuple(each for each in self.inside.schemas if self._renamed(each) or self.inside.of(each))

    def names(self) -> tuple[str, ...]:
        """Return the names of the schemas in which something is set aside."""
        return tuple(self._name(schema.name) for schema in self._kept())

    def markers(self) -> tuple[str, ...]:
        """Return the names of those schemas in which nothing is: they only say what has happened."""
        made = [each.name for each in self._statements() if isinstance(each, ddl.CreateSchema)]
        return tuple(name for name in made if name not in self.names())

    def marked_again(self) -> Statements:
        """Return what makes the one that says what has happened, where that was dropped."""
        return (ddl.CreateSchema(self._name(PUBLIC), new=True), self._marked(Schema(name=PUBLIC)))

    def _renamed(self, schema: Schema) -> bool:
        return not self.keep and schema.owned and not schema.shared and schema.name != PUBLIC

    def _name(self, schema: str) -> str:
        return marks.name_for_old(schema, self.by.token)

    def faults(self, facts: Facts) -> Faults:
        if self.old.state is State.PROTECTED and not self.keep:
            yield preflight.protected(self.old.name)
        if self.old.is_template and not self.keep:
            yield preflight.template(self.old)
        yield from preflight.depended_on(self.old)
        if not self.inside.may_create:
            yield PermissionDenied(
                f'the role "{facts.role.name}" may not create schemas in database "{self.old.name}".',
                remedy=preflight.granting_create(self.old.name, facts),
            )
        renamed = {schema.name for schema in self.inside.schemas if self._renamed(schema)}
        strange = [
            item for item in self.inside.items if not (item.owned or (item.inner and item.schema in renamed))
        ]
        if strange:
            named = ", ".join(f"{item.kind} {item.identity}" for item in strange[:SHOWN])
            more = f" and {len(strange) - SHOWN} more" if len(strange) > SHOWN else ""
            yield PermissionDenied(
                f'the role "{facts.role.name}" does not own all that is in "{self.old.name}": {named}{more}.',
                remedy="Have it dropped, or given to the role, by its owner; a range type can be kept in "
                "a schema of its own.",
            )
        if self.force:
            yield from preflight.ending_sessions(self.old, facts)

    def run(self, context: StepContext) -> None:
        context.release()
        with context.connector.target() as session:
            if self.force:
                sessions.end_all(context.admin, self.old.name, but=session.pid)
            if inside.read(session, server=self.by.server) != self.inside:
                raise lost_race(self.old.name)
            with context.reporter.progress(f'setting what is in "{self.old.name}" aside'):
                context.send(*self.actions(), to=session)
        context.fresh = True

    def undo(self, context: StepContext) -> None:
        with context.connector.target() as session:
            with contextlib.suppress(PermissionDenied):  # what is not ours to end may not be in the way
                sessions.end_all(context.admin, self.old.name, but=session.pid)
            now = inside.read(session, server=self.by.server)
            if any(schema.mark and schema.mark.token == self.by.token for schema in now.asides):
                context.send(*putting_back(self.old.name, now, token=self.by.token), to=session)
            made = [name for name in now.extensions if name not in self.inside.extensions]
            drop = Plain("drop the extensions", tuple(map(ddl.DropExtension, made)))
            context.send(drop, to=session)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinishInside(Step):
    """Mark what was set aside as superseded: once that is committed, the plan has succeeded.

    :param guarded: whether a new content without any table must not take the place of one that had some.
    :param outcomes: what is reported once every database of the command has got so far.
    """

    before: SetAsideInside
    guarded: bool = False
    outcomes: tuple[str, ...] = ()
    phase: int = FINISH

    @property
    def _dbname(self) -> str:
        return self.before.old.name

    def describe(self) -> str:
        return f'finish "{self._dbname}": from here on there is no way back'

    def actions(self) -> tuple[Action, ...]:
        return (self._marking(superseded=True, empty=self.before.markers()),)

    def _marking(self, *, superseded: bool, empty: t.Sequence[str] = ()) -> Action:
        marked = self.before.marking(superseded=superseded)
        return Together(f'finish database "{self._dbname}"', (*marked, *map(ddl.DropSchema, empty)))

    def run(self, context: StepContext) -> None:
        with context.connector.target() as session:
            if self.guarded:
                self._refuse_nothing(inside.read(session, server=self.before.by.server))
            context.send(*self.actions(), to=session)
        context.outcomes.extend(self.outcomes)

    def _refuse_nothing(self, now: Inside) -> None:
        if now.has_tables(now.asides) and not now.has_tables(now.schemas):
            raise Refused(
                f'initializing "{self._dbname}" created no table, and it had some before.',
                remedy=(
                    "Import the models in the app, or register an init_db_callback",
                    Option("to replace it all the same: {}", "init_with", "create_all"),
                ),
            )

    def undo(self, context: StepContext) -> None:
        """Take it back: with several databases, one that cannot finish takes all of them back."""
        with context.connector.target() as session:
            names = [schema.name for schema in inside.read(session, server=self.before.by.server).asides]
            marker = marks.name_for_old(PUBLIC, self.before.by.token)
            if marker not in names:
                again = self.before.marked_again()
                context.send(Together(f'mark "{self._dbname}" again', again), to=session)
            context.send(self._marking(superseded=False), to=session)
        context.outcomes.clear()


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscardInside(Step):
    """Drop what was set aside.

    :param dbname: the database in which it is.
    :param schemas: their names.
    :param late: whether the command has succeeded before, whatever happens here.
    """

    dbname: str
    schemas: tuple[str, ...]
    late: bool = True
    phase: int = DISCARD
    final: t.ClassVar[bool] = True
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'drop what was set aside in "{self.dbname}"'

    def actions(self) -> tuple[Action, ...]:
        return tuple(Plain(self.describe(), (ddl.DropSchema(name, cascade=True),)) for name in self.schemas)

    def run(self, context: StepContext) -> None:
        try:
            progress = context.reporter.progress(f'dropping the old content of "{self.dbname}"')
            with progress, context.connector.target() as session:
                found = inside.read(session, server=None)
                many = [item for item in found.all_items if item.schema in self.schemas]
                if len(many) > BATCH:
                    context.send(*dropping(many), to=session)
                context.send(*self.actions(), to=session)
        except FlaskPostgresError as error:
            if not self.late:
                raise
            context.reporter.note(
                f'Database "{self.dbname}" is complete. What it held before is left in '
                f"{', '.join(self.schemas)}: {error.message.rstrip('.')}.",
                Command("Remove it", "recover --discard"),
            )
            return
        context.reporter.outcome(f'the old content of "{self.dbname}" was deleted')


@dataclasses.dataclass(frozen=True, kw_only=True)
class PutBackInside(Step):
    """Put back what an interrupted reset has set aside, and drop what it had begun to put in its place.

    :param token: of that reset, in its marks.
    """

    dbname: str
    inside: Inside
    by: Signature
    token: str | None
    phase: int = SWAP
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'put back what was set aside in "{self.dbname}"'

    def actions(self) -> tuple[Action, ...]:
        return putting_back(self.dbname, self.inside, token=self.token)

    def run(self, context: StepContext) -> None:
        context.release()
        with context.connector.target() as session:
            if inside.read(session, server=self.by.server) != self.inside:
                raise lost_race(self.dbname)
            context.send(*self.actions(), to=session)
        context.reporter.outcome(f'database "{self.dbname}" was recovered')


def dropping(items: t.Iterable[Item]) -> tuple[Action, ...]:
    """Return what drops objects, in batches that the server's lock table holds."""
    found: list[Action] = []
    wanted = sorted((item for item in items if not item.inner and item.owned), key=_last)
    for kind, same in itertools.groupby(wanted, key=lambda item: item.kind):
        identities = [item.identity for item in same]
        for start in range(0, len(identities), BATCH):
            statement = ddl.DropObjects(kind, tuple(identities[start : start + BATCH]))
            found.append(Plain(f"drop {kind} {identities[start]}", (statement,)))
    return tuple(found)


def _last(item: Item) -> tuple[bool, bool, str]:
    """Return the order of dropping: tables first, because most of the others go with them; types last."""
    return (item.kind == "type", not item.kind.endswith("table"), item.kind)


def putting_back(dbname: str, now: Inside, *, token: str | None = None) -> tuple[Action, ...]:
    """Return what drops the present content of a database and puts that back which was set aside.

    Whatever lies in the app's schemas was put there since: all that had been there could be set aside.

    :param token: of the command that has set it aside.
    """
    asides = [schema for schema in now.asides if schema.mark and schema.mark.token == token]
    stay = {schema.mark.of for schema in asides if schema.mark and schema.mark.moved} | {PUBLIC}
    drop = [
        Plain(f'drop schema "{schema.name}"', (ddl.DropSchema(schema.name, cascade=True),))
        for schema in now.schemas
        if schema.owned and schema.name not in stay
    ]
    back: list[ExecutableDDLElement] = []
    for schema in asides:
        mark, of = schema.mark, (schema.mark and schema.mark.of) or PUBLIC
        if mark is not None and mark.moved:
            back += [ddl.SetSchema(item.kind, item.identity, of) for item in now.of(schema)]
            back.append(ddl.DropSchema(schema.name))
        else:
            back.append(ddl.RenameSchema(schema.name, of))
            back.append(ddl.CommentOnSchema(of, schema.comment))
    return (*dropping(now.items), *drop, Together(f'put back what "{dbname}" held', tuple(back)))
