"""Seeds: files, functions and commands of the app that fill a new database, and ``flask psql seed``."""

from __future__ import annotations

import shutil
import textwrap

import pytest

from ..project import Project
from ..servers import Server
from .looking import KEPT, error, full, oid, said

APP = """
    import click
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = {uri!r}
    db = SQLAlchemy(app)

    class Owner(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.Text)

    class Pet(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.Text)
        owner_id = db.Column(db.ForeignKey("owner.id"))

    def demo(db):
        db.session.add(Pet(name="by function"))
        db.session.commit()

    def careless(app, db):
        db.session.add(Pet(name="lost"))

    def broken():
        raise ValueError("no demo")

    @app.cli.command("seed-demo")
    @click.option("--rows", default=1)
    def seed_demo(rows):
        db.session.add_all(Pet(name=f"by command {{n}}") for n in range(rows))
        db.session.commit()
        if rows > 5:
            raise SystemExit("too many")
"""
FILES = {
    "seeds/pet.csv": 'id,name,owner_id\n7,"Re,x",1\n8,Fido,\n',
    "seeds/owner.csv": "id,name\n1,Änn\n",
    "seeds/base.sql": "INSERT INTO public.owner (id, name) VALUES (100, 'O''Hara; 100%s');\n"
    "SELECT set_config('search_path', '', false);\n"
    "COPY public.pet (id, name, owner_id) FROM stdin;\n50\tTab\\tbed\t100\n\\.\n",
}
ALL = ["by command 0", "by command 1", "by function", "Fido", "Re,x", "Tab\tbed"]


@pytest.fixture(params=["psycopg", pytest.param("psycopg2", marks=pytest.mark.long)])
def shop(project: Project, server: Server, dbname: str, request: pytest.FixtureRequest) -> Project:
    driver = str(request.param)
    app = textwrap.dedent(APP).format(uri=full(server.uri(dbname, driver)))
    return project.write({"app.py": app, **FILES})


def declare(project: Project, *seeds: str) -> None:
    project.write({"flask_postgres.toml": f"seed = {[*seeds]}".replace("'", '"')})


def pets(server: Server, dbname: str) -> list[str]:
    return [name for (name,) in server.execute("SELECT name FROM pet ORDER BY lower(name)", dbname=dbname)]


def test_everything(shop: Project, server: Server, dbname: str) -> None:
    declare(shop, "seeds/base.sql", "seeds/*.csv", "app:demo", "flask seed-demo --rows 2")
    planned = shop.here("setup", "--dry-run")
    shown = "seeds/base.sql, seeds/owner.csv, seeds/pet.csv, app:demo, flask seed-demo --rows 2"
    assert f'run the seeds in "{dbname}": {shown}' in planned.out
    done = shop.here("setup")
    assert said(done) == [f'database "{dbname}" was {word}' for word in ("created", "initialized", "seeded")]
    assert pets(server, dbname) == ALL
    names = server.execute("SELECT name FROM owner ORDER BY id", dbname=dbname)
    assert names == [("Änn",), ("O'Hara; 100%s",)]
    again = shop.here("setup")
    assert "seeded" not in again.err, "an old database is only initialized"
    before = oid(server, dbname)
    assert said(shop.here("reset", "-f"))[-2:] == [f'database "{dbname}" was seeded', KEPT]
    assert oid(server, dbname) != before
    assert pets(server, dbname) == ALL


def test_sequences_go_on_after_csv(shop: Project, server: Server, dbname: str) -> None:
    declare(shop, "seeds/*.csv", "app:demo")
    assert shop.here("setup").code == 0
    assert server.execute("SELECT id FROM pet WHERE name = 'by function'", dbname=dbname) == [(9,)]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("seeds/pet.csv", "id,name\n1,x\nb,y\n", "seeds/pet.csv:3: invalid input syntax for type integer"),
        ("seeds/pet.csv", "id,nome\n1,x\n", 'seeds/pet.csv: column "nome" of relation "pet" does not exist.'),
        ("seeds/pet.csv", "id,owner_id\n1,99\n", "seeds/pet.csv: insert or update on table"),
        ("seeds/nope.csv", "id\n1\n", 'seeds/nope.csv: relation "nope" does not exist.'),
        ("seeds/z.sql", "SELECT 1;\n\nSELECT\n  nonsense;", 'seeds/z.sql:4: column "nonsense"'),
        ("seeds/z.sql", "SELECT 1;\nCOPY pet (id) FROM stdin;\n1\nx\n\\.\n", "seeds/z.sql:4: invalid input"),
    ],
)  # fmt: skip
def test_a_file_that_fails(
    shop: Project, server: Server, dbname: str, file: str, text: str, message: str
) -> None:
    shop.write({file: text})
    declare(shop, "seeds/*.csv", "seeds/*.sql")
    failed = error(shop.here("setup"))
    assert failed.startswith(message)
    assert failed.endswith(f'Database "{dbname}" was removed again.')
    assert oid(server, dbname) is None


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ("seeds/*.txt", "must name .sql and .csv files, module:function, or flask NAME"),
        ("nowhere/*.sql", "the seed nowhere/*.sql matches no file."),
        ("seeds/bad.sql", r"seeds/bad.sql:1: \connect is a command of psql's"),
        ("seeds/empty.csv", "seeds/empty.csv:1: the first line names no column."),
        ("app:nope", "the seed app:nope cannot be imported: AttributeError"),
        ("nowhere:demo", "the seed nowhere:demo cannot be imported: ModuleNotFoundError"),
        ("app:db", "the seed app:db is no function."),
        ("flask nope", "the seed flask nope cannot be run: the app has no such command."),
        ("flask psql setup", "the seed flask psql setup cannot be run"),
    ],
)
def test_what_is_refused_before_anything_is_made(
    shop: Project, server: Server, dbname: str, seed: str, message: str
) -> None:
    shop.write({"seeds/bad.sql": "\\connect other\n", "seeds/empty.csv": ""})
    declare(shop, seed)
    refused = shop.here("setup")
    assert refused.code in (1, 2)
    assert message in refused.err
    assert oid(server, dbname) is None


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ("app:broken", "the seed app:broken failed: ValueError: no demo (app.py:"),
        ("flask seed-demo --rows 6", "the seed flask seed-demo --rows 6 failed: it ended with too many."),
        ("flask seed-demo --rows x", "the seed flask seed-demo --rows x failed: "),
    ],
)
def test_code_of_the_app_that_fails(
    shop: Project, server: Server, dbname: str, seed: str, message: str
) -> None:
    assert shop.here("setup").code == 0
    server.execute("INSERT INTO owner VALUES (5, 'old')", dbname=dbname)
    declare(shop, "seeds/base.sql", seed)
    failed = error(shop.here("reset", "-f"))
    assert message in failed
    assert failed.endswith(f'Database "{dbname}" is as it was.')
    assert server.execute("SELECT name FROM owner", dbname=dbname) == [("old",)]


def test_changes_that_are_not_committed(shop: Project) -> None:
    declare(shop, "app:careless")
    assert "the seed app:careless left changes in db.session that it did not commit" in shop.here("setup").err


def test_again(shop: Project, server: Server, dbname: str) -> None:
    declare(shop, "seeds/base.sql", "app:demo")
    assert "does not exist" in error(shop.here("seed"))
    assert shop.here("setup").code == 0
    failed = error(shop.here("seed"))
    assert "seeds/base.sql:1: duplicate key value" in failed
    assert pets(server, dbname) == ["by function", "Tab\tbed"]
    server.execute("DELETE FROM pet; DELETE FROM owner", dbname=dbname)
    assert said(shop.here("seed")) == [f'database "{dbname}" was seeded']
    assert pets(server, dbname) == ["by function", "Tab\tbed"]
    stays = error(shop.here("seed", "--seed", "app:demo", "--seed", "app:broken"))
    assert stays.endswith(f'What seeds had committed to "{dbname}" stays.')


def test_replace(shop: Project, server: Server, dbname: str) -> None:
    declare(shop, "seeds/base.sql", "seeds/*.csv", "app:demo")
    assert shop.here("setup").code == 0
    before = pets(server, dbname)
    asked = shop.here("seed", "--replace", input="no\n")
    assert "This database will lose the rows of the tables that seeds fill" in asked.err
    assert 'Note: emptied first: public.owner, public.pet, "owner", "pet"' in asked.err
    assert pets(server, dbname) == before
    assert shop.here("seed", "--replace", input=f"{dbname}\n").code == 0
    assert pets(server, dbname) == before
    shop.write({"seeds/pet.csv": "id\nx\n"})
    assert "seeds/pet.csv:2: invalid input" in error(shop.here("seed", "--replace", "-f"))
    assert pets(server, dbname) == before, "emptying and loading are one transaction"
    assert shop.here("protect").code == 0
    assert "is protected" in error(shop.here("seed", "--replace", "-f"))
    assert shop.here("unprotect", "-f").code == 0
    nothing = error(shop.here("seed", "--replace", "-f", "--seed", "app:demo"))
    assert "no file among the seeds fills a table" in nothing


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        (("app:demo", "seeds/pet.csv"), "--replace needs the files before the functions and commands"),
        (("seeds/owner.csv", "app:demo", "seeds/pet.csv"), "--replace needs the files before the functions"),
        (("seeds/path.sql",), "seeds/path.sql sets the search_path, so that nobody can tell which owner"),
    ],
)
def test_what_replace_refuses(
    shop: Project, server: Server, dbname: str, seeds: tuple[str, ...], message: str
) -> None:
    """It would empty what an earlier seed has written, or another table of that name."""
    declare(shop, "seeds/base.sql")
    assert shop.here("setup").code == 0
    before = pets(server, dbname)
    shop.write({"seeds/path.sql": "SET search_path = other; INSERT INTO owner (id) VALUES (7)"})
    flags = [word for seed in seeds for word in ("--seed", seed)]
    assert message in error(shop.here("seed", "--replace", "-f", *flags))
    assert pets(server, dbname) == before


def test_a_commit_in_a_file_does_not_end_the_transaction(shop: Project, server: Server, dbname: str) -> None:
    declare(shop, "seeds/base.sql")
    assert shop.here("setup").code == 0
    before = pets(server, dbname)
    shop.write({"x.sql": "INSERT INTO pet (name) VALUES ('half'); COMMIT -- done\n; SELECT 1/0"})
    assert "x.sql:2: division by zero" in error(shop.here("seed", "--replace", "-f", "--seed", "x.sql"))
    assert pets(server, dbname) == before


def test_small_things(shop: Project, server: Server, dbname: str) -> None:
    shop.write({"zero/pet.csv": "id,name\n0,zero\n"})
    declare(shop, "zero/pet.csv", "zero/*.csv")
    assert shop.here("setup").code == 0
    assert pets(server, dbname) == ["zero"], "a file that two patterns match is loaded once"
    assert "cannot be read: No closing quotation" in error(shop.here("seed", "--seed", "flask x 'y"))


def test_a_table_that_others_refer_to_is_not_emptied(shop: Project, server: Server, dbname: str) -> None:
    """TRUNCATE … CASCADE would take the rows of tables that nobody named."""
    declare(shop, "seeds/*.csv")
    assert shop.here("setup").code == 0
    failed = error(shop.here("seed", "--replace", "-f", "--seed", "seeds/owner.csv"))
    assert "cannot truncate a table referenced in a foreign key constraint" in failed
    assert pets(server, dbname) == ["Fido", "Re,x"]


def test_save(shop: Project, server: Server, dbname: str) -> None:
    declare(shop, "seeds/*.csv", "seeds/base.sql")
    assert shop.here("setup").code == 0
    assert shop.here("seed", "--save", "out", "pet", "public.owner").code == 0
    assert (
        shop.folder / "out/pet.csv"
    ).read_text() == 'id,name,owner_id\n7,"Re,x",1\n8,Fido,\n50,Tab\tbed,100\n'
    before = pets(server, dbname)
    declare(shop, "out/*.csv")
    assert shop.here("reset", "-f").code == 0
    assert pets(server, dbname) == before
    shutil.copy(shop.folder / "out/pet.csv", shop.folder / "kept.csv")
    assert "is no name of a table" in error(shop.here("seed", "--save", "out", "../x"), code=2)
    assert "does not exist" in error(shop.here("seed", "--save", "out", "nope"))
    assert sorted(path.name for path in (shop.folder / "out").iterdir()) == ["pet.csv", "public.owner.csv"]


def test_the_guard(shop: Project, server: Server, dbname: str) -> None:
    declare(shop, "app:demo")
    assert shop.here("setup").code == 0
    before = pets(server, dbname)
    lines = ['seed = ["app:demo"]', 'cli_disallowed_envs = ["production"]', 'env = "production"']
    shop.write({"flask_postgres.toml": "\n".join(lines)})
    for command in (["seed"], ["seed", "--save", "out", "pet"]):
        assert "production" in error(shop.here(*command))
    assert pets(server, dbname) == before


def test_another_environment(shop: Project, server: Server, dbname: str) -> None:
    lines = 'seed = ["seeds/*.csv"]\n[environments.test]\nseed = ["seeds/base.sql"]\n'
    shop.write({"flask_postgres.toml": lines})
    assert shop.here("setup", env={"FLASK_ENV": "test"}).code == 0
    assert pets(server, dbname) == ["Tab\tbed"]
    assert shop.here("reset", "-f").code == 0
    assert pets(server, dbname) == ["Fido", "Re,x"]


def test_a_dump_of_data(shop: Project, server: Server, dbname: str) -> None:
    """As pg_dump --data-only writes it."""
    declare(shop, "dump.sql")
    dump = """--
-- PostgreSQL database dump
--

\\restrict zDf2

SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
SET row_security = off;

COPY public.owner (id, name) FROM stdin;
3	\\N
\\.

SELECT pg_catalog.setval('public.owner_id_seq', 3, true);

\\unrestrict zDf2
"""
    shop.write({"dump.sql": dump})
    assert shop.here("setup").code == 0
    assert server.execute("SELECT * FROM owner", dbname=dbname) == [(3, None)]


def test_a_large_file(shop: Project, server: Server, dbname: str) -> None:
    rows = "".join(f"{n},name {n},\n" for n in range(20_000))
    shop.write({"big/pet.csv": f"id,name,owner_id\n{rows}"})
    declare(shop, "big/pet.csv")
    assert shop.here("setup").code == 0
    assert server.execute("SELECT count(*) FROM pet", dbname=dbname) == [(20_000,)]
