"""The docs say what is true: generated pages are fresh, snippets work, and every name in them exists."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
import types
import typing as t

import click
import jsonschema
import pytest
import tomli

import flask_postgres
from flask_postgres.cli import COMMANDS, cli
from flask_postgres.errors import FlaskPostgresError
from flask_postgres.settings.generate import schema
from flask_postgres.settings.schema import CONFIG_VARIABLE, SETTINGS

from .project import Project
from .servers import Server, free_port

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {str(path.relative_to(DOCS)): path.read_text("utf-8") for path in sorted(DOCS.rglob("*.md"))}
WRITTEN_BY_HAND = [name for name, text in PAGES.items() if "<!-- Written by:" not in text]
BLOCK = re.compile(r"^```(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(t.NamedTuple):
    """A fenced block of a page."""

    page: str
    language: str
    text: str


def blocks(*languages: str) -> list[t.Any]:
    found = [
        Block(page, match[1], match[2])
        for page in WRITTEN_BY_HAND
        for match in BLOCK.finditer(PAGES[page])
        if match[1] in languages
    ]
    assert found, languages
    return [pytest.param(block, id=f"{block.page}-{number}") for number, block in enumerate(found)]


def script(name: str) -> types.ModuleType:
    """Return one of the scripts that write files of the docs."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What is generated


def test_reference_pages_are_fresh() -> None:
    reference = script("reference")
    for path, wanted in reference.pages().items():
        assert path.read_text("utf-8") == wanted, f"{path.name} is stale; run: {reference.COMMAND}"


def test_reference_shows_what_help_prints(project: Project) -> None:
    """The page is made in one process; this is what a user sees."""
    printed = project.psql("reset", "--help", env={"COLUMNS": "80"}).out
    assert printed.replace("python -m flask", "flask").strip() in PAGES["reference/commands.md"]


@pytest.mark.long
def test_pictures_show_what_happens() -> None:
    """Every scene is played again; numbers that differ from run to run aside, it is as in the docs."""
    pictures = script("pictures")
    # Not tmp_path: the server's account cannot enter a folder of root.
    with tempfile.TemporaryDirectory(prefix="fp-tests-", ignore_cleanup_errors=True) as home:
        played = dict(pictures.play(pathlib.Path(home), port=free_port()))
    committed = {path.name for path in pictures.FOLDER.iterdir()}
    assert played.keys() == committed, f"run: {pictures.COMMAND}"
    for name, now in played.items():
        before = (pictures.FOLDER / name).read_text("utf-8")
        if name.endswith(".svg"):
            now, before = pictures.text_of(now), pictures.text_of(before)
        assert _essence(now) == _essence(before), f"{name} is stale; run: {pictures.COMMAND}"


def test_every_picture_is_shown() -> None:
    shown = {
        pathlib.PurePath(name).name for text in PAGES.values() for name in re.findall(r"[\w/.-]+\.svg", text)
    }
    samples = {
        pathlib.PurePath(name).name
        for text in PAGES.values()
        for name in re.findall(r"pictures/\S+\.json", text)
    }
    assert shown | samples == {path.name for path in (DOCS / "pictures").iterdir()}


def test_pictures_hold_nothing_of_the_machine_that_made_them() -> None:
    for path in (DOCS / "pictures").iterdir():
        folders = re.findall(
            r"(?<![\w/.])/(?!home/me\b|title|text|tspan|style|svg)\w+/[\w/.-]+", path.read_text("utf-8")
        )
        assert [folder for folder in folders if "w3.org" not in folder] == [], path.name


def _essence(text: str) -> str:
    """Leave out what differs: white space, as lines break elsewhere; numbers, tokens, sizes and times."""
    text = "\n".join(line for line in text.splitlines() if not line.endswith("…"))
    text = re.sub(r"kept since \d\d:\d\d|(?<=\"since\": \")[^\"]+", "THEN", text)
    text = re.sub(r"\d+(\.\d+)? (kB|MB)|(?<=\"size_bytes\": )\d+", "SIZE", text)
    text = re.sub(r"\s+", "", text)
    text = re.sub(r"(?<=~new~)[0-9a-f]{8}|(?<=~old~)[0-9a-f]{8}|(?<=\"token\":\")[0-9a-f]{8}", "TOKEN", text)
    text = re.sub(r"(?<=\"oid\":)\d+|(?<=\"at\":)\d+|(?<=\"server\":\")\d+", "ID", text)
    text = re.sub(r"(?<=localhost[:-])\d+|(?<=\"port\":)\d+", "PORT", text)
    return re.sub(
        r"(?<=PostgreSQL)\d+\.\d+|(?<=\"version\":\")[\d.]+|(?<=_s\":)[\d.]+|(?<=pid\":)\d+|(?<=pid)\d+",
        "N",
        text,
    )


# Snippets


@pytest.mark.parametrize("block", blocks("python"))
def test_python_compiles(block: Block) -> None:
    compile(block.text, block.page, "exec")


@pytest.mark.parametrize("block", blocks("python"))
def test_python_imports_what_there_is(block: Block) -> None:
    for names in re.findall(r"^from flask_postgres import (.+)$", block.text, re.MULTILINE):
        assert {name.strip() for name in names.split(",")} <= set(flask_postgres.__all__)


@pytest.mark.parametrize("block", blocks("toml"))
def test_toml_passes_the_schema(block: Block) -> None:
    document = tomli.loads(block.text)
    table = document.get("tool", {}).get("flask_postgres", document)
    jsonschema.validate(table, schema())


@pytest.mark.parametrize("block", blocks("yaml"))
def test_yaml_is_yaml(block: Block) -> None:
    yaml = pytest.importorskip("yaml")
    assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.long
def test_the_tests_of_the_testing_page_pass(project: Project, server: Server) -> None:
    (test,) = (match[2] for match in BLOCK.finditer(PAGES["how-to/testing.md"]) if match[1] == "python")
    own = server.uri("shop").render(hide_password=False)
    conftest = textwrap.dedent(CONFTEST).format(uri=own)
    project.write({"conftest.py": conftest, "test_pets.py": test, "shop.py": SHOP})
    before = server.names()
    outer = {name: value for name, value in project.env.items() if not name.startswith("PYTEST_")}
    uri = server.uri("postgres").render(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project.folder,
        env={**outer, "FLASK_POSTGRES_TEST_URI": uri, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert server.names() == before


CONFTEST = """
    import pytest
    from shop import create_app

    @pytest.fixture
    def app():
        return create_app({{"SQLALCHEMY_DATABASE_URI": {uri!r}}})

    @pytest.fixture
    def client(app):
        return app.test_client()
"""

SHOP = """
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    db = SQLAlchemy()

    class Pet(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.Text)

    def create_app(config):
        app = Flask(__name__)
        app.config.update(config)
        db.init_app(app)

        @app.get("/")
        def pets():
            return [pet.name for pet in db.session.scalars(db.select(Pet))]

        return app
"""


def test_the_app_of_a_host_that_gives_one_database(monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = (match[2] for match in BLOCK.finditer(PAGES["how-to/heroku.md"]) if match[1] == "python")
    monkeypatch.setenv("DATABASE_URL", "postgres://user:pw@host.example:5432/d8f7")
    namespace: dict[str, t.Any] = {"__name__": "app"}
    exec(compile(text, "app.py", "exec"), namespace)
    config = namespace["app"].config
    assert config["SQLALCHEMY_DATABASE_URI"].get_backend_name() == "postgresql"


# Names


def _commands_in(text: str) -> t.Iterator[list[str]]:
    """Yield the words of every command that a page names, in a block or in the text."""
    typed = [match[2] for match in BLOCK.finditer(text) if match[1] in ("console", "sh", "shell", "yaml")]
    inline = re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    for line in [line for block in typed for line in block.splitlines()] + inline:
        found = re.search(r"\bflask (?:--?[\w-]+ (?:\w+\.py )?)*psql ([a-z].*)$", line)
        if found:
            yield shlex.split(found[1].partition(" > ")[0].partition(" && ")[0])


@pytest.mark.parametrize("page", WRITTEN_BY_HAND)
def test_every_command_can_be_parsed(page: str) -> None:
    for words in _commands_in(PAGES[page]):
        context = click.Context(cli, info_name="flask psql")
        command: click.Command = cli
        while isinstance(command, click.Group) and words:
            found = command.get_command(context, words[0])
            assert found is not None, words
            command, words = found, words[1:]
        command.make_parser(context).parse_args(list(words))


def test_commands_are_found() -> None:
    """The test above looks at something."""
    assert sum(len(list(_commands_in(PAGES[page]))) for page in WRITTEN_BY_HAND) > 50


@pytest.mark.parametrize("page", WRITTEN_BY_HAND)
def test_every_flag_exists(page: str) -> None:
    context = click.Context(cli)
    known = {"--help", "--debug", "--app"}  # Flask's own
    commands = [cli.get_command(context, name) for name in COMMANDS]
    while commands:
        command = commands.pop()
        assert command is not None
        commands += getattr(command, "commands", {}).values()
        for parameter in command.params:
            known |= {*parameter.opts, *parameter.secondary_opts}
    text = BLOCK.sub("", PAGES[page])
    named = {
        flag for code in re.findall(r"`(-[^`\n]+)`", text) for flag in re.findall(r"--?[a-z][a-z-]*", code)
    }
    if page == "explanation/reset.md":
        named.discard("--create")  # of pg_dump
    assert named <= known


@pytest.mark.parametrize("page", WRITTEN_BY_HAND)
def test_every_variable_exists(page: str) -> None:
    names = {setting.variable for setting in SETTINGS}
    known = names | {f"{name}_FILE" for name in names} | {CONFIG_VARIABLE}
    assert set(re.findall(r"\bFLASK_POSTGRES_[A-Z_]*[A-Z]\b", PAGES[page])) <= known


def test_outcome_words_are_those_of_the_code() -> None:
    code = "".join(path.read_text("utf-8") for path in (ROOT / "flask_postgres").rglob("*.py"))
    words = re.findall(r"^\| `([^`]*\"NAME\"[^`]*)` \|", PAGES["reference/outcomes.md"], re.MULTILINE)
    assert len(words) > 10
    for text in words:
        before, after = text.split('"NAME"')
        assert re.search(re.escape(before) + r'"\{[\w.]+\}"' + re.escape(after), code), text


def test_every_json_key_is_explained() -> None:
    page = PAGES["reference/json.md"]
    for path in (DOCS / "pictures").glob("*.json"):
        for key in json.loads(path.read_text("utf-8")):
            assert f"`{key}`" in page, (path.name, key)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"])
def test_paths_in_the_repository_exist(page: str) -> None:
    """What stands in code marks with a slash, below the root or the package; and what a link leads to."""
    text = (ROOT / page).read_text("utf-8")
    named = re.findall(r"`((?:\w[\w.-]*/)+[\w.-]*)`", text) + re.findall(r"\]\((?!https:)([^)#]+)\)", text)
    made = (".cache/", "docs/_build/")
    for path in named:
        roots = (ROOT, ROOT / "flask_postgres", (ROOT / page).parent)
        assert path.startswith(made) or any((root / path).exists() for root in roots), path


def test_every_public_name_is_in_the_reference() -> None:
    page = PAGES["reference/api.md"]
    for name in flask_postgres.__all__:
        value = getattr(flask_postgres, name)
        is_error = isinstance(value, type) and issubclass(value, (FlaskPostgresError, KeyboardInterrupt))
        assert is_error or f"flask_postgres.{name}\n" in page, name


@pytest.mark.parametrize("page", WRITTEN_BY_HAND)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGES[page]):
        assert link.startswith("https://") or (DOCS / page).parent.joinpath(link).is_file(), link
