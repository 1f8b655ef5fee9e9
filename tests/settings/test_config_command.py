"""``flask psql config``: what it prints, and its exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo

from flask_postgres.cli import cli
from flask_postgres.settings.generate import example_text, schema_text

from ..project import Project

Run = t.Callable[..., Result]


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command on an app, in an empty folder, without any variables."""
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith(("FLASK_", "SQLALCHEMY_"))]:
        monkeypatch.delenv(name)

    def run(*arguments: str, config: t.Mapping[str, t.Any] | None = None, broken: bool = False) -> Result:
        def create_app() -> Flask:
            assert not broken, "this app is broken"
            app = Flask(__name__, root_path=str(folder))
            app.config.from_mapping(config or {})
            return app

        return CliRunner().invoke(cli, ["config", *arguments], obj=ScriptInfo(create_app=create_app))

    return run


URI = "postgresql://me:canary@localhost:1/db"


@pytest.mark.parametrize("arguments", [(), ("--show",)])
def test_bare_command_shows(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments, config={"SQLALCHEMY_DATABASE_URI": URI})
    assert result.exit_code == 0
    assert 'target_database_uri = "postgresql://me:***@localhost:1/db"  (app: app.config[' in result.output


def test_flags_count_as_typed_and_only_then(run: Run) -> None:
    result = run("--json", "--only-changed", "--no-protect", "--extension", "a", "--extension", "b;c")
    assert {entry["name"]: entry["value"] for entry in json.loads(result.output)["settings"]} == {
        "protect": False,
        "extensions": ["a", "b", "c"],
    }


@pytest.mark.parametrize("password", ["app", "name", '"', "e"])
def test_short_password_does_not_spoil_the_json(run: Run, password: str) -> None:
    uri = URI.replace("canary", password)
    data = json.loads(run("--json", config={"SQLALCHEMY_DATABASE_URI": uri}).output)
    assert data["settings"][0]["name"] == "target_database_uri"
    assert data["settings"][0]["value"] == "postgresql://me:***@localhost:1/db"


def test_disallowed_environment_is_shown_all_the_same(run: Run) -> None:
    assert run(config={"FLASK_POSTGRES_CLI_DISALLOWED_ENVS": ["production"]}).exit_code == 0


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_broken_configuration_is_shown_and_ends_with_2(
    run: Run, folder: Path, arguments: tuple[str, ...]
) -> None:
    (folder / "flask_postgres.toml").write_text("protect = 1\nownr = 1\n")
    result = run(*arguments, config={"SQLALCHEMY_DATABASE_URI": "mysql://u:canary@h/db"})
    assert result.exit_code == 2
    assert "must be true or false" in result.output
    assert 'did you mean "owner"?' in result.output
    assert "canary" not in result.output
    assert "Traceback" not in result.output


def test_app_that_cannot_be_loaded_is_said_and_ends_with_2(run: Run) -> None:
    result = run("--uri", URI, broken=True)
    assert result.exit_code == 2
    assert "the app's config was not read" in result.output
    assert '"postgresql://me:***@localhost:1/db"  (cli: --uri)' in result.output


def test_missing_app_is_no_broken_one(project: Project) -> None:
    assert project.psql("config").code == 0
    assert project.run("--app", "nosuch", "psql", "config").code == 2
    project.write({"app.py": "import nowhere"})
    assert project.psql("config").code == 2


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_driver_is_shown(run: Run, driver: str) -> None:
    uri = URI.replace("postgresql", f"postgresql+{driver}")
    shown = rf"{driver} \({driver}[\w-]* [\d.]+(, {driver}-\w+ [\d.]+)?\)"
    assert re.search(f"^Driver:\n    {shown}$", run("--uri", uri).output, re.MULTILINE)
    assert re.fullmatch(shown, json.loads(run("--json", "--uri", uri).output)["driver"])


@pytest.mark.parametrize(("flag", "text"), [("--schema", schema_text()), ("--example", example_text())])
def test_generated_texts_need_no_app(run: Run, flag: str, text: str) -> None:
    result = run(flag, broken=True)
    assert (result.exit_code, result.output) == (0, text)


@pytest.mark.parametrize("other", ["--example", "--json", "--only-changed", "--show"])
def test_schema_stands_alone(run: Run, other: str) -> None:
    result = run("--schema", other)
    assert result.exit_code == 2
    assert "give one of them alone" in result.output


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_a_value_that_the_output_cannot_hold(project: Project, encoding: str) -> None:
    result = project.program(
        "flask", "psql", "config", "--owner", "数", env={"PYTHONIOENCODING": f"{encoding}:strict"}
    )
    assert result.code == 0, str(result)
    assert ('owner = "\\u6570"' if encoding == "latin-1" else 'owner = "数"') in result.out


def test_what_the_app_prints_is_no_data(project: Project) -> None:
    """Neither at its import, nor by a handler of logging that it makes then."""
    project.write(
        {
            "app.py": """
                import logging, sys
                from flask import Flask
                print("hello", "super-" + "s3cret")
                log = logging.getLogger("shop")
                log.addHandler(logging.StreamHandler(sys.stdout))
                log.error("ready")
                app = Flask(__name__)
            """
        }
    )
    result = project.here("config", "--json", "--uri", "postgresql://u:super-s3cret@h/x")
    assert json.loads(result.out)["settings"][0]["value"] == "postgresql://u:***@h/x"
    assert "hello" in result.err
    assert "ready" in result.err


def test_a_working_directory_that_is_gone(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = run()
    assert result.exit_code == 1
    assert result.output == "Error: the working directory does not exist any more. Change to one that does.\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
@pytest.mark.parametrize("python", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("arguments", [("config",), ("config", "--help"), ("--help",)], ids=" ".join)
def test_full_disk_is_one_line_and_exits_with_1(
    project: Project, arguments: tuple[str, ...], python: dict[str, str]
) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "flask", "psql", *arguments],
            cwd=project.folder, env={**project.env, **python}, stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    expected = "Error: the system refuses: [Errno 28] No space left on device."
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (1, [expected])


def test_variables_do_not_set_options(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_PSQL_CONFIG_OWNER", "somebody")
    monkeypatch.setenv("PSQL_CONFIG_OWNER", "somebody")
    assert "somebody" not in run().output
