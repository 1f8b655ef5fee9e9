"""What the server receives is what a dry run prints, over every plan."""

from __future__ import annotations

import re

import pytest

from ..servers import ROLE
from .cells import SCENARIOS, Scenario
from .test_matrix import prepare
from .world import World


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_server_receives_what_the_dry_run_prints(world: World, scenario: Scenario) -> None:
    world.app()
    prepare(world, scenario)
    log = world.cluster.folder / "log"
    world.sql("ALTER ROLE {} SET log_statement = 'ddl'", ROLE)
    try:
        printed = world.run(*scenario.arguments, "--dry-run").out
        start = log.stat().st_size
        result = world.run(*scenario.arguments)
    finally:
        world.sql("ALTER ROLE {} RESET log_statement", ROLE)
    assert result.code == 0, str(result)
    received = log.read_bytes()[start:].decode()
    assert _received(received) == _printed(printed), printed


def _printed(text: str) -> list[str]:
    statements = re.findall(r"^     (\S.*?);$", text, re.MULTILINE | re.DOTALL)
    return [_alike(one) for one in statements]


def _received(log: str) -> list[str]:
    entries = re.split(r"^(?=\d{4}-\d\d-\d\d )", log, flags=re.MULTILINE)
    found = (re.search(r"LOG:  (?:statement|execute [^:]*): (.*)", one, re.DOTALL) for one in entries)
    statements = [one[1].strip().replace("\n\t", "\n") for one in found if one]
    return [_alike(one) for one in statements if " DATABASE " in one]


def _alike(statement: str) -> str:
    """Return a statement without what differs from run to run: tokens, and OIDs that no plan can know."""
    return re.sub(r', "(?:oid|at)": \d+', "", re.sub(r"\b[0-9a-f]{8}\b", "TOKEN", statement))
