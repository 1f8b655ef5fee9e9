"""Steps for the app's own role, where another one administers (``admin_uri``)."""

from __future__ import annotations

import dataclasses
import typing as t

from ...errors import CannotConnect, FlaskPostgresError, PermissionDenied
from ...postgres import ddl
from ...postgres.facts import Facts
from ...remedies import Sql
from .. import preflight
from ..changes import Action, Plain
from ..context import StepContext
from .base import DISCARD, Faults, Step


@dataclasses.dataclass(frozen=True, kw_only=True)
class CreateRole(Step):
    """Create the role that the app connects as. It may log in, and nothing else.

    Only a verifier of its password is sent, which is computed here.
    """

    name: str
    password: str | None = dataclasses.field(repr=False)

    def describe(self) -> str:
        return f'create the role "{self.name}", which the app connects as'

    def actions(self) -> tuple[Action, ...]:
        return (self._creating(None if self.password is None else "***"),)

    def _creating(self, verifier: str | None) -> Action:
        return Plain(f'create the role "{self.name}"', (ddl.CreateRole(self.name, verifier),))

    def faults(self, facts: Facts) -> Faults:
        if not facts.role.createrole:
            yield PermissionDenied(
                f'the role "{self.name}" does not exist, and "{facts.role.name}" may not create roles.',
                remedy=Sql("As a superuser, run", f"CREATE ROLE {preflight.quoted(self.name)} LOGIN"),
            )

    def run(self, context: StepContext) -> None:
        password = self.password
        verifier = None if password is None else context.admin.verifier(self.name, password)
        context.send(self._creating(verifier))
        context.role_made = True
        try:
            context.connector.open(context.admin.dbname, as_app=True).close()
        except CannotConnect as error:  # it need not be let into that database
            if error.refuses_password:
                raise CannotConnect(
                    f'the role "{self.name}" was created where admin_uri leads, and the target refuses it: '
                    f"{error.message}",
                    remedy="Let both URIs lead to the same server.",
                ) from error
        context.outcomes.append(f'the role "{self.name}" was created')

    def undo(self, context: StepContext) -> None:
        if context.role_made:
            context.send(Plain(f'drop the role "{self.name}"', (ddl.DropRole(self.name),)))
            context.role_made = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class BorrowRole(Step):
    """Have the rights of the app's role, as only a superuser has them without that."""

    name: str
    explicit: bool

    def describe(self) -> str:
        return f'have the rights of the role "{self.name}" for the time being'

    def actions(self) -> tuple[Action, ...]:
        return (Plain(self.describe(), (ddl.GrantRole(self.name, self.explicit),)),)

    def undo(self, context: StepContext) -> None:
        context.send(*_giving_back(self.name))


@dataclasses.dataclass(frozen=True, kw_only=True)
class GiveRoleBack(Step):
    """Do without the rights of the app's role again."""

    name: str
    phase: int = DISCARD
    final: t.ClassVar[bool] = True
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'give the rights of the role "{self.name}" back'

    def actions(self) -> tuple[Action, ...]:
        return _giving_back(self.name)

    def run(self, context: StepContext) -> None:
        try:
            context.send(*self.actions())
        except FlaskPostgresError as error:
            context.reporter.note(f"{error.message} The rights are kept.")


def _giving_back(name: str) -> tuple[Action, ...]:
    return (Plain(f'give the rights of "{name}" back', (ddl.RevokeRole(name),)),)
