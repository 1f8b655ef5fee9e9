"""All that this tool can do to a database: plans built from a request and facts, by pure functions."""

from __future__ import annotations

import dataclasses
import typing as t

from ..errors import AtWork, DatabaseMissing, FlaskPostgresError, Refused, ServerError
from ..postgres import marks
from ..postgres.ddl import Clauses
from ..postgres.facts import Database, Facts, Parameter
from ..postgres.marks import State
from ..remedies import Command
from . import checks
from .steps import (
    REPLACE,
    CloseToOthers,
    CreateDatabase,
    Discard,
    DropDatabase,
    Finish,
    Initialize,
    InstallExtensions,
    MakeUnfinished,
    Protect,
    Publish,
    Rehearse,
    RemoveLeftover,
    Step,
    Swap,
)

CommandName = t.Literal["create", "init", "drop", "setup", "reset", "protect", "unprotect", "recover"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user wants done to one database.

    :param clauses: the clauses of CREATE DATABASE, by their settings' names.
    :param among_others: whether the command is about other databases as well: all of them or none.
    :param how: what initializing will run, in words.
    """

    command: CommandName
    dbname: str
    clauses: Clauses = dataclasses.field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    overwrite: bool = False
    force_disconnect: bool = False
    if_missing: bool = False
    protect: bool = False
    among_others: bool = False
    how: str = "the app's own means"

    @property
    def may_destroy(self) -> bool:
        """Whether the command may need a confirmation."""
        return self.overwrite or self.command in ("drop", "reset", "unprotect", "recover")

    @property
    def initializes(self) -> bool:
        return self.command in ("init", "setup", "reset")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be done, as data.

    :param outcome: what is said of the state that was found, before the steps.
    :param destroys: the database that will be gone afterwards; it wants a confirmation.
    :param unprotects: the database that nothing will protect afterwards; likewise.
    :param unfinished: the database that an interrupted command has left unfinished, and that will be gone. It
        counts as absent, but somebody may have gone on with it; likewise.
    :param notes: what the user should know before confirming.
    """

    request: Request
    steps: tuple[Step, ...] = ()
    outcome: str | None = None
    destroys: Database | None = None
    unprotects: Database | None = None
    unfinished: Database | None = None
    notes: tuple[str, ...] = ()

    @property
    def ends_no_sessions(self) -> bool:
        """Whether sessions on what is destroyed have to be closed by whoever has them."""
        return not self.request.force_disconnect and self.request.command != "recover"

    @property
    def replaces(self) -> str | None:
        """The name of the database that a new one is put in the place of, all or nothing."""
        return next((step.old.name for step in self.steps if isinstance(step, Swap)), None)

    @property
    def at_stake(self) -> Database | None:
        """The database whose name the user has to type."""
        return self.destroys or self.unprotects or self.unfinished

    @property
    def doomed(self) -> tuple[Database, ...]:
        """Every database that only a confirmation may take away, or take the protection from."""
        dropped = (step.database for step in self.steps if isinstance(step, DropDatabase))
        return (*filter(None, (self.at_stake,)), *dropped)

    def faults(self, facts: Facts) -> t.Iterator[FlaskPostgresError]:
        """Yield every reason why the plan must not begin."""
        if self.steps:
            yield from checks.server(facts)
        for step in self.steps:
            yield from step.faults(facts)
        if self.destroys is not None and self.ends_no_sessions:
            yield from checks.open_sessions(self.destroys)


def build(request: Request, facts: Facts, *, token: str) -> Plan:
    """Build the plan of a command.

    :param token: names the command in the marks that it leaves.
    :raises Refused: if an earlier command was interrupted and only ``recover`` can decide what to keep,
        or another command is at work on the database.
    :raises DatabaseMissing: if there is nothing to initialize.
    """
    builders = {"create": _create, "init": _init, "drop": _drop, "setup": _create, "reset": _reset}
    return builders[request.command](_Situation(request, facts, token))


def refuse_at_work(facts: Facts, dbname: str) -> None:
    """Refuse to touch a database that a living command is making or has closed.

    :raises AtWork: if so. It may be over in a moment: such a command is undoing, has lost its turn, or
        takes its turns elsewhere.
    """
    target = facts.target
    if target is not None and target.maker_alive and target.state in (State.UNFINISHED, State.BLOCKED):
        raise at_work(dbname)


def at_work(dbname: str) -> AtWork:
    """Return the refusal to touch what a living command is busy with."""
    message = f'another command is at work on database "{dbname}".'
    return AtWork(message, remedy=Command("Wait until it is done", "status"))


@dataclasses.dataclass(frozen=True, slots=True)
class _Situation:
    request: Request
    facts: Facts
    token: str

    @property
    def name(self) -> str:
        return self.request.dbname

    @property
    def present(self) -> Database | None:
        """The target, unless a command that is gone has left it unfinished: that counts as absent."""
        target = self.facts.target
        return None if target is None or target.abandoned else target


def _create(case: _Situation) -> Plan:
    """Plan ``create`` and ``setup``: they differ in what fills the database alone."""
    request, target = case.request, case.present
    _refuse_interrupted(case)
    if target is None:
        unfinished = case.facts.target if request.overwrite else None
        return Plan(request=request, steps=(*_leftovers(case), *_make(case)), unfinished=unfinished)
    if request.overwrite:
        return _replace(case, target)
    if target.invalid:
        raise _invalid(target)
    exists, notes = f'database "{case.name}" already exists', _leftover_notes(case)
    if request.command == "create" or request.if_missing:
        return Plan(request=request, outcome=exists, notes=notes)
    fill = Initialize(name=case.name, how=request.how, transient=False, said=True)
    return Plan(request=request, steps=(fill,), outcome=exists, notes=notes)


def _init(case: _Situation) -> Plan:
    target = case.facts.target
    _refuse_interrupted(case)
    if target is None:
        raise DatabaseMissing(
            f'database "{case.name}" does not exist.', remedy=Command("Create and fill it", "setup")
        )
    if target.abandoned:
        message = f'database "{case.name}" is not complete: the command that made it was interrupted.'
        raise Refused(message, remedy="Run: flask psql recover, or flask psql setup")
    if target.invalid:
        raise _invalid(target)
    fill = Initialize(name=case.name, how=case.request.how, transient=False, said=True)
    return Plan(request=case.request, steps=(fill,), notes=_leftover_notes(case))


def _drop(case: _Situation) -> Plan:
    target, notes = case.facts.target, _leftover_notes(case)
    if target is None:
        return Plan(request=case.request, outcome=f'database "{case.name}" does not exist', notes=notes)
    refuse_at_work(case.facts, case.name)
    step = DropDatabase(database=target, force=_by_force(case, target))
    return Plan(request=case.request, steps=(step,), destroys=target, notes=notes)


def _reset(case: _Situation) -> Plan:
    _refuse_interrupted(case)
    if case.present is None:
        steps = (*_leftovers(case), *_make(case))
        return Plan(request=case.request, steps=steps, unfinished=case.facts.target)
    return _replace(case, case.present)


def _make(case: _Situation) -> t.Iterator[Step]:
    """Yield the steps that make a database where there is none."""
    request, name = case.request, case.name
    simple = not (request.initializes or request.extensions or request.protect or request.among_others)
    if simple or not (case.facts.can.swap and case.facts.can.force):
        yield CreateDatabase(name=name, clauses=request.clauses)
        if request.extensions:
            yield InstallExtensions(name=name, extensions=request.extensions)
        if request.initializes:
            yield Initialize(name=name, how=request.how, said=True)
        if request.protect:
            yield Protect(name=name)
        return
    temporary = marks.name_for_new(name, case.token)
    yield MakeUnfinished(name=temporary, of=name, token=case.token, clauses=request.clauses)
    if request.extensions:
        yield InstallExtensions(name=temporary, extensions=request.extensions)
    yield Publish(name=temporary, to=name)
    if request.initializes:
        yield Initialize(name=name, how=request.how)
    yield from _finish(case)


def _replace(case: _Situation, old: Database) -> Plan:
    """Plan to put a new database in the place of the old one, all or nothing where the server can."""
    request, facts = case.request, case.facts
    if not facts.can.swap or old.invalid:
        return _replace_without_swap(case, old)
    parameters, lost = _carried(old, facts)
    clauses: dict[str, t.Any] = {**_inherited(old, facts), **request.clauses}
    new, aside = marks.name_for_new(case.name, case.token), marks.name_for_old(case.name, case.token)
    steps: list[Step] = [
        *_leftovers(case),
        MakeUnfinished(
            name=new, of=case.name, token=case.token, clauses=clauses, like=old, parameters=parameters
        ),
    ]
    if request.extensions:
        steps.append(InstallExtensions(name=new, extensions=request.extensions))
    if request.force_disconnect or any(session.citus for session in old.sessions):
        steps.append(CloseToOthers(database=old, token=case.token))
    steps.append(Swap(old=old, new=new, aside=aside, token=case.token))
    if request.initializes:
        steps.append(Initialize(name=case.name, how=request.how))
    steps.extend(_finish(case, former=old, aside=aside))
    steps.append(Discard(name=aside, of=case.name))
    return Plan(
        request=request,
        steps=tuple(steps),
        destroys=old,
        notes=(*lost, *_other_template(case, old), *_leftover_notes(case, redone=True)),
    )


def _replace_without_swap(case: _Situation, old: Database) -> Plan:
    request, facts = case.request, case.facts
    reason = facts.can.reason or f'"{old.name}" is what an interrupted DROP has left'
    parameters, lost = _carried(old, facts)
    clauses: dict[str, t.Any] = {**_inherited(old, facts), **request.clauses}
    if old.connection_limit >= 0:
        clauses.setdefault("connection_limit", old.connection_limit)
    rehearsal = marks.name_for_new(case.name, case.token)
    steps: list[Step] = [
        Rehearse(name=rehearsal, of=case.name, clauses=clauses, like=old, parameters=parameters),
        DropDatabase(database=old, force=_by_force(case, old), phase=REPLACE),
        CreateDatabase(name=case.name, clauses=clauses, like=old, parameters=parameters, phase=REPLACE),
    ]
    if request.extensions:
        steps.append(InstallExtensions(name=case.name, extensions=request.extensions, phase=REPLACE))
    if request.initializes:
        steps.append(Initialize(name=case.name, how=request.how, said=True))
    if request.protect:
        steps.append(Protect(name=case.name, comment=old.comment))
    note = f"this can't be undone here: the database is dropped first, because {reason}"
    notes = (note, *lost, *_other_template(case, old), *_leftover_notes(case))
    return Plan(request=request, steps=tuple(steps), destroys=old, notes=notes)


def _finish(
    case: _Situation, *, former: Database | None = None, aside: str | None = None
) -> t.Iterator[Step]:
    request = case.request
    limit = request.clauses.get("connection_limit", former.connection_limit if former else None)
    outcomes = [f'database "{case.name}" was created']
    if request.initializes:
        outcomes.append(f'database "{case.name}" was initialized')
    yield Finish(
        name=case.name,
        token=case.token,
        former=former,
        aside=aside,
        connection_limit=int(limit) if limit is not None and int(limit) != -1 else None,
        protect=request.protect,
        outcomes=tuple(outcomes),
    )


def _by_force(case: _Situation, database: Database) -> bool:
    """Tell whether a DROP has to end sessions: those that Citus keeps are ended without asking."""
    wanted = case.request.force_disconnect or any(session.citus for session in database.sessions)
    return wanted and case.facts.can.force


def _leftovers(case: _Situation) -> t.Iterator[Step]:
    yield from removing_leftovers(case.facts, in_use=case.request.force_disconnect)


def removing_leftovers(facts: Facts, *, in_use: bool = False) -> t.Iterator[RemoveLeftover]:
    """Yield the steps that remove what interrupted commands had begun to make.

    :param in_use: whether others may have sessions on what stands under the real name.
    """
    target = facts.target
    if target is not None and target.abandoned:
        token = target.mark.token if target.mark else None
        movable = token is not None and facts.can.swap and facts.role.createdb
        spare = marks.name_for_new(target.name, token) if token is not None and movable else None
        yield RemoveLeftover(database=target, in_use=in_use, spare=spare)
    for item in facts.unmade:
        if item.owned:
            yield RemoveLeftover(database=item)


def _inherited(old: Database, facts: Facts) -> dict[str, str]:
    clauses = {}
    if old.owner and old.owner != facts.role.name:
        clauses["owner"] = old.owner
    if old.tablespace != "pg_default":
        clauses["tablespace"] = old.tablespace
    return clauses


def _carried(old: Database, facts: Facts) -> tuple[tuple[Parameter, ...], tuple[str, ...]]:
    """Part the old database's parameters into those that we may set, and notes on the others."""
    carried, lost = [], []
    for item in old.parameters:
        others = item.role is not None and item.role != facts.role.name
        if facts.role.superuser or not (others or item.name.lower() in facts.superuser_only):
            carried.append(item)
            continue
        whose = f' of the role "{item.role}"' if item.role else ""
        lost.append(
            f"the setting {item.name}{whose} in this database will be lost: only a superuser may set it"
        )
    if old.labels:
        lost.append(f"security labels of this database will be lost: {old.labels}")
    if not old.allow_connections:
        lost.append("the new database will be open to connections, which this one is not")
    return tuple(carried), tuple(lost)


def _other_template(case: _Situation, old: Database) -> t.Iterator[str]:
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
            yield f"the {what} will be {after} and no longer {before} (setting: {setting})"


def _locale(database: Database) -> str:
    """Return who knows the locale, and by what name if that is not libc."""
    return f"{database.provider} {database.locale}" if database.locale else database.provider


def _refuse_interrupted(case: _Situation) -> None:
    refuse_at_work(case.facts, case.name)
    target, aside = case.facts.target, case.facts.aside
    if target is not None and target.state in (State.BLOCKED, State.ASIDE):
        message = f'an interrupted command has left database "{case.name}" closed to connections.'
        raise Refused(message, remedy=Command("Open it again", "recover"))
    if aside is not None and (target is None or target.abandoned):
        message = f'an interrupted reset has set database "{case.name}" aside as "{aside.name}".'
        them = "it" if len(case.facts.asides) == 1 else "all that are set aside"
        raise Refused(
            message, remedy=f"Put it back: flask psql recover, or drop {them}: flask psql recover --discard"
        )


def _leftover_notes(case: _Situation, *, redone: bool = False) -> tuple[str, ...]:
    """Point at what interrupted commands have left, and at a flag without effect.

    :param redone: whether the plan itself removes the beginnings that it may remove.
    """
    asides = [item for item in case.facts.asides if not item.maker_alive]
    notes = []
    if case.request.force_disconnect and not case.facts.can.force:
        notes.append(f"--force-disconnect has no effect: {case.facts.can.product} has no FORCE")
    notes += [
        f'an interrupted reset has left a former database as "{item.name}". '
        "Put it back: flask psql recover, or drop it: flask psql recover --discard"
        for item in asides
    ]
    unmade = [item for item in case.facts.unmade if not (redone and item.owned)]
    notes += [
        f'an interrupted command has left "{item.name}" unfinished. Remove it: flask psql recover'
        for item in unmade
    ]
    return tuple(notes)


def _invalid(target: Database) -> ServerError:
    message = f'database "{target.name}" cannot be used: a DROP of it was interrupted.'
    return ServerError(message, remedy=Command("Remove what is left", "drop"))
