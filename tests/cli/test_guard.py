"""The guard fails closed: an environment that nothing sets is production."""

from __future__ import annotations

import pytest

from flask_postgres import PostgresUri

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
        f"flask psql {command} is not allowed where nothing sets the environment and debug is off; "
        "cli_disallowed_envs disallows production (from FLASK_POSTGRES_CLI_DISALLOWED_ENVS)."
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
        ({"FLASK_DEBUG": "1"}, None),
        ({"FLASK_ENV": "PRODUCTION"}, "PRODUCTION"),
        ({"FLASK_ENV": "Staging", "FLASK_DEBUG": "1"}, "Staging"),
        ({"FLASK_ENV": "development"}, None),
        ({"FLASK_POSTGRES_ENV": "staging", "FLASK_ENV": "development"}, "staging"),
        ({"FLASK_POSTGRES_ENV": "development", "FLASK_ENV": "production"}, None),
        ({"FLASK_ENV": " production "}, "production"),
        ({"FLASK_ENV": '"production"'}, "production"),
        ({"FLASK_POSTGRES_ENV": "'staging'"}, "staging"),
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


@pytest.mark.parametrize("disallowed", ["prod;live", '"production"', "'production;staging'", '"a"; "b"'])
def test_environment_that_nothing_sets_counts_as_every_disallowed_one(
    project: Project, server: Server, dbname: str, disallowed: str
) -> None:
    project.app(server.uri(dbname))
    assert "where nothing sets the environment" in error(project.here("create", env={DISALLOWED: disallowed}))
    assert project.here("create", "-n", env={DISALLOWED: disallowed, "FLASK_DEBUG": "1"}).code == 0
    assert oid(server, dbname) is None


@pytest.mark.parametrize(
    "env",
    [
        {DISALLOWED: "production staging"},
        {DISALLOWED: "production|staging"},
        {DISALLOWED: '"production'},
        {DISALLOWED: '""production""'},
        {DISALLOWED: "production", "FLASK_ENV": "prod uction"},
        {DISALLOWED: "production", "FLASK_POSTGRES_ENV": '"production'},
    ],
)
def test_anything_but_names_of_environments_is_an_error_of_the_setting(
    project: Project, server: Server, dbname: str, env: dict[str, str]
) -> None:
    project.app(server.uri(dbname)).here("create")
    before = oid(server, dbname)
    message = error(project.here("drop", "-f", env=env), code=2)
    assert f"{[*env][-1]}: must be the name of an environment (letters, digits, _, - and .), not" in message
    assert oid(server, dbname) == before


def test_an_app_that_cannot_be_loaded_is_guarded_too(project: Project, server: Server, dbname: str) -> None:
    project.write({"app.py": "import nowhere\n"})
    uri = server.uri(dbname).render(hide_password=False)
    assert "is not allowed" in error(project.here("create", "--uri", uri, env={DISALLOWED: "production"}))
    assert oid(server, dbname) is None


class TestUnknownGuard:
    """The app was named and cannot be loaded: its config may hold the guard."""

    @pytest.fixture
    def uri(self, project: Project, database: PostgresUri) -> str:
        project.write({"broken.py": "import nowhere\n"})
        return database.render(hide_password=False)

    @pytest.mark.parametrize("app", [["--app", "nosuch"], ["--app", "broken"]])
    def test_refuses_what_destroys(self, project: Project, server: Server, uri: str, app: list[str]) -> None:
        before = oid(server, PostgresUri(uri).dbname)
        result = project.run(*app, "psql", "drop", "--force", "--uri", uri)
        assert error(result) == (
            "flask psql drop is not allowed: the app, whose config may set cli_disallowed_envs, cannot be "
            "loaded. To do without the app, add --no-app"
        )
        assert oid(server, PostgresUri(uri).dbname) == before

    @pytest.mark.parametrize("command", [["recover", "-f"], ["unprotect"], ["create", "-o"], ["shell"]])
    def test_refuses_the_other_commands_that_destroy(
        self, project: Project, uri: str, command: list[str]
    ) -> None:
        result = project.here(*command, "--uri", uri, app="broken")
        assert "whose config may set cli_disallowed_envs" in error(result)

    def test_a_variable_names_it_too(self, project: Project, uri: str) -> None:
        result = project.psql("drop", "-f", "--uri", uri, env={"FLASK_APP": "nosuch"})
        assert "whose config may set cli_disallowed_envs" in error(result)

    def test_no_app_says_that_none_is_wanted(self, project: Project, server: Server, uri: str) -> None:
        result = project.here("drop", "-f", "--no-app", "--uri", uri, app="broken")
        assert (result.code, "nowhere" in result.all) == (0, False), str(result)
        assert oid(server, PostgresUri(uri).dbname) is None

    @pytest.mark.parametrize("env", [{"FLASK_ENV": "development"}, {}])
    def test_a_guard_of_another_source_is_known(
        self, project: Project, uri: str, env: dict[str, str]
    ) -> None:
        project.write({"flask_postgres.toml": "cli_disallowed_envs = ['production']"})
        result = project.here("drop", "-f", "--uri", uri, app="broken", env=env)
        assert result.code == (0 if env else 1), str(result)
        assert "config may set" not in result.err

    def test_what_destroys_nothing_is_allowed(self, project: Project, uri: str) -> None:
        assert project.here("create", "--uri", uri, app="broken").code == 0
        assert project.here("recover", "--uri", uri, app="broken").code == 0
