"""What is offered when TAB is pressed, by Click's protocol; real shells are in tests/editors."""

from __future__ import annotations

import pathlib
import socket
import subprocess
import sys
import typing as t

import click
import pytest
from click.shell_completion import ShellComplete

from flask_postgres.cli import COMMANDS, cli
from flask_postgres.settings.schema import SETTINGS, Setting

from ..project import Project

EXTENSIONS = {
    "flask_sqlalchemy": """
        app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql://localhost:1/main"
        app.config["SQLALCHEMY_BINDS"] = {binds}
    """,
    "flask_sqlalchemy_lite": """
        app.config["SQLALCHEMY_ENGINES"] = {{"default": "postgresql://localhost:1/main", **{binds}}}
    """,
}
BINDS = {
    "users": "postgresql://me:super-s3cret@localhost:1/people",
    "usage": "postgresql+psycopg://localhost:1/usage",
    "cache": "sqlite://",
}
APP = """
import atexit, os, sys, warnings
from flask import Flask
from {module} import SQLAlchemy

print("noise"); print("noise", file=sys.stderr); warnings.warn("noise")
os.system("echo noise; echo noise >&2")
atexit.register(print, "noise", flush=True)
atexit.register(print, "noise", file=sys.stderr)
app = Flask(__name__)
{config}
db = SQLAlchemy(app)
"""


def offered(*words: str, incomplete: str = "") -> list[t.Any]:
    """Return what Click offers after these words of ``flask psql``."""
    return ShellComplete(cli, {}, "flask psql", "_FLASK_COMPLETE").get_completions(list(words), incomplete)


def values(*words: str, incomplete: str = "") -> list[str]:
    return [item.value for item in offered(*words, incomplete=incomplete)]


def of_flask(project: Project, *words: str, env: t.Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what the ``flask`` command of its own process offers, with the help of each."""
    line = {"COMP_WORDS": " ".join(["flask", *words]), "COMP_CWORD": str(len(words) + 1)}
    result = project.program("flask", env={"_FLASK_COMPLETE": "zsh_complete", **line, **(env or {})})
    assert (result.code, result.err) == (0, ""), str(result)
    rows = result.out.strip("\n").splitlines()
    assert set(rows[::3]) <= {"plain"}
    return dict(zip(rows[1::3], rows[2::3], strict=True))


def commands() -> dict[tuple[str, ...], click.Command]:
    """Return every command and subcommand by the words that call it."""
    ctx = click.Context(cli)
    found: dict[tuple[str, ...], click.Command] = {}
    for name in COMMANDS:
        command = cli.get_command(ctx, name)
        assert command is not None
        found[name,] = command
        if isinstance(command, click.Group):
            found |= {(name, sub): one for sub, one in command.commands.items()}
    return found


ALL = commands()


def using(setting: Setting) -> tuple[str, ...]:
    """Return the words of a command that has the flag of a setting."""
    return next(
        words for words, command in ALL.items() if any(p.name == setting.name for p in command.params)
    )


def test_every_command_in_working_order_with_its_help() -> None:
    assert [(item.value, item.help) for item in offered()] == [
        (name, listed.help) for name, listed in COMMANDS.items()
    ]
    assert values(incomplete="re") == ["reset", "recover"]
    assert values(incomplete="xyz") == []


def test_subcommands_in_order_with_a_help_that_is_not_cut_off() -> None:
    found = offered("server")
    assert [item.value for item in found] == ["start", "stop", "status", "log", "list", "delete"]
    assert not [item.help for item in found if item.help.endswith("...")]


def test_no_help_of_a_command_has_a_comma() -> None:
    """To Click's script for fish it is the end, and create and setup would look the same."""
    assert not [item.help for item in [*offered(), *offered("server")] if "," in item.help]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_option_of_every_command(words: tuple[str, ...]) -> None:
    command = ALL[words]
    flags = {
        flag
        for parameter in command.get_params(click.Context(command))
        if isinstance(parameter, click.Option)
        for flag in (*parameter.opts, *parameter.secondary_opts)
    }
    assert set(values(*words, incomplete="-")) == flags
    assert set(values(*words, incomplete="--")) == {flag for flag in flags if flag.startswith("--")}


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one.flags], ids=lambda setting: setting.name)
def test_the_value_of_every_setting(setting: Setting) -> None:
    """The table says what a value is, and so what is offered for it."""
    if setting.kind == "boolean":
        return
    found = [(item.type, item.value) for item in offered(*using(setting), setting.flags[0], incomplete="")]
    if setting.choices:
        assert found == [("plain", choice) for choice in setting.choices]
    elif setting.kind == "path":
        assert found == [("dir", "")]
    else:
        assert found == []


@pytest.mark.parametrize(
    "words", [words for words in ALL if words not in (("server",), ("snapshot",))], ids=" ".join
)
def test_files_for_config(words: tuple[str, ...]) -> None:
    assert [(item.type, item.value) for item in offered(*words, "--config", incomplete="conf/")] == [
        ("file", "conf/")
    ]


class TestBindKeys:
    @pytest.fixture(params=EXTENSIONS)
    def noisy(self, request: pytest.FixtureRequest, project: Project) -> Project:
        """Return a project whose app prints whatever it can, while it is imported and when it ends."""
        pytest.importorskip(request.param)
        config = EXTENSIONS[request.param].replace(" " * 8, "").format(binds=repr(BINDS))
        return project.write({"app.py": APP.format(module=request.param, config=config)})

    def test_those_on_postgresql_with_their_databases(self, noisy: Project) -> None:
        found = of_flask(noisy, "psql", "setup", "--bind-key")
        assert found == {"users": "the database people", "usage": "the database usage"}

    def test_each_once(self, noisy: Project) -> None:
        assert list(of_flask(noisy, "psql", "drop", "--bind-key", "users", "--bind-key")) == ["usage"]

    def test_of_the_app_that_is_named(self, noisy: Project) -> None:
        (noisy.folder / "app.py").rename(noisy.folder / "shop.py")
        assert list(of_flask(noisy, "--app", "shop", "psql", "status", "--bind-key")) == ["users", "usage"]
        assert list(of_flask(noisy, "psql", "status", "--bind-key", env={"FLASK_APP": "shop"})) != []
        assert of_flask(noisy, "psql", "status", "--bind-key") == {}


BROKEN = {
    "no app": {},
    "an error": {"app.py": "raise ValueError('broken')\n"},
    "an exit": {"app.py": "raise SystemExit('broken')\n"},
    "no Python": {"app.py": "def\n"},
    "no extension": {"app.py": "from flask import Flask\napp = Flask(__name__)\n"},
    "no URI": {"app.py": "import flask, flask_sqlalchemy as f\napp = flask.Flask('x')\nf.SQLAlchemy(app)\n"},
    "a wrong table": {"pyproject.toml": "[tool.flask_postgres]\nownr = 1\n"},
    "no TOML": {"flask_postgres.toml": "= = =\n"},
}


@pytest.mark.parametrize("files", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_passed_over(project: Project, files: dict[str, str]) -> None:
    """In an environment that is not allowed, too: a TAB changes nothing."""
    project.write(files)
    env = {"FLASK_POSTGRES_CLI_DISALLOWED_ENVS": "production"}
    assert of_flask(project, "psql", "reset", "--bind-key", env=env) == {}
    assert list(of_flask(project, "psql", env=env)) == list(COMMANDS)


def test_an_app_is_kept_from_connecting(project: Project) -> None:
    """It might wait for ever, or make its tables."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        uri = f"postgresql://127.0.0.1:{listener.getsockname()[1]}/main"
        project.app(uri)
        text = (project.folder / "app.py").read_text()
        project.write({"app.py": f"{text}\nwith app.app_context():\n    db.create_all()\n"})
        assert of_flask(project, "psql", "setup", "--bind-key") == {}
        with pytest.raises(TimeoutError):
            listener.accept()


def test_the_app_is_loaded_for_bind_keys_alone(project: Project) -> None:
    project.write({"app.py": "import pathlib\npathlib.Path('loaded').touch()\n"})
    for words in (["psql"], ["psql", "server"], ["psql", "setup", "--server"], ["psql", "drop", "--config"]):
        line = {"COMP_WORDS": " ".join(["flask", *words]), "COMP_CWORD": str(len(words) + 1)}
        project.program("flask", env={"_FLASK_COMPLETE": "bash_complete", **line})
    assert not (project.folder / "loaded").exists()
    of_flask(project, "psql", "drop", "--bind-key")
    assert (project.folder / "loaded").exists()


def test_nothing_heavy_is_imported(tmp_path: pathlib.Path) -> None:
    code = """
        import sys
        from click.shell_completion import ShellComplete
        from flask_postgres.cli import COMMANDS, cli

        def press(*words, incomplete=""):
            assert ShellComplete(cli, {}, "flask psql", "_X").get_completions(list(words), incomplete)

        press()
        loaded = [name for name in sys.modules if name.startswith("flask_postgres.cli.commands")]
        for name in COMMANDS:
            press(name, incomplete="-")
        press("setup", "--init-with")
        press("server")
        heavy = {"sqlalchemy", "psycopg", "psycopg2", "flask_sqlalchemy", "environs", "tomli", "asyncio"}
        print(loaded, heavy & set(sys.modules))
    """
    lines = "\n".join(line[8:] for line in code.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", lines], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout == "[] set()\n"
