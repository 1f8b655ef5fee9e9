"""Ask for the name of what will be lost."""

from __future__ import annotations

import datetime
import sys
import typing as t

import click

from ..errors import NotConfirmed
from ..plans.engine import Planned
from ..plans.plan import Note, Plan
from ..plans.steps import Discard
from ..postgres.facts import Database, Facts
from ..postgres.marks import State
from ..remedies import Command, Option, joined
from ..sizes import size_text
from .boundary import printable
from .context import Invocation

if t.TYPE_CHECKING:
    from ..uri import PostgresUri


def confirmation(
    invocation: Invocation, *, contents: t.Callable[[PostgresUri], str | None]
) -> t.Callable[[t.Sequence[Planned]], None]:
    """Return what asks the user about each database at stake.

    :param contents: tells what is in a database, for somebody who reads the question; None where it cannot.
    """

    def ask(planned: t.Sequence[Planned]) -> None:
        for plan, facts, uri in planned:
            if plan.at_stake is None:
                continue
            holds = contents(uri) if sys.stdin.isatty() and plan.at_stake.name == uri.dbname else None
            lines = [
                *_summary(plan.at_stake, facts, holds),
                *_former(plan, facts),
                *(f"Note: {_text(invocation, note)}" for note in plan.notes),
            ]
            if plan.request.command == "recover" and facts.aside:
                compared = [("now there", facts.target), ("set aside", facts.aside)]
                lines += [_compared(label, database) for label, database in compared if database]
            if plan.unfinished is not None and plan.request.command != "discard":
                lines.append(invocation.render(Command("To keep it", "recover")))
            kind = "snapshot" if plan.at_stake.state is State.SNAPSHOT else "database"
            text = invocation.hide(f"This {kind} {_fate(plan)}:\n" + "\n".join(lines))
            click.echo(printable(text, keep="\n"), err=True)
            expect_name(invocation, plan.at_stake.called)

    return ask


def _fate(plan: Plan) -> str:
    if plan.rewrites is not None:
        return "will lose the rows of the tables that seeds fill"
    if plan.destroys is not None and plan.keeps:
        done = "dropped" if plan.request.command == "drop" else "replaced"
        return f"will be {done}, and kept for flask psql undo until the next reset or drop"
    if plan.destroys is not None and plan.inside:
        return "will lose what is in it for good"
    if plan.destroys is not None:
        return "will be lost for good"
    if plan.unprotects is not None:
        return "will no longer be protected"
    if plan.restores is not None:
        return f'belongs to the role "{plan.restores.owner}", and will be put back'
    return "was left incomplete by an interrupted command, and will be lost for good"


def _text(invocation: Invocation, note: Note) -> str:
    return joined(note.text, remedies=[invocation.render(remedy) for remedy in note.remedies])


def embedded_text(facts: Facts) -> str:
    """Return whose the embedded server is, where that is another account's."""
    uid = facts.others_account
    return "" if uid is None else f", embedded, of another account of this machine (uid {uid})"


def _summary(database: Database, facts: Facts, holds: str | None) -> t.Iterator[str]:
    sessions = len([session for session in database.sessions if session.counted])
    rows = [
        ("server", facts.address + embedded_text(facts)),
        ("user", facts.role.name),
        ("snapshot" if database.state is State.SNAPSHOT else "database", database.called),
        ("size", size_text(database.size) + (f", {holds}" if holds else "")),
        ("sessions", str(sessions)),
    ]
    return (f"  {name:<9} {value}" for name, value in rows)


def _former(plan: Plan, facts: Facts) -> t.Iterator[str]:
    dropped = {step.name for step in plan.steps if isinstance(step, Discard)}
    for item in facts.kept:
        if item.name in dropped:
            yield f"Kept until now, and lost by this: the former database of {kept_since(item)}"


def kept_since(former: Database) -> str:
    """Return since when a former database is kept, and its size, as a person reads them."""
    return f"{time_text(former.kept_at)}, {size_text(former.size)}"


def time_text(milliseconds: int) -> str:
    """Return a time, without its date if that is today's."""
    when = datetime.datetime.fromtimestamp(milliseconds / 1000)
    today = when.date() == datetime.datetime.now().date()
    return f"{when:{'%H:%M' if today else '%Y-%m-%d %H:%M'}}"


def _compared(label: str, database: Database) -> str:
    return f'  {label}: "{database.name}" of the role "{database.owner}", {size_text(database.size)}'


def expect_name(invocation: Invocation, name: str, *, of: str = "database") -> None:
    """Read a name from the user.

    :raises NotConfirmed: if it is another one, or none.
    """
    # Not click.prompt: some of its versions write a blank on stdout, which is for data.
    click.echo(f"Type the {of} name to confirm: ", nl=False, err=True)
    try:
        answer = input()
    except UnicodeDecodeError:
        answer = ""
    except (EOFError, KeyboardInterrupt):
        click.echo(err=True)
        raise NotConfirmed(
            "no confirmation received; nothing was changed.",
            remedy=Option("To skip the confirmation: {}", "force"),
        ) from None
    if not sys.stdin.isatty():
        click.echo(err=True)  # an answer through a pipe ends no line on the screen
    if answer != name:
        raise NotConfirmed(f'that is not "{name}", so nothing was done.')
    invocation.reporter.detail("confirmed")
