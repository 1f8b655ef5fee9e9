"""Files of SQL are split as psql splits them."""

from __future__ import annotations

import pytest

from flask_postgres.app.seeds.script import statements
from flask_postgres.errors import AppError


def texts(text: str) -> list[str]:
    return [one.text for one in statements(text, name="x.sql")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        (" ;; \n; ", []),
        ("", []),
        ("-- nothing; at all\n/* nor; /* here; */ ; */", []),
        ("SELECT 1 -- one;\n; SELECT 2", ["SELECT 1 -- one;", "SELECT 2"]),
        ("SELECT 'a;b', 'it''s;'; SELECT 2", ["SELECT 'a;b', 'it''s;'", "SELECT 2"]),
        (r"SELECT E'\';', e'a;'; SELECT 2", [r"SELECT E'\';', e'a;'", "SELECT 2"]),
        (r"SELECT '\'; SELECT 2", [r"SELECT '\'", "SELECT 2"]),
        ('SELECT ";""" FROM x; SELECT 2', ['SELECT ";""" FROM x', "SELECT 2"]),
        ("SELECT $$;'$$, $a$ ; $$ ; $a$; SELECT 2", ["SELECT $$;'$$, $a$ ; $$ ; $a$", "SELECT 2"]),
        ("SELECT a$b$c; SELECT $1", ["SELECT a$b$c", "SELECT $1"]),
        ("SELECT 'x' 'y'; SELECT 1", ["SELECT 'x' 'y'", "SELECT 1"]),
        ("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
         ["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"]),
        ("CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END; SELECT 3",
         ["CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END", "SELECT 3"]),
        ("BEGIN; SELECT 1; COMMIT; start transaction; END WORK", ["SELECT 1"]),
        ("COMMIT -- done\n; COMMIT AND CHAIN; END AND NO CHAIN; BEGIN READ ONLY; /* x */ COMMIT /* y */", []),
        ("SAVEPOINT a; ROLLBACK TO a; ROLLBACK WORK TO SAVEPOINT a",
         ["SAVEPOINT a", "ROLLBACK TO a", "ROLLBACK WORK TO SAVEPOINT a"]),
        ("\\restrict abc\nSELECT 1;\n\\unrestrict abc\n", ["SELECT 1"]),
        ("SELECT '\\connect'", ["SELECT '\\connect'"]),
    ],
)  # fmt: skip
def test_statements(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_lines_and_data() -> None:
    text = "\n-- first\nSELECT 1;\nCOPY public.pet (id) FROM stdin;\n1\n;'\n\\.\n\nSELECT\n2;"
    found = [(one.line, one.text, one.data) for one in statements(text, name="x.sql")]
    assert found == [
        (3, "SELECT 1", None),
        (4, "COPY public.pet (id) FROM stdin", "1\n;'\n"),
        (9, "SELECT\n2", None),
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_data_end_with_a_line_of_their_own(ending: str) -> None:
    text = ending.join(["COPY pet FROM stdin;", "a\\.b", "\\.", "SELECT 2;"])
    assert [one.data for one in statements(text, name="x.sql")] == [f"a\\.b{ending}", None]


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("INSERT INTO pet VALUES (1)", "pet"),
        ('insert  into "a b"."c;" (id) VALUES (1)', '"a b"."c;"'),
        ("COPY audit.event FROM stdin;\n\\.\n", "audit.event"),
        ("UPDATE pet SET id = 1", None),
        ("COPY pet TO '/tmp/x'", None),
        ("COPY pet (id, name) FROM '/tmp/x'", "pet"),
        ("COPY (SELECT 1 FROM pet) TO '/tmp/x'", None),
        ("/* x */ -- y\nINSERT INTO pet VALUES (1)", "pet"),
    ],
)
def test_the_table_that_is_filled(text: str, table: str | None) -> None:
    assert [one.table for one in statements(text, name="x.sql")] == [table]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1;\n\\connect other", r"x.sql:2: \connect is a command of psql's, which a seed cannot run."),
        ("SELECT 1 \\gset", r"x.sql:1: \gset is a command of psql's"),
        ("\n\nSELECT 'a", "x.sql:3: the quote ' is not closed."),
        ('SELECT "a', 'x.sql:1: the quote " is not closed.'),
        ("SELECT $a$ b", "x.sql:1: the quote $a$ is not closed."),
        ("/* /* */", "x.sql:1: the comment is not closed."),
        ("SELECT 1;\nCOPY t FROM stdin;\n1\n", "x.sql:2: the data of COPY"),
        ("COPY t FROM stdin", "x.sql:1: the data of COPY"),
        ("SELECT 1;\nROLLBACK;", "x.sql:2: a seed cannot roll back"),
        ("PREPARE TRANSACTION 'x'", "x.sql:1: a seed cannot roll back, or prepare"),
        ("COMMIT PREPARED 'x'", "x.sql:1: a seed cannot roll back, or prepare"),
        (
            "SET standard_conforming_strings = off",
            "x.sql:1: a seed is read with standard_conforming_strings on",
        ),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(AppError) as caught:
        texts(text)
    assert message in str(caught.value)
