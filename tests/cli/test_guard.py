"""The guard fails closed: an environment that nothing sets is production."""

from __future__ import annotations

import pytest

from ..project import Project
from ..servers import Server
from .looking import error, oid

DISALLOWED = "FLASK_POSTGRES_CLI_DISALLOWED_ENVS"
REFUSED = ["create", "init", "drop", "setup", "reset", "recover", "unprotect"]


def test_refuses_production_with_all_that_there_is_to_know(
    project: Project, server: Server, dbname: str
) -> None:
    project.app(server.uri(dbname)).here("create")
    before = oid(server, dbname)
    result = project.psql("drop", "-f", env={"FLASK_ENV": "production", DISALLOWED: "production;staging"})
    assert error(result) == (
        'flask psql drop is not allowed in the environment "production" (from FLASK_ENV);'
        " cli_disallowed_envs disallows it (from FLASK_POSTGRES_CLI_DISALLOWED_ENVS)."
    )
    assert oid(server, dbname) == before


@pytest.mark.parametrize("command", REFUSED)
def test_refused_commands(project: Project, server: Server, dbname: str, command: str) -> None:
    project.app(server.uri(dbname))
    message = error(project.here(command, env={DISALLOWED: "production"}))
    assert message == (
        f'flask psql {command} is not allowed in the environment "production" (nothing sets one, and debug is'
        " off); cli_disallowed_envs disallows it (from FLASK_POSTGRES_CLI_DISALLOWED_ENVS)."
    )
    assert oid(server, dbname) is None


@pytest.mark.parametrize("command", ["create", "drop", "reset", "setup"])
def test_no_flag_opens_it(project: Project, server: Server, dbname: str, command: str) -> None:
    project.app(server.uri(dbname))
    for flag in ("--dry-run", "--force"):
        arguments = [command] if command == "setup" and flag == "--force" else [command, flag]
        assert "is not allowed" in error(project.here(*arguments, env={DISALLOWED: "production"}))


def test_answering_commands(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname)).here("create")
    env = {DISALLOWED: "production"}
    for arguments in (["protect"], ["config"], ["--help"], ["drop", "--help"]):
        assert project.here(*arguments, env=env).code == 0
    assert "is protected" in error(project.here("drop", "-f"))


@pytest.mark.parametrize(
    ("env", "refused"),
    [
        ({}, "production"),
        ({"FLASK_DEBUG": "1"}, None),
        ({"FLASK_ENV": "PRODUCTION"}, "PRODUCTION"),
        ({"FLASK_ENV": "Staging", "FLASK_DEBUG": "1"}, "Staging"),
        ({"FLASK_ENV": "development"}, None),
        ({"FLASK_POSTGRES_ENV": "staging", "FLASK_ENV": "development"}, "staging"),
        ({"FLASK_POSTGRES_ENV": "development", "FLASK_ENV": "production"}, None),
        ({"FLASK_ENV": " production "}, "production"),
    ],
)
def test_which_environment_it_is(
    project: Project, server: Server, dbname: str, env: dict[str, str], refused: str | None
) -> None:
    project.app(server.uri(dbname))
    result = project.here("create", "--dry-run", env={DISALLOWED: " Production ;; staging", **env})
    if refused is None:
        assert result.code == 0, str(result)
    else:
        assert f'in the environment "{refused}"' in error(result)


def test_app_config_says_which_environment(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    text = (project.folder / "app.py").read_text()
    for key, origin in (
        ("ENV", "ENV"),
        ("FLASK_ENV", "FLASK_ENV"),
        ("FLASK_POSTGRES_ENV", "FLASK_POSTGRES_ENV"),
    ):
        project.write({"app.py": f"{text}\napp.config[{key!r}] = 'staging'\n"})
        message = error(project.here("create", env={DISALLOWED: "staging", "FLASK_ENV": "development"}))
        assert f'in the environment "staging" (from app.config["{origin}"])' in message


def test_an_environment_that_is_an_enum(project: Project, server: Server, dbname: str) -> None:
    """Its text counts. ``str()`` gives its name, which no list disallows."""
    project.app(server.uri(dbname))
    text = (project.folder / "app.py").read_text()
    enum = "import enum\nclass Env(str, enum.Enum):\n    LIVE = 'production'\n"
    for key in ("ENV", "FLASK_POSTGRES_ENV"):
        project.write({"app.py": f"{enum}{text}\napp.config[{key!r}] = Env.LIVE\n"})
        message = error(project.here("create", env={DISALLOWED: "production"}))
        assert 'in the environment "production"' in message


def test_the_list_from_toml(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    project.write(
        {"pyproject.toml": '[tool.flask_postgres]\ncli_disallowed_envs = ["production", "staging"]\n'}
    )
    message = error(project.here("create"))
    assert message.endswith("pyproject.toml [tool.flask_postgres]: cli_disallowed_envs).")


def test_an_empty_list_in_app_config_overrules(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    text = (project.folder / "app.py").read_text()
    project.write({"app.py": f"{text}\napp.config[{DISALLOWED!r}] = []\n"})
    assert project.here("create", "-n", env={DISALLOWED: "production"}).code == 0


def test_a_misspelt_guard_does_not_protect_nothing(project: Project, server: Server, dbname: str) -> None:
    project.app(server.uri(dbname))
    assert DISALLOWED in error(
        project.here("create", env={"FLASK_POSTGRES_CLI_DISALLOWED_ENV": "production"}), 2
    )
    project.write({"flask_postgres.toml": 'disallowed_envs = ["production"]\n'})
    assert 'did you mean "cli_disallowed_envs"?' in error(project.here("create"), 2)
    assert oid(server, dbname) is None


def test_an_app_that_cannot_be_loaded_is_guarded_too(project: Project, server: Server, dbname: str) -> None:
    project.write({"app.py": "import nowhere\n"})
    uri = server.uri(dbname).render(hide_password=False)
    assert "is not allowed" in error(project.here("create", "--uri", uri, env={DISALLOWED: "production"}))
    assert oid(server, dbname) is None
