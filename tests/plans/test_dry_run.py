"""What --dry-run prints is the plan itself."""

from __future__ import annotations

from flask_postgres import PostgresUri
from flask_postgres.plans import dry_run
from flask_postgres.plans.engine import Planned
from flask_postgres.plans.plan import Request
from flask_postgres.plans.planners import build
from flask_postgres.postgres.ddl import sql_text
from flask_postgres.postgres.facts import Database, Facts, Parameter

URI = PostgresUri("postgresql://me:s3cret@db.example:5433/shop")


def text(request: Request, facts: Facts) -> str:
    return dry_run.as_text(Planned(build(request, facts, token="0badcafe"), facts, URI))


def test_every_step_with_its_sql() -> None:
    request = Request(command="reset", dbname="shop", how="the callback", extensions=("citext",))
    facts = Facts(target=Database(name="shop"))
    plan = build(request, facts, token="0badcafe")
    shown = text(request, facts)
    for number, step in enumerate(plan.steps, 1):
        assert f"\n{number}. {step.describe()}" in shown
        for statement in step.statements():
            assert f"\n     {sql_text(statement)};" in shown
    assert shown.startswith('reset of database "shop" on db.example:5433\n')
    assert "s3cret" not in shown


def test_assumptions_and_notes_come_first() -> None:
    request = Request(command="drop", dbname="shop")
    assert text(request, Facts(assumed="nobody answers")) == (
        'drop of database "shop" on db.example:5433\n'
        "Assumed, because nobody answers: the database does not exist.\n"
        'database "shop" does not exist\n'
        "There is nothing to do."
    )
    old = Database(name="shop", parameters=(Parameter("x", "1", "ann"),))
    lines = text(Request(command="reset", dbname="shop"), Facts(target=old)).splitlines()
    assert lines[1].startswith('Note: the setting x of the role "ann"')
