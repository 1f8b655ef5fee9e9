"""What a server can do, from what it says of itself."""

from __future__ import annotations

import pytest

from flask_postgres.postgres.capabilities import from_answers


def test_postgresql() -> None:
    can = from_answers("PostgreSQL 18.0 on x86_64-pc-linux-gnu, compiled by gcc", 180000)
    assert (can.product, can.version, can.swap, can.force, can.supported, can.reason) == (
        "PostgreSQL", 180000, True, True, True, None,
    )  # fmt: skip


@pytest.mark.parametrize(("version", "supported"), [(120022, False), (130000, True), (0, True)])
def test_versions(version: int, supported: bool) -> None:
    assert from_answers("PostgreSQL", version).supported is supported


@pytest.mark.parametrize(
    ("text", "nodes", "product"),
    [
        ("PostgreSQL 11.2-YB-2.19.0.0-b0 on x86_64", 0, "YugabyteDB"),
        ("PostgreSQL 16.1 on x86_64", 2, "Citus"),
        ("PostgreSQL 16.1 on x86_64", None, "Citus"),
    ],
)
def test_no_swap_without_a_reason(text: str, nodes: int | None, product: str) -> None:
    can = from_answers(text, 160001, citus_nodes=nodes)
    assert can.product == product
    assert not can.swap
    assert can.reason


def test_citus_without_nodes_is_postgresql() -> None:
    assert from_answers("PostgreSQL 16.1", 160001, citus_nodes=0).swap


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("CockroachDB CCL v23.1.14 (x86_64-pc-linux-gnu, built 2024)", "CockroachDB 23.1.14, "),
        ("v25.2.0 CockroachDB", "CockroachDB, "),
    ],
)
def test_cockroachdb_is_refused(text: str, named: str) -> None:
    can = from_answers(text, 130000)
    assert not can.supported
    assert f"the server is {named}" in (can.refused or "")
