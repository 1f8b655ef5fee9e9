"""Plans for ``reset`` and ``--overwrite``: a new database in the place of an old one."""

from __future__ import annotations

import typing as t

from ...errors import Refused
from ...postgres import marks
from ...postgres.facts import Database, Facts, Parameter
from ...postgres.marks import State
from ...remedies import Command, Option, Sql
from .. import preflight
from ..plan import Note, Plan, Request
from ..steps import (
    REPLACE,
    CloseToOthers,
    CreateDatabase,
    CreateInside,
    Discard,
    DiscardInside,
    DropDatabase,
    Finish,
    FinishInside,
    Initialize,
    MakeUnfinished,
    Protect,
    Rehearse,
    RunSeeds,
    SetAsideInside,
    Step,
    Swap,
)
from .situation import Situation, leftover_notes, removing_leftovers
from .undoing import discarding_kept, kept_outcome, undo_notes, why_not_kept


def replace(case: Situation, old: Database) -> Plan:
    """Plan to put a new database in the place of the old one, all or nothing where the server can."""
    request, facts = case.request, case.facts
    reason = why_inside(request, facts)
    if reason is not None:
        return _replace_inside(case, old, reason)
    if old.invalid:
        return _drop_first(case, old)
    if not facts.can.swap:
        raise _cannot_replace(case)
    parameters, lost = carried(old, facts)
    clauses: dict[str, t.Any] = {**inherited(old, facts), **request.clauses}
    new, aside = marks.name_for_new(case.name, case.token), marks.name_for_old(case.name, case.token)
    make = MakeUnfinished(
        name=new,
        of=case.name,
        by=case.by,
        clauses=clauses,
        like=old,
        parameters=parameters,
        strategy=copying(facts),
    )
    steps: list[Step] = [*removing_leftovers(case, agreed=request.force_disconnect), make]
    if request.force_disconnect or not all(session.counted for session in old.sessions):
        steps.append(CloseToOthers(database=old, by=case.by))
    steps.append(Swap(old=old, new=new, aside=aside, by=case.by))
    steps += filling(case, former=old, aside=None if request.init_chosen else aside)
    why = why_not_kept(case, old)
    steps.append(finish(case, former=old, aside=aside, keep=why is None))
    if why is not None:
        which = f'the old database "{case.name}"' if request.among_others else "the old database"
        steps.append(Discard(name=aside, of=case.name, outcome=f"{which} was deleted"))
    steps += discarding_kept(case)
    return Plan(
        request=request,
        steps=tuple(steps),
        destroys=old,
        notes=(
            *undo_notes(case, why),
            *lost,
            *_other_template(case, old),
            *leftover_notes(case, redone=True),
        ),
    )


def copying(facts: Facts) -> str | None:
    """Return how the template is copied best; None where that is for the server to choose."""
    return facts.can.strategy(facts.template.size) if facts.template and facts.template_name else None


def why_inside(request: Request, facts: Facts) -> str | None:
    """Return why only what is in the target is replaced, and not the database; None where that is."""
    old, role = facts.target, facts.role
    if old is None or old.invalid or request.reset_with == "database":
        return None
    if request.reset_with == "schema":
        return "reset_with is schema"
    if not facts.can.transactional_ddl:
        return None
    if not facts.can.rename:
        return facts.can.reason
    if not role.createdb:
        return f'the role "{role.name}" may not create databases'
    return "it is the one that this tool works from" if old.name == facts.admin_dbname else None


def _replace_inside(case: Situation, old: Database, reason: str) -> Plan:
    request, content = case.request, case.facts.inside
    if content is None:  # the engine looks wherever it is let in
        message = f'database "{case.name}" is closed to connections, so nothing in it can be replaced.'
        allow = f"ALTER DATABASE {preflight.quoted(case.name)} ALLOW_CONNECTIONS true"
        raise Refused(message, remedy=Sql("As its owner, run", allow))
    force = request.force_disconnect or not all(session.counted for session in old.sessions)
    first = SetAsideInside(old=old, inside=content, by=case.by, force=force)
    outcomes = [f'database "{case.name}" was emptied']
    if request.initializes:
        outcomes += [f'database "{case.name}" was initialized', *seeded(case)]
    steps: list[Step] = [first, *filling(case, former=old)]
    if request.protect:
        steps.append(Protect(name=case.name, by=case.by, target=old))
    guarded = request.initializes and not request.init_chosen
    steps.append(FinishInside(before=first, guarded=guarded, outcomes=tuple(outcomes)))
    if first.names():
        steps.append(DiscardInside(dbname=case.name, schemas=first.names()))
    notes = [Note(f"what is in the database is replaced, and not the database itself: {reason}")]
    if content.stays:
        notes.append(Note(f"this stays as it is: {', '.join(content.stays)}"))
    if request.clauses:
        notes.append(Note(f"for a new database only, and without effect here: {', '.join(request.clauses)}"))
    return Plan(request=request, steps=tuple(steps), destroys=old, notes=(*notes, *leftover_notes(case)))


def filling(
    case: Situation,
    *,
    former: Database | None = None,
    aside: str | None = None,
    transient: bool = True,
    said: bool = False,
    new: bool | None = None,
) -> t.Iterator[Step]:
    """Yield the steps that fill a database which has its real name: what settings name, then the app.

    :param former: the database that it replaces.
    :param new: whether there was nothing in it before, so that seeds run; None where ``transient`` tells.
    :param aside: see :class:`Initialize`; so for the others.
    """
    request, role = case.request, case.facts.role.name
    given = request.clauses if former else request.creation_clauses
    owner = given.get("owner") or (former and former.owner) or role
    if request.schemas or request.extensions:
        yield CreateInside(
            name=case.name,
            schemas=request.schemas,
            extensions=request.extensions,
            owner=None if owner == role else str(owner),
        )
    if request.initializes:
        yield Initialize(
            name=case.name,
            how=request.how,
            aside=aside,
            transient=transient,
            commits=request.init_commits,
            said=said,
        )
    if request.initializes and request.seeds and (transient if new is None else new):
        yield RunSeeds(name=case.name, seeds=request.seeds, transient=transient, said=said)


def finish(
    case: Situation, *, former: Database | None = None, aside: str | None = None, keep: bool = False
) -> Finish:
    """Return the step that makes a new database count as complete."""
    request = case.request
    limit = request.clauses.get("connection_limit", former.connection_limit if former else None)
    created, restored = f'database "{case.name}" was created', f'database "{case.name}" was restored'
    outcomes: list[str | Command] = [restored if request.command == "restore" else created]
    if request.initializes:
        outcomes.append(f'database "{case.name}" was initialized')
        outcomes += seeded(case)
    if keep:
        outcomes.append(kept_outcome(case))
    return Finish(
        name=case.name,
        by=case.by,
        former=former,
        aside=aside,
        keep=keep,
        connection_limit=int(limit) if limit is not None and int(limit) != -1 else None,
        protect=request.protect,
        outcomes=tuple(outcomes),
    )


def seeded(case: Situation) -> tuple[str, ...]:
    """Return what is said of seeds that have run, if there are any."""
    return (f'database "{case.name}" was seeded',) if case.request.seeds else ()


def by_force(case: Situation, database: Database) -> bool:
    """Tell whether a DROP has to end sessions: our own, and those that Citus keeps, are ended unasked."""
    wanted = case.request.force_disconnect or not all(session.counted for session in database.sessions)
    return wanted and case.facts.can.force


def _cannot_replace(case: Situation) -> Refused:
    """Return the refusal to drop a database first that cannot be replaced all or nothing."""
    can = case.facts.can
    message = f'database "{case.name}" cannot be replaced, all or nothing, because {can.reason}.'
    if case.request.command == "restore":
        return Refused(message)
    if can.transactional_ddl:
        return Refused(message, remedy=Option("Replace what is in it: {}", "reset_with", "schema"))
    return Refused(message, remedy=Command("If it may be lost, drop it before the next setup", "drop"))


def _drop_first(case: Situation, old: Database) -> Plan:
    """Plan to replace what an interrupted DROP has left: it can only be dropped."""
    request, facts = case.request, case.facts
    reason = f'"{old.name}" is what an interrupted DROP has left'
    parameters, lost = carried(old, facts)
    clauses: dict[str, t.Any] = {**inherited(old, facts), **request.clauses}
    if old.connection_limit >= 0:
        clauses.setdefault("connection_limit", old.connection_limit)
    rehearsal = marks.name_for_new(case.name, case.token)
    steps: list[Step] = [
        Rehearse(name=rehearsal, of=case.name, clauses=clauses, like=old, parameters=parameters),
        DropDatabase(database=old, force=by_force(case, old), phase=REPLACE),
        CreateDatabase(name=case.name, clauses=clauses, like=old, parameters=parameters, phase=REPLACE),
    ]
    steps += filling(case, former=old, said=True)
    if request.protect:
        steps.append(Protect(name=case.name, by=case.by, comment=old.comment))
    note = Note(f"this cannot be undone here: the database is dropped first, because {reason}")
    notes = (note, *lost, *_other_template(case, old), *leftover_notes(case))
    return Plan(request=request, steps=tuple(steps), destroys=old, notes=notes)


def inherited(old: Database, facts: Facts) -> dict[str, str]:
    clauses = {}
    if old.owner and old.owner != facts.role.name:
        clauses["owner"] = old.owner
    if old.tablespace != "pg_default":
        clauses["tablespace"] = old.tablespace
    return clauses


def carried(old: Database, facts: Facts) -> tuple[tuple[Parameter, ...], tuple[Note, ...]]:
    """Part the old database's parameters into those that we may set, and notes on the others."""
    kept, lost = [], []
    for item in old.parameters:
        others = item.role is not None and item.role != facts.role.name
        if facts.role.superuser or not (others or item.name.lower() in facts.superuser_only):
            kept.append(item)
            continue
        whose = f' of the role "{item.role}"' if item.role else ""
        lost.append(
            f"the setting {item.name}{whose} in this database will be lost: only a superuser may set it"
        )
    if old.labels:
        lost.append(f"security labels of this database will be lost: {old.labels}")
    if not (old.allow_connections or old.state is State.SNAPSHOT):
        lost.append("the new database will be open to connections, which this one is not")
    return tuple(kept), tuple(map(Note, lost))


def _other_template(case: Situation, old: Database) -> t.Iterator[Note]:
    """Say where the new database will be another one, because its template is and no setting says more."""
    template, given, carried = case.facts.template, case.request.clauses, old.tablespace
    if template is None:
        return
    compared = (
        ("encoding", "encoding", old.encoding, template.encoding),
        ("collation", "lc_collate", old.collate, template.collate),
        ("character classification", "lc_ctype", old.ctype, template.ctype),
        ("locale", "locale_provider", _locale(old), _locale(template)),
        # Another than pg_default is carried over; whether a role may name that one, nobody tells.
        ("tablespace", "tablespace", carried, carried if carried != "pg_default" else template.tablespace),
    )
    localized = not {"locale", "icu_locale"}.isdisjoint(given)
    for what, setting, before, after in compared:
        of_locale = setting not in ("encoding", "tablespace")
        if before != after and setting not in given and not (of_locale and localized):
            yield Note(f"the {what} will be {after} and no longer {before} (setting: {setting})")


def _locale(database: Database) -> str:
    """Return who knows the locale, and by what name if that is not libc."""
    return f"{database.provider} {database.locale}" if database.locale else database.provider
