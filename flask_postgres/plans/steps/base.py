"""What every step is."""

from __future__ import annotations

import dataclasses
import typing as t

from ...errors import FlaskPostgresError
from ...postgres import sessions
from ...postgres.facts import Facts
from ...postgres.marks import Signature
from ..changes import Action, Statements, close_unfinished
from ..context import StepContext
from ..identity import Found

Faults = t.Iterator[FlaskPostgresError]

MAKE, SWAP, REPLACE, FILL, FINISH, DISCARD = range(6)
"""The phases: over many databases, all of one come before any of the next. REPLACE is what SWAP is where the
server cannot swap: it drops for good, so it comes after everything before it that can fail."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a plan.

    ``undo`` is called for every step that has begun, also when it was interrupted in the middle, so it
    looks at what is there before it acts.
    """

    phase: int = MAKE
    final: t.ClassVar[bool] = False
    """Whether the step comes after the point of no return: it is never undone and not interrupted."""
    held: t.ClassVar[bool] = False
    """Whether it is too late to stop once the step is done, because nothing of it can be undone."""
    undoable: t.ClassVar[bool] = True

    def describe(self) -> str:
        """Say what the step does, in the imperative."""
        raise NotImplementedError

    def actions(self) -> tuple[Action, ...]:
        """Return what the step does to the server, in order. ``run`` sends these and nothing else."""
        return ()

    @t.final
    def statements(self) -> Statements:
        """Return the SQL of the actions, as far as it is known beforehand."""
        return tuple(statement for action in self.actions() for statement in action.statements)

    def faults(self, facts: Facts) -> Faults:  # noqa: ARG002
        """Yield every reason why the step would fail."""
        yield from ()

    def run(self, context: StepContext) -> None:
        """Do it."""
        context.send(*self.actions())

    def undo(self, context: StepContext) -> None:
        """Undo the step, or whatever part of it has happened."""

    def remains(self, *, done: bool) -> str | None:  # noqa: ARG002
        """Say what of the step stays although the plan has failed.

        :param done: whether the step came to its end.
        """
        return None


def vacate(context: StepContext, name: str, database: Found, by: Signature) -> None:
    """Get everybody out of a database that this command has made, and that is to be dropped.

    What the app has prepared there for a two-phase commit is rolled back: nothing else would ever end it.
    """
    others = sessions.of_others(context.admin, name, token=context.token)
    if sessions.has_prepared(context.admin, name):
        with context.connector.open(name) as inside:
            sessions.roll_back_prepared(inside)
    context.send(close_unfinished(name, database, by))
    sessions.end_all(context.admin, name)
    if others:
        context.lost.append(
            f'Others were connected to the new "{name}" ({others}); what they committed is lost.'
        )
