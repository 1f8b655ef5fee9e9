"""The group: help, typing errors, completion; and that nothing is loaded for them."""

from __future__ import annotations

import re
import shlex
from importlib import metadata

import click
import pytest

from flask_postgres.cli import COMMANDS, cli
from flask_postgres.cli.group import SYNONYMS
from flask_postgres.settings.schema import SETTINGS

from ..project import Project


def commands() -> list[tuple[str, ...]]:
    """Return the words of every command and subcommand."""
    ctx = click.Context(cli)
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        command = cli.get_command(ctx, name)
        found.append((name,))
        found += [(name, sub) for sub in getattr(command, "commands", ())]
    return found


def parameters(words: tuple[str, ...]) -> list[click.Option]:
    command: click.Command | None = cli
    for word in words:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
    assert command is not None
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def examples(text: str) -> list[list[str]]:
    """Return the words of each example of a help, after ``flask psql``; none may be broken over two lines."""
    found = re.findall(r"(?m)^  Example[^:]*: flask psql (.+)$", text)
    assert len(found) == text.count("Example"), text
    return [shlex.split(line) for line in found]


def parse(arguments: list[str]) -> None:
    """Parse what stands after ``flask psql``, and run nothing.

    :raises click.UsageError: if it is wrong.
    """
    command: click.Command | None = cli
    while isinstance(command, click.Group):
        name, *arguments = arguments
        command = command.get_command(click.Context(command), name)
    assert command is not None, name
    command.make_context(name, arguments)


SERVER = ["start", "stop", "status", "log", "list", "delete"]


def test_the_options_of_every_day_come_first(project: Project) -> None:
    text = project.here("setup", "--help").out
    assert re.findall(r"(?m)^(\w[\w ]+):$", text) == ["Options", "The new database", "Connection and server"]
    daily, _, others = text.partition("The new database:")
    for flag in ("--uri", "--if-missing", "--seed", "--dry-run", "--bind-key", "--verbose"):
        assert flag in daily
    for flag in ("--lc-collate", "--template", "--admin-uri", "--server-data-dir"):
        assert flag in others


def test_help_of_the_group(project: Project) -> None:
    result = project.psql("--help")
    assert result.code == 0
    for name, listed in COMMANDS.items():
        assert f"  {name} " in result.out
        assert listed.help in result.out
    assert result.err == ""


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_help_of_a_command(project: Project, words: tuple[str, ...]) -> None:
    """Without an app, without a server: help is never refused."""
    result = project.here(*words, "--help")
    assert (result.code, result.err) == (0, "")
    paragraph = result.out.split("\n\n")[1]
    assert paragraph.strip(), "it says what it does"
    if len(words) == 1 and words != ("server",):
        assert "Example" in result.out
        assert f"flask psql {words[0]}" in result.out


@pytest.mark.parametrize("words", [(), *commands()], ids=" ".join)
def test_help_fits_a_terminal_and_has_an_example_that_works(project: Project, words: tuple[str, ...]) -> None:
    text = project.here(*words, "--help", env={"COLUMNS": "80"}).out
    assert max(map(len, text.splitlines())) <= 80
    assert not re.search(r"(?m)\w\.\.\.$", text), "nothing is cut off"
    assert examples(text)
    for example in examples(text):
        assert tuple(example[: len(words)]) == words
        parse(example)


def test_an_example_that_does_not_work_is_found() -> None:
    for wrong in (["setup", "--no-such"], ["server", "log", "--lines", "none"], ["drop", "it"]):
        with pytest.raises(click.UsageError):
            parse(wrong)


def test_commands_are_in_working_order_and_in_sections(project: Project) -> None:
    text = project.here("--help").out
    listed = re.findall(r"(?m)^  (\w+)  +\S|^(\w+):$", text.partition("Options:")[2])
    wanted: list[tuple[str, str]] = []
    for name, one in COMMANDS.items():
        if ("", one.section) not in wanted:
            wanted.append(("", one.section))
        wanted.append((name, ""))
    assert listed == wanted
    assert next(iter(COMMANDS)) == "setup"
    commands_of_server = project.here("server", "--help").out.partition("Commands:")[2]
    assert re.findall(r"(?m)^  (\w+)  ", commands_of_server) == SERVER


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_option_is_explained_and_no_variable_sets_it(words: tuple[str, ...]) -> None:
    for option in parameters(words):
        assert option.help, f"{words} {option.opts}"
        assert not option.allow_from_autoenv, f"{words} {option.opts}"


def test_options_mean_the_same_everywhere() -> None:
    """One flag has one name and one help text, in every command that has it."""
    told: dict[str, tuple[str | None, str | None]] = {}
    for words in commands():
        for option in parameters(words):
            for flag in option.opts:
                if (words, flag) != (("server", "log"), "-n"):  # lines, as in tail(1)
                    known = told.setdefault(flag, (option.name, option.help))
                    assert known == (option.name, option.help), f"{words} {flag}"
    for setting in SETTINGS:
        for flag in (part for flags in setting.flags for part in flags.split("/")[:1]):
            assert told[flag][0] == setting.name


@pytest.mark.parametrize(
    ("typed", "meant"),
    [*SYNONYMS.items(), ("craete", "create"), ("statsu", "status")],
)
def test_typing_errors(project: Project, typed: str, meant: str) -> None:
    result = project.here(typed, "--force")
    assert result.code == 2
    assert result.err.splitlines()[-1] == f'Error: No such command "{typed}". Did you mean "{meant}"?'


@pytest.mark.parametrize("typed", ["DROP", "deletee", "resett", "restor", "rename", "dropp"])
def test_nothing_destructive_is_guessed(project: Project, typed: str) -> None:
    result = project.here(typed, "--force")
    assert result.code == 2
    assert not re.search(r"\b(drop|reset)\b", result.err), result.err


def test_help_and_version(project: Project) -> None:
    assert project.here("help").out == project.here("--help").out
    shown = project.here("--version")
    assert (shown.code, shown.out) == (0, f"flask-postgres {metadata.version('flask-postgres')}\n")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["create", "mydb"], "as in: flask psql create --uri postgresql://localhost/mydb"),
        (["shell", "-c", "SELECT 1"], "as in: flask psql shell -- -c 'SELECT 1'"),
    ],
)
def test_what_other_tools_take(project: Project, words: list[str], hint: str) -> None:
    result = project.here(*words)
    assert result.code == 2
    assert result.err.splitlines()[-1].endswith(hint), result.err


def test_typing_error_in_a_subcommand(project: Project) -> None:
    for typed, end in (("strat", 'Did you mean "start"?'), ("destroy", "See: flask psql server --help")):
        result = project.here("server", typed)
        assert result.code == 2
        assert result.err.splitlines()[-1] == f'Error: No such command "{typed}". {end}'


def test_the_synonyms_people_try() -> None:
    wanted = {
        "delete": "drop", "remove": "drop", "initialize": "init", "overwrite": "reset",
        "recreate": "reset", "new": "create", "settings": "config", "migrate": "init",
        "start": "server start",
    }  # fmt: skip
    assert SYNONYMS.items() >= wanted.items()
    for meant in SYNONYMS.values():
        assert tuple(meant.split()) in commands()


def test_nothing_near(project: Project) -> None:
    assert project.here("xyzzy").err.endswith('No such command "xyzzy". See: flask psql --help\n')


@pytest.mark.parametrize(
    "arguments", [["create", "--no-such"], ["drop", "extra"], ["create", "--uri"], ["--nope"]]
)
def test_wrong_usage(project: Project, arguments: list[str]) -> None:
    result = project.here(*arguments)
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize(
    ("words", "expected"),
    [("flask psql re", {"reset", "recover"}), ("flask psql drop --force", {"--force", "--force-disconnect"})],
)
def test_completion(project: Project, words: str, expected: set[str]) -> None:
    """Click's own, with an app that cannot be imported and in an environment that is not allowed."""
    project.write({"app.py": "raise SystemExit(7)\n"})
    env = {
        "_FLASK_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
        "FLASK_POSTGRES_CLI_DISALLOWED_ENVS": "production",
    }
    result = project.program("flask", env=env)
    found = {line.partition(",")[2] for line in result.out.splitlines()}
    assert found == expected, str(result)
