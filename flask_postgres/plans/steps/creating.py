"""Steps that create a database."""

from __future__ import annotations

import dataclasses
import typing as t

from ...errors import DatabaseExists, DatabaseMissing, ServerError, ServerUnreachable
from ...postgres import ddl
from ...postgres.facts import Database, Facts, Grant, Parameter
from ...postgres.marks import Mark, Signature, State
from .. import preflight
from ..changes import Action, Change, Drop, Plain, Statements, Transaction, move
from ..context import StepContext
from ..identity import Found, look_up, lost_race, refuse_protected
from .base import SWAP, Faults, Step, vacate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rehearse(Step):
    """Create a database and drop it, before another one is dropped that could perhaps not be created again.

    :param like: that other one, whose privileges and settings are tried as well.
    """

    name: str
    of: str
    clauses: ddl.Clauses
    like: Database | None = None
    parameters: tuple[Parameter, ...] = ()

    def describe(self) -> str:
        return f'make sure that "{self.of}" can be created: create "{self.name}", and drop it'

    def actions(self) -> tuple[Action, ...]:
        carried = _carried(self.name, self.like, self.parameters)
        statements = (ddl.CreateDatabase(self.name, self.clauses), *carried, ddl.DropDatabase(self.name))
        return (Plain(f'create a database like "{self.of}"', statements),)

    def faults(self, facts: Facts) -> Faults:
        yield from preflight.creating(facts, self.clauses)

    def undo(self, context: StepContext) -> None:
        if look_up(context.admin, self.name) is not None:
            context.send(Drop(f'drop "{self.name}"', self.name))


@dataclasses.dataclass(frozen=True, kw_only=True)
class CreateDatabase(Step):
    """Create an empty database under its own name: one statement, all or nothing by itself.

    :param like: a former database, gone by then, whose comment, privileges and settings the new one gets.
    """

    name: str
    clauses: ddl.Clauses
    like: Database | None = None
    parameters: tuple[Parameter, ...] = ()

    def describe(self) -> str:
        return f'create database "{self.name}"'

    def actions(self) -> tuple[Action, ...]:
        comment = self.like.comment if self.like else None
        described = (ddl.CommentOnDatabase(self.name, comment),) if comment else ()
        return (
            Plain(self.describe(), (ddl.CreateDatabase(self.name, self.clauses),)),
            Plain(self.describe(), (*described, *_carried(self.name, self.like, self.parameters))),
        )

    def faults(self, facts: Facts) -> Faults:
        yield from preflight.creating(facts, self.clauses)

    def run(self, context: StepContext) -> None:
        create, describe = self.actions()
        context.made[self.name] = None
        try:
            with context.reporter.progress(f'creating database "{self.name}"'):
                context.send(create)
        except ServerUnreachable:
            raise  # the server may have created it all the same
        except ServerError as error:
            if error.sqlstate is not None:
                del context.made[self.name]
            raise
        found = look_up(context.admin, self.name)
        if found is None:
            raise lost_race(self.name)
        context.made[self.name] = found.oid
        context.send(describe)
        context.reporter.outcome(f'database "{self.name}" was created')

    def undo(self, context: StepContext) -> None:
        found = look_up(context.admin, self.name)
        if found is None or self.name not in context.made:
            return
        if context.made[self.name] is None:
            # Perhaps ours, perhaps another command's: it has no mark that would tell.
            context.remarks.append(f'Database "{self.name}" was created all the same, and is empty.')
        elif self.like is not None and context.filled:
            context.remarks.append(f'Database "{self.name}" is the new one, and complete.')
        elif context.made_here(self.name, found):
            refuse_protected(found, self.name)
            context.send(Drop(f'drop "{self.name}" again', self.name))
            context.reporter.outcome(f'database "{self.name}" was deleted again')


@dataclasses.dataclass(frozen=True, kw_only=True)
class MakeUnfinished(Step):
    """Create a database under a name of ours, and mark it as ours and unfinished.

    :param like: the former database, whose privileges and settings the new one gets.
    :param strategy: how the template is copied; None leaves that to the server.
    """

    name: str
    of: str
    by: Signature
    clauses: ddl.Clauses
    like: Database | None = None
    parameters: tuple[Parameter, ...] = ()
    strategy: str | None = None

    def describe(self) -> str:
        return f'{self._verb} database "{self.of}" under the name "{self.name}", marked as unfinished'

    @property
    def _verb(self) -> str:
        return "copy" if self.clauses.get("database_template") == self.of else "create"

    def actions(self) -> tuple[Action, ...]:
        doing = f'create database "{self.of}"'
        clauses = {key: value for key, value in self.clauses.items() if key != "connection_limit"}
        mark = Change(
            doing,
            first=(),
            name=self.name,
            check=self._check,
            then=self._marked,
            planned=Found(comment=self.like.comment if self.like else None),
        )
        carried = _carried(self.name, self.like, self.parameters)
        create = ddl.CreateDatabase(self.name, clauses, strategy=self.strategy)
        return (Plain(doing, (create,)), mark, Plain(doing, carried))

    def _check(self, found: Found | None) -> None:
        if found is None:
            raise lost_race(self.name)

    def _marked(self, found: Found) -> Statements:
        mark = Mark(State.UNFINISHED, self.of, self.by.token, oid=found.oid or None, server=self.by.server)
        return (ddl.CommentOnDatabase(self.name, mark.under(self.like.comment if self.like else None)),)

    def faults(self, facts: Facts) -> Faults:
        yield from preflight.creating(facts, self.clauses)

    def run(self, context: StepContext) -> None:
        create, mark, carry = self.actions()
        doing = "copying" if self._verb == "copy" else "creating"
        with context.reporter.progress(f'{doing} database "{self.of}"'):
            found = context.send(create, mark)
            assert found is not None, "the mark is only put on what is found"
            context.made[self.of] = found.oid
            context.send(carry)

    def undo(self, context: StepContext) -> None:
        # The name has this command's token: nobody else has created it.
        if look_up(context.admin, self.name) is not None:
            context.send(Drop(f'drop "{self.name}"', self.name, force=True))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Publish(Step):
    """Give the new database its real name; it keeps its mark."""

    name: str
    to: str
    by: Signature
    phase: int = SWAP

    def describe(self) -> str:
        return f'rename "{self.name}" to "{self.to}"'

    def actions(self) -> tuple[Action, ...]:
        return (Plain(self.describe(), (ddl.RenameDatabase(self.name, self.to),)),)

    def run(self, context: StepContext) -> None:
        try:
            context.send(*self.actions())
        except (DatabaseExists, DatabaseMissing) as error:
            raise lost_race(self.to) from error

    def undo(self, context: StepContext) -> None:
        found = look_up(context.admin, self.to)
        if found is None or not context.made_here(self.to, found):
            return
        vacate(context, self.to, found, self.by)
        doing = f'take "{self.to}" away'
        away = move(self.to, found, self.by, spare=self.name, doing=doing)
        context.send(Transaction(doing, (away,)))  # its creation is undone next


def _carried(name: str, like: Database | None, parameters: t.Sequence[Parameter]) -> Statements:
    grants = _grants(name, like.owner, like.grants) if like and like.grants is not None else ()
    settings = (ddl.SetInDatabase(name, item.name, item.value, item.role) for item in parameters)
    return (*grants, *settings)


def _grants(name: str, owner: str, grants: t.Sequence[Grant]) -> Statements:
    """Return what gives a new database the privileges of another, its owner's own where some were revoked."""
    whole = {item.privilege for item in grants if item.grantee == owner} >= {"CREATE", "CONNECT", "TEMPORARY"}
    given = [item for item in grants if not (whole and item.grantee == owner)]
    return (
        ddl.RevokeOnDatabase(name, None),
        *(() if whole else (ddl.RevokeOnDatabase(name, owner),)),
        *(ddl.GrantOnDatabase(name, item.privilege, item.grantee, item.grantable) for item in given),
    )
