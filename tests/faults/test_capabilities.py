"""What a server can do, from what it says of itself, and the plan that each would get.

The texts are answers of ``SELECT version()`` and ``server_version_num`` as these servers give them.
"""

from __future__ import annotations

import dataclasses

import pytest

from flask_postgres.errors import Refused
from flask_postgres.plans import preflight
from flask_postgres.plans.plan import Request
from flask_postgres.plans.planners import build
from flask_postgres.postgres.capabilities import from_answers
from flask_postgres.postgres.ddl import sql_text
from flask_postgres.postgres.facts import Database, Facts, OtherSession, Role
from flask_postgres.postgres.inside import Inside

GCC = "on x86_64-pc-linux-gnu, compiled by gcc (Debian 12.2.0-14) 12.2.0, 64-bit"
RDS = "on aarch64-unknown-linux-gnu, compiled by aarch64-unknown-linux-gnu-gcc (GCC) 9.5.0, 64-bit"

LIKE_POSTGRESQL = {
    "13": (f"PostgreSQL 13.16 (Debian 13.16-1.pgdg120+1) {GCC}", 130016),
    "14": (f"PostgreSQL 14.13 (Debian 14.13-1.pgdg120+1) {GCC}", 140013),
    "15": (f"PostgreSQL 15.8 (Debian 15.8-0+deb12u1) {GCC}", 150008),
    "16": (f"PostgreSQL 16.4 (Debian 16.4-1.pgdg120+1) {GCC}", 160004),
    "17": (f"PostgreSQL 17.0 (Debian 17.0-1.pgdg120+1) {GCC}", 170000),
    "18": (f"PostgreSQL 18.0 {GCC}", 180000),
    "rds": (f"PostgreSQL 16.3 {RDS}", 160003),
    "aurora": (f"PostgreSQL 15.4 {RDS}", 150004),
    "citus without nodes": (f"PostgreSQL 16.1 (Debian 16.1-1.pgdg120+1) {GCC}", 160001),
}
COCKROACH = (
    "CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu, built 2023/09/27 01:53:43, go1.19.10)",
    130000,
)
YUGABYTE = (
    "PostgreSQL 15.2-YB-2.25.0.0-b0 on x86_64-pc-linux-gnu, compiled by clang version 17.0.6, 64-bit",
    150002,
)
OLD_YUGABYTE = (
    "PostgreSQL 11.2-YB-2.20.1.3-b0 on x86_64-pc-linux-gnu, compiled by clang version 16.0.6, 64-bit",
    110002,
)

SAFE = ["MakeUnfinished", "Swap", "Initialize", "Finish"]
TARGET = Database(name="shop", oid=5)
DAEMON = OtherSession(7, "postgres", "Citus Maintenance Daemon: 16384/10", None, citus=True)


def _facts(text: str, number: int, **options: object) -> Facts:
    template = Database(name="template1", is_template=True)
    facts = Facts(
        can=from_answers(text, number),
        version_text=text,
        role=Role(name="app_dev"),
        target=TARGET,
        template=template,
    )
    return dataclasses.replace(facts, **options)  # type: ignore[arg-type]


def _steps(facts: Facts, command: str = "reset", **options: bool) -> list[str]:
    request = Request(command=command, dbname="shop", **options)  # type: ignore[arg-type]
    return [type(step).__name__ for step in build(request, facts, token="0a0b0c0d").steps]


@pytest.mark.parametrize("name", LIKE_POSTGRESQL)
def test_postgresql(name: str) -> None:
    facts = _facts(*LIKE_POSTGRESQL[name])
    assert facts.can.supported
    assert _steps(facts) == SAFE
    assert _steps(facts, force_disconnect=True) == [SAFE[0], "CloseToOthers", *SAFE[1:]]
    assert _steps(dataclasses.replace(facts, target=None), "setup") == [
        "MakeUnfinished",
        "Publish",
        "Initialize",
        "Finish",
    ]


def test_cockroachdb_is_refused() -> None:
    facts = _facts(*COCKROACH)
    (fault,) = preflight.server(facts)
    assert str(fault).startswith("the server is CockroachDB 23.1.11, which this tool does not support")
    assert not facts.can.supported


def test_yugabytedb() -> None:
    """Without a swap that can be undone, nothing is replaced; what was not there can be made."""
    facts = _facts(*YUGABYTE)
    assert facts.can.supported
    with pytest.raises(Refused, match="YugabyteDB does not undo several changes to databases together"):
        _steps(facts)
    assert _steps(dataclasses.replace(facts, target=None), "setup") == ["CreateDatabase", "Initialize"]
    assert _steps(facts, "drop") == ["DropDatabase"]


def test_what_is_too_old() -> None:
    for text, number in (OLD_YUGABYTE, (f"PostgreSQL 12.20 {GCC}", 120020)):
        (fault,) = preflight.server(_facts(text, number))
        assert "13 is the oldest that works" in str(fault)


def test_citus_with_nodes() -> None:
    """Workers look the database up by its name, so it cannot be renamed."""
    text, number = LIKE_POSTGRESQL["citus without nodes"]
    target = dataclasses.replace(TARGET, sessions=(DAEMON,))
    for nodes, said in ((2, "2 Citus worker nodes"), (None, "perhaps Citus worker nodes")):
        can = from_answers(text, number, citus_nodes=nodes)
        inside = Inside()
        facts = _facts(text, number, can=can, target=target, inside=inside)
        plan = build(Request(command="reset", dbname="shop"), facts, token="0a0b0c0d")
        assert not any("DROP DATABASE" in sql_text(one) for step in plan.steps for one in step.statements())
        assert f"{said} look this database up by its name" in plan.notes[0].text
        assert list(plan.faults(facts)) == []  # the daemon is ended without asking


def test_citus_without_nodes() -> None:
    """Its daemon is a session that always comes back; it is neither counted nor a reason to ask."""
    target = dataclasses.replace(TARGET, sessions=(DAEMON,))
    facts = _facts(*LIKE_POSTGRESQL["citus without nodes"], target=target)
    assert _steps(facts) == [SAFE[0], "CloseToOthers", *SAFE[1:]]
    for command in ("reset", "drop"):
        plan = build(Request(command=command, dbname="shop"), facts, token="0a0b0c0d")  # type: ignore[arg-type]
        assert list(plan.faults(facts)) == []
    counted = dataclasses.replace(target, sessions=(DAEMON, OtherSession(8, "ann", "psql", None)))
    assert "1 open session: pid 8" in str(next(preflight.open_sessions(counted)))


def test_a_citus_daemon_that_may_not_be_ended() -> None:
    daemon = dataclasses.replace(DAEMON, endable=False, superuser=True)
    facts = _facts(
        *LIKE_POSTGRESQL["citus without nodes"], target=dataclasses.replace(TARGET, sessions=(daemon,))
    )
    plan = build(Request(command="drop", dbname="shop"), facts, token="0a0b0c0d")
    (fault,) = plan.faults(facts)
    assert 'may not end the sessions of "postgres"' in str(fault)
    assert "as a superuser" in str(fault)
