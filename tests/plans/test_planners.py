"""Plans are pure: from a request and supplied facts to a list of steps, without a server."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from flask_postgres import PostgresUri
from flask_postgres.errors import AtWork, DatabaseInUse, DatabaseMissing, Refused, ServerError
from flask_postgres.plans.engine import Planned, _at_stake
from flask_postgres.plans.plan import CommandName, Plan, Request
from flask_postgres.plans.planners import build
from flask_postgres.plans.steps import Discard, Exchange, Finish, MakeUnfinished, Step, Swap
from flask_postgres.postgres.capabilities import Capabilities, from_answers
from flask_postgres.postgres.ddl import sql_text
from flask_postgres.postgres.facts import INVALID, Database, Facts, Grant, OtherSession, Parameter, Role
from flask_postgres.postgres.inside import Inside
from flask_postgres.postgres.marks import Mark, State, name_for_new, name_for_old
from flask_postgres.remedies import Command

TOKEN = "0badcafe"
UNDO_PURPOSE = "To swap back what the last command took away"
ROLE = Role(name="me")
SHOP = Database(name="shop", oid=7, owner="me")
OTHER = OtherSession(pid=1, user="ann", application="psql", address=None)
CITUS = OtherSession(pid=2, user="me", application="Citus Maintenance Daemon: 1/2", address=None, citus=True)


def facts(target: Database | None = None, *relatives: Database, **more: t.Any) -> Facts:
    return Facts(role=more.pop("role", ROLE), target=target, relatives=relatives, **more)


def plan(command: CommandName, known: Facts, **request: t.Any) -> Plan:
    return build(Request(command=command, dbname="shop", how="x", **request), known, token=TOKEN)


def names(made: Plan) -> list[str]:
    return [type(step).__name__ for step in made.steps]


def step(made: Plan, kind: type[Step]) -> t.Any:
    (found,) = [one for one in made.steps if type(one) is kind]
    return found


def marked(state: State, *, alive: bool = False, name: str = "shop", **more: t.Any) -> Database:
    mark = Mark(state, of="shop", token="11111111")
    return dataclasses.replace(SHOP, name=name, mark=mark, maker_alive=alive, **more)


MAKING = ["MakeUnfinished", "Publish", "Initialize", "Finish"]
OVERWRITING = ["MakeUnfinished", "Swap", "Finish"]
RESETTING = ["MakeUnfinished", "Swap", "Initialize", "Finish"]


@pytest.mark.parametrize(
    ("command", "target", "request_", "expected", "outcome"),
    [
        ("create", None, {}, ["CreateDatabase"], None),
        ("create", None, {"protect": True}, ["MakeUnfinished", "Publish", "Finish"], None),
        ("create", None, {"among_others": True}, ["MakeUnfinished", "Publish", "Finish"], None),
        (
            "create",
            None,
            {"extensions": ("a",)},
            ["MakeUnfinished", "Publish", "CreateInside", "Finish"],
            None,
        ),
        ("create", SHOP, {}, [], 'database "shop" already exists'),
        ("create", SHOP, {"overwrite": True}, OVERWRITING, None),
        ("create", SHOP, {"overwrite": True, "final": True}, [*OVERWRITING, "Discard"], None),
        ("setup", None, {}, MAKING, None),
        ("setup", None, {"if_missing": True}, MAKING, None),
        ("setup", SHOP, {}, ["Initialize"], 'database "shop" already exists'),
        ("create", SHOP, {"extensions": ("x",)}, ["CreateInside"], 'database "shop" already exists'),
        ("init", SHOP, {"extensions": ("x",)}, ["CreateInside", "Initialize"], None),
        ("setup", None, {"schemas": ("x",)}, [*MAKING[:2], "CreateInside", *MAKING[2:]], None),
        ("setup", SHOP, {"if_missing": True}, [], 'database "shop" already exists'),
        ("setup", SHOP, {"overwrite": True}, RESETTING, None),
        ("init", SHOP, {}, ["Initialize"], None),
        ("drop", None, {}, [], 'database "shop" does not exist'),
        ("drop", SHOP, {}, ["Swap"], None),
        ("drop", SHOP, {"final": True}, ["Swap", "DropDatabase"], None),
        ("drop", SHOP, {"force_disconnect": True}, ["CloseToOthers", "Swap"], None),
        ("reset", None, {}, MAKING, None),
        ("reset", SHOP, {}, RESETTING, None),
        ("reset", SHOP, {"undo_limit": 0}, [*RESETTING, "Discard"], None),
        ("undo", SHOP, {}, [], 'nothing to undo for database "shop": no former one is kept'),
        (
            "reset",
            SHOP,
            {"force_disconnect": True},
            ["MakeUnfinished", "CloseToOthers", *RESETTING[1:]],
            None,
        ),
        (
            "reset",
            SHOP,
            {"extensions": ("a",)},
            [*RESETTING[:2], "CreateInside", *RESETTING[2:]],
            None,
        ),
    ],
)
def test_plans(
    command: CommandName,
    target: Database | None,
    request_: dict[str, t.Any],
    expected: list[str],
    outcome: str | None,
) -> None:
    made = plan(command, facts(target), **request_)
    assert (names(made), made.outcome) == (expected, outcome)
    takes_away = target is not None and (command in ("drop", "reset") or bool(request_.get("overwrite")))
    assert made.destroys == (target if takes_away else None)


def test_the_steps_keep_their_phases() -> None:
    """Over many databases all of one phase come before any of the next, so the order must be theirs."""
    for known in (facts(), facts(SHOP)):
        for command in t.get_args(CommandName)[:5]:
            if (command, known.target) != ("init", None):
                phases = [one.phase for one in plan(command, known).steps]
                assert phases == sorted(phases)


def test_nothing_is_dropped_before_the_new_one_is_complete() -> None:
    options = {"extensions": ("a",), "force_disconnect": True, "protect": True}
    made = plan("reset", facts(SHOP), final=True, **options)
    dropping = [
        index for index, one in enumerate(made.steps) if any("DROP" in sql_text(s) for s in one.statements())
    ]
    assert dropping == [len(made.steps) - 1]
    assert made.steps[-1].final
    assert isinstance(made.steps[-2], Finish)


def test_init_of_nothing() -> None:
    with pytest.raises(DatabaseMissing, match="flask psql setup"):
        plan("init", facts())


# What interrupted commands have left


@pytest.mark.parametrize("command", ["create", "setup", "reset"])
def test_an_abandoned_target_is_removed_and_redone(command: CommandName) -> None:
    made = plan(command, facts(marked(State.UNFINISHED)))
    assert names(made)[0] == "RemoveLeftover"
    assert names(made)[1:] == (["CreateDatabase"] if command == "create" else MAKING)
    assert made.destroys is None, "nothing in it was ever complete, so nobody is asked"


def test_an_abandoned_target_is_not_initialized() -> None:
    with pytest.raises(Refused, match="left incomplete"):
        plan("init", facts(marked(State.UNFINISHED)))


@pytest.mark.parametrize("request_", [{}, {"if_missing": True}])
@pytest.mark.parametrize("command", ["create", "setup"])
def test_rows_in_an_abandoned_target_are_never_dropped_unasked(
    command: CommandName, request_: dict[str, t.Any]
) -> None:
    with pytest.raises(DatabaseInUse, match="flask psql recover, or to create it anew: flask psql reset"):
        plan(command, facts(marked(State.UNFINISHED, holds_rows=True)), **request_)


def test_rows_in_an_abandoned_target_are_kept_by_recover() -> None:
    busy = facts(marked(State.UNFINISHED, holds_rows=True))
    assert names(plan("recover", busy)) == ["Reopen"]
    assert plan("discard", busy).unfinished == busy.target
    assert plan("reset", busy).unfinished == busy.target


def test_without_createdb_the_database_is_dropped_under_its_own_name() -> None:
    made = plan("drop", facts(SHOP, role=Role(name="me", createdb=False)))
    assert names(made) == ["DropDatabase"]
    assert "cannot rename" in made.notes[0].text


@pytest.mark.parametrize("command", ["create", "setup", "reset", "drop"])
@pytest.mark.parametrize("state", [State.UNFINISHED, State.BLOCKED])
def test_a_target_that_somebody_works_on(command: CommandName, state: State) -> None:
    with pytest.raises(AtWork, match="another command is at work"):
        plan(command, facts(marked(state, alive=True)))


@pytest.mark.parametrize("command", ["create", "setup", "reset", "init"])
def test_a_blocked_target(command: CommandName) -> None:
    with pytest.raises(Refused, match="flask psql recover"):
        plan(command, facts(marked(State.BLOCKED)))


@pytest.mark.parametrize("command", ["create", "setup", "reset", "init"])
@pytest.mark.parametrize("target", [None, marked(State.UNFINISHED)])
def test_a_former_database_is_never_forgotten(command: CommandName, target: Database | None) -> None:
    aside = marked(State.ASIDE, name=name_for_old("shop", "11111111"))
    with pytest.raises(Refused, match="flask psql recover, or drop it: flask psql recover --discard"):
        plan(command, facts(target, aside))


def test_beginnings_of_others_are_cleared_away() -> None:
    new = marked(State.UNFINISHED, name=name_for_new("shop", "11111111"))
    foreign = dataclasses.replace(new, name=name_for_new("shop", "22222222"), owned=False)
    alive = dataclasses.replace(new, name=name_for_new("shop", "33333333"), maker_alive=True)
    made = plan("reset", facts(SHOP, new, foreign, alive))
    assert names(made) == ["RemoveLeftover", *RESETTING]
    assert new.name in made.steps[0].describe()


@pytest.mark.parametrize("command", ["create", "setup", "init"])
def test_an_invalid_database(command: CommandName) -> None:
    """PostgreSQL lets nobody in any more, and it can only be dropped."""
    with pytest.raises(ServerError, match="flask psql drop"):
        plan(command, facts(dataclasses.replace(SHOP, connection_limit=INVALID)))


def test_an_invalid_database_cannot_be_swapped() -> None:
    made = plan("reset", facts(dataclasses.replace(SHOP, connection_limit=INVALID)))
    assert names(made)[:3] == ["Rehearse", "DropDatabase", "CreateDatabase"]
    assert "cannot be undone here" in made.notes[0].text


# What is kept for undo


def kept(at: int, *, size: int = 10, name: str = "") -> Database:
    mark = Mark(State.KEPT, of="shop", token="22222222", at=at)
    return dataclasses.replace(SHOP, name=name or f"shop~old~{at:08}", oid=at, mark=mark, size=size)


@pytest.mark.parametrize(
    ("old", "request_", "reason"),
    [
        ({"size": 10}, {"undo_limit": 10}, None),
        ({"size": None}, {"undo_limit": 10}, None),
        ({"size": 11}, {"undo_limit": 10}, "it is larger than undo_limit (10 bytes)"),
        ({"size": 1}, {"undo_limit": 0}, "undo_limit is 0"),
    ],
)
@pytest.mark.parametrize("command", ["drop", "reset"])
def test_what_is_too_large_is_not_kept(
    command: CommandName, old: dict[str, t.Any], request_: dict[str, t.Any], reason: str | None
) -> None:
    made = plan(command, facts(dataclasses.replace(SHOP, **old)), **request_)
    assert made.keeps == (reason is None)
    assert [note.text for note in made.notes] == (
        [f"this cannot be undone, because {reason}"] if reason else []
    )


@pytest.mark.parametrize("command", ["drop", "reset"])
@pytest.mark.parametrize("final", [False, True])
def test_one_former_database_is_kept_at_a_time(command: CommandName, final: bool) -> None:
    made = plan(command, facts(SHOP, kept(1), kept(2)), final=final)
    dropped = [one.name for one in made.steps if isinstance(one, Discard) and one.outcome is None]
    assert dropped == [kept(2).name, kept(1).name]
    assert all(one.final for one in made.steps[-2:]), "they are dropped when nothing else can fail"


def test_a_drop_of_nothing_drops_what_is_kept_only_when_that_is_final() -> None:
    known = facts(None, kept(1))
    assert plan("drop", known).steps == ()
    made = plan("drop", known, final=True)
    assert (names(made), made.destroys) == (["DropDatabase"], kept(1))


def test_undo_takes_the_latest() -> None:
    made = plan("undo", facts(SHOP, kept(1), kept(3), kept(2)))
    assert step(made, Exchange).former == kept(3)
    assert (made.destroys, made.vacates) == (None, SHOP)


def test_undo_asks_only_whether_to_put_back_what_belongs_to_another_role() -> None:
    others = dataclasses.replace(kept(1), owner="ann")
    assert plan("undo", facts(SHOP, kept(1))).at_stake is None
    assert plan("undo", facts(SHOP, others)).at_stake == others
    assert plan("undo", facts(dataclasses.replace(SHOP, owner="ann"), others)).at_stake is None


@pytest.mark.parametrize("target", [marked(State.UNFINISHED), marked(State.BLOCKED)])
def test_undo_leaves_what_was_interrupted_to_recover(target: Database) -> None:
    with pytest.raises(Refused, match="flask psql recover"):
        plan("undo", facts(target, kept(1)))


def test_recover_names_undo() -> None:
    made = plan("recover", facts(SHOP, kept(1)))
    assert made.steps == ()
    assert [one.remedies for one in made.notes] == [(Command(UNDO_PURPOSE, "undo"),)]


# What is carried over


def test_what_the_new_one_gets() -> None:
    old = dataclasses.replace(
        SHOP,
        owner="owning",
        tablespace="fast",
        connection_limit=5,
        comment="mine",
        grants=(Grant("CONNECT", "ann", True), Grant("CREATE", "owning")),  # two of its own were revoked
        parameters=(
            Parameter("work_mem", "5MB"),
            Parameter("log_statement", "all"),
            Parameter("x", "1", "ann"),
        ),
    )
    made = plan("reset", facts(old, superuser_only=("log_statement",)))
    sql = [sql_text(statement) for one in made.steps for statement in one.statements()]
    new = f'"{name_for_new("shop", TOKEN)}"'
    assert sql[0] == f'CREATE DATABASE {new} OWNER = "owning" TABLESPACE = "fast"'
    assert sql[1].startswith(f"COMMENT ON DATABASE {new} IS 'mine\n[flask-postgres:unfinished")
    assert sql[2:7] == [
        f"REVOKE ALL ON DATABASE {new} FROM PUBLIC",
        f'REVOKE ALL ON DATABASE {new} FROM "owning"',
        f'GRANT CONNECT ON DATABASE {new} TO "ann" WITH GRANT OPTION',
        f'GRANT CREATE ON DATABASE {new} TO "owning"',
        f"ALTER DATABASE {new} SET \"work_mem\" TO '5MB'",
    ]
    assert 'ALTER DATABASE "shop" WITH CONNECTION LIMIT 5' in sql
    assert "COMMENT ON DATABASE \"shop\" IS 'mine'" in sql
    assert [note.text.partition(" will be")[0] for note in made.notes] == [
        "the setting log_statement in this database",
        'the setting x of the role "ann" in this database',
    ]


def test_a_superuser_carries_all() -> None:
    parameters = (Parameter("log_statement", "all"), Parameter("x", "1", "ann"))
    old = dataclasses.replace(SHOP, parameters=parameters)
    known = facts(old, role=Role(name="root", superuser=True), superuser_only=("log_statement",))
    made = plan("reset", known)
    assert step(made, MakeUnfinished).parameters == parameters
    assert made.notes == ()


def test_settings_beat_the_old_database() -> None:
    old = dataclasses.replace(SHOP, owner="owning", connection_limit=5)
    made = plan("reset", facts(old), clauses={"owner": "new", "connection_limit": 9})
    assert step(made, MakeUnfinished).clauses["owner"] == "new"
    assert step(made, Finish).connection_limit == 9
    made = plan("reset", facts(old), clauses={"connection_limit": -1})
    assert step(made, Finish).connection_limit is None


def test_the_swap_is_one_transaction_of_four_statements() -> None:
    made = plan("reset", facts(dataclasses.replace(SHOP, allow_connections=False, comment="c")))
    aside, new = name_for_old("shop", TOKEN), name_for_new("shop", TOKEN)
    assert [sql_text(statement) for statement in step(made, Swap).statements()] == [
        f'ALTER DATABASE "shop" RENAME TO "{aside}"',
        f'ALTER DATABASE "{aside}" WITH ALLOW_CONNECTIONS false',
        f'COMMENT ON DATABASE "{aside}" IS \'c\n[flask-postgres:aside '
        f'{{"of": "shop", "token": "{TOKEN}", "allowed": false, "oid": 7}}]\'',
        f'ALTER DATABASE "{new}" RENAME TO "shop"',
    ]


# Other engines


YUGABYTE = from_answers("PostgreSQL 15.2-YB-2.25", 150002)
CITUS_NODES = from_answers("PostgreSQL 16.1", 160001, citus_nodes=2)
INSIDE = Inside()


@pytest.mark.parametrize(
    ("can", "reset_with"), [(YUGABYTE, "auto"), (YUGABYTE, "database"), (CITUS_NODES, "database")]
)
@pytest.mark.parametrize("command", ["reset", "create"])
def test_nothing_is_dropped_first(can: Capabilities, reset_with: t.Any, command: CommandName) -> None:
    with pytest.raises(Refused, match=f"cannot be replaced, all or nothing, because {can.reason}"):
        plan(command, facts(SHOP, can=can), overwrite=True, reset_with=reset_with)


def test_with_nodes_of_citus_what_is_in_the_database_is_replaced() -> None:
    """Workers look the database up by its name."""
    made = plan("reset", facts(SHOP, can=CITUS_NODES, inside=INSIDE))
    assert names(made) == ["SetAsideInside", "Initialize", "FinishInside"]
    assert made.notes[0].text.endswith("2 Citus worker nodes look this database up by its name")


def test_a_drop_without_a_swap_keeps_nothing_and_says_so() -> None:
    for can in (YUGABYTE, CITUS_NODES):
        made = plan("drop", facts(SHOP, can=can))
        assert names(made) == ["DropDatabase"]
        assert made.notes[0].text == f"this cannot be undone, because {can.reason}"
        assert any("worker nodes stays there" in note.text for note in made.notes) == (not can.rename)


def test_what_cannot_be_renamed_is_neither_swapped_back_nor_copied() -> None:
    """A former database with nodes would be dropped by the next reset, its shards left on the workers."""
    for can in (YUGABYTE, CITUS_NODES):
        with pytest.raises(Refused, match=f"cannot be swapped back, because {can.reason}"):
            plan("undo", facts(SHOP, kept(1), can=can))
    with pytest.raises(Refused, match=f"cannot be copied, because {CITUS_NODES.reason}"):
        plan("snapshot", facts(SHOP, can=CITUS_NODES))
    with pytest.raises(Refused) as caught:
        plan("restore", facts(SHOP, can=CITUS_NODES, snapshots=(kept(1),)))
    assert str(caught.value).endswith(f"because {CITUS_NODES.reason}.")


def test_what_is_in_a_closed_database_is_not_replaced() -> None:
    closed = dataclasses.replace(SHOP, allow_connections=False)
    with pytest.raises(Refused, match="is closed to connections"):
        plan("reset", facts(closed), reset_with="schema")


def test_sessions_of_citus_are_ended_without_asking() -> None:
    busy = dataclasses.replace(SHOP, sessions=(CITUS,))
    assert "CloseToOthers" in names(plan("reset", facts(busy)))
    drop = plan("drop", facts(busy))
    assert names(drop) == ["CloseToOthers", "Swap"]
    assert list(drop.faults(facts(busy))) == []


def test_what_needs_a_confirmation() -> None:
    asking = {
        command for command in t.get_args(CommandName) if Request(command=command, dbname="x").may_destroy
    }
    undoing = {"undo", "undo_discard", "recover", "discard"}
    assert asking == {"drop", "reset", "restore", "drop_snapshot", "unprotect", *undoing}
    assert Request(command="create", dbname="x", overwrite=True).may_destroy


@pytest.mark.parametrize("force", [False, True])
def test_open_sessions(force: bool) -> None:
    busy = dataclasses.replace(SHOP, sessions=(OTHER, CITUS))
    for command in ("drop", "reset"):
        made = plan(t.cast("CommandName", command), facts(busy), force_disconnect=force)
        faults = [str(fault) for fault in made.faults(facts(busy))]
        assert any("1 open session" in fault and '"psql" as ann' in fault for fault in faults) == (not force)


def test_what_is_not_carried_over_is_said_before_the_confirmation() -> None:
    made = plan("reset", facts(dataclasses.replace(SHOP, labels=2, allow_connections=False)))
    said = [note.text for note in made.notes]
    assert "security labels of this database will be lost: 2" in said
    assert "the new database will be open to connections, which this one is not" in said
    others = [note.text for note in plan("reset", facts(SHOP)).notes]
    assert not any("labels" in text or "open to" in text for text in others)


def test_the_confirmation_is_for_one_server() -> None:
    """The first database of every fresh server has the same number."""
    made = plan("drop", facts(SHOP))
    stakes = [
        _at_stake([Planned(made, facts(SHOP), PostgresUri(f"postgresql://{host}/shop"))])
        for host in ("one", "two")
    ]
    assert len(stakes[0]) == len(stakes[1]) == 1
    assert not stakes[0] & stakes[1]
