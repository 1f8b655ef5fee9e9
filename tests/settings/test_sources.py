"""What each source gives, and what it refuses."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from flask_postgres.settings import tomlfile
from flask_postgres.settings.sources import PRECEDENCE

from .resolving import resolved

INVALID = sorted((Path(__file__).parent / "invalid").glob("*.toml"))


def test_precedence_is_the_one_of_the_specification() -> None:
    assert PRECEDENCE == ("cli", "app", "toml", "env", "default")


class TestEnvironment:
    @pytest.mark.parametrize("value", ["{{HOME}}", "$HOME", "${HOME:-x}", "\\$HOME"])
    def test_value_is_taken_as_it_is(self, value: str) -> None:
        environ = {"FLASK_POSTGRES_OWNER": value, "HOME": "/home"}
        assert resolved(environ=environ)["owner"].value == value

    def test_file_of_two_lines_is_a_fault(self, folder: Path) -> None:
        (folder / "secret").write_text("postgresql://h/db\nsecond\n")
        name = "FLASK_POSTGRES_TARGET_DATABASE_URI_FILE"
        (fault,) = resolved(environ={name: "secret"}, cwd=folder).faults
        assert fault == f"{name} (secret): must not contain a control character, such as a line break"

    @pytest.mark.parametrize(
        ("content", "value"),
        [("me", "me"), ("me\n", "me"), ("me\r\n", "me"), (" me ", " me ")],
    )
    def test_file_variable_loses_one_newline(self, folder: Path, content: str, value: str) -> None:
        (folder / "secret").write_bytes(content.encode())
        entry = resolved(environ={"FLASK_POSTGRES_OWNER_FILE": "secret"}, cwd=folder)["owner"]
        assert entry.value == value
        assert entry.source == "env"
        assert entry.origin == "FLASK_POSTGRES_OWNER_FILE (secret)"

    def test_variable_and_file_together_are_an_error(self, folder: Path) -> None:
        environ = {"FLASK_POSTGRES_OWNER": "a", "FLASK_POSTGRES_OWNER_FILE": str(folder / "b")}
        fault = "FLASK_POSTGRES_OWNER: FLASK_POSTGRES_OWNER_FILE is set as well; unset one of them"
        assert resolved(environ=environ).faults == (fault,)

    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            (Path.exists, "the file cannot be read: No such file or directory"),
            (Path.mkdir, "the file cannot be read: it is not a regular file"),
            (os.mkfifo, "the file cannot be read: it is not a regular file"),
            (
                lambda path: path.write_bytes(b"x" * (1024 * 1024 + 1)),
                "the file cannot be read: it is larger than 1 MiB",
            ),
            (lambda path: path.write_bytes(b"\xff"), "the file is not UTF-8 text"),
        ],
    )
    def test_file_that_cannot_be_read(
        self, folder: Path, make: t.Callable[[Path], t.Any], reason: str
    ) -> None:
        path = folder / "secret"
        make(path)
        faults = resolved(environ={"FLASK_POSTGRES_OWNER_FILE": str(path)}).faults
        assert faults == (f"FLASK_POSTGRES_OWNER_FILE ({path}): {reason}",)

    def test_password_that_stands_where_its_file_belongs_is_not_repeated(self) -> None:
        uri = "postgresql://u:canary@h/db"
        resolution = resolved(environ={"FLASK_POSTGRES_TARGET_DATABASE_URI_FILE": uri})
        assert "canary" not in "".join(resolution.faults)
        assert "canary" in set(resolution.secrets())


class TestMisspelt:
    @pytest.mark.parametrize(
        ("name", "near"),
        [
            ("FLASK_POSTGRES_CLI_DISALLOWED_ENV", "FLASK_POSTGRES_CLI_DISALLOWED_ENVS"),
            ("FLASK_POSTGRES_DISALLOWED_ENVS", "FLASK_POSTGRES_CLI_DISALLOWED_ENVS"),
            ("FLASK_POSTGRES_ADMIN_DB_NAME", "FLASK_POSTGRES_ADMIN_DBNAME"),
            ("FLASK_POSTGRES_PROTCT", "FLASK_POSTGRES_PROTECT"),
        ],
    )
    def test_nearly_a_known_name_is_a_fault(self, name: str, near: str) -> None:
        remedy = f"there is no such setting; did you mean {near}?"
        assert resolved(environ={name: "x"}).faults == (f"{name}: {remedy}",)
        assert resolved(app_config={name: "x"}).faults == (f'app.config["{name}"]: {remedy}',)

    @pytest.mark.parametrize(
        "name",
        [
            "FLASK_POSTGRES_SERVICE_HOST",
            "FLASK_POSTGRES_SERVICE_PORT",
            "FLASK_POSTGRES_PORT",
            "FLASK_POSTGRES_PORT_5432_TCP_ADDR",
            "FLASK_POSTGRES_PROTECT_PORT",
            "FLASK_POSTGRES_PASSWORD",
            "FLASK_POSTGRES_",
        ],
    )
    def test_other_names_are_unused(self, name: str) -> None:
        resolution = resolved(environ={name: "canary"})
        assert resolution.faults == ()
        assert resolution.unused == (name,)

    def test_name_that_only_the_environment_knows_is_unused_in_the_app(self) -> None:
        unused = resolved(app_config={"FLASK_POSTGRES_CONFIG": "x", "OTHER": 1, 5: 6}).unused
        assert unused == ('app.config["FLASK_POSTGRES_CONFIG"]',)

    def test_variables_that_are_known_are_neither(self) -> None:
        resolution = resolved(environ={"FLASK_POSTGRES_CONFIG": "", "FLASK_ENV": "x", "HOME": "/"})
        assert (resolution.faults, resolution.unused) == ((), ())


class TestExpansion:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("${A}", "one"),
            ("x${A}y${A}", "xoneyone"),
            ("${B:-two}", "two"),
            ("${EMPTY:-two}", "two"),
            ("${EMPTY}", ""),
            ("${B:-}", ""),
            ("${A:-two}", "one"),
            ("$A $ {A} $$", "$A $ {A} $$"),
        ],
    )
    def test_values(self, text: str, value: str) -> None:
        assert tomlfile.expand(text, {"A": "one", "EMPTY": "", "DOLLAR": "${A}"}) == value

    def test_value_is_not_expanded_again(self) -> None:
        assert tomlfile.expand("${D}", {"D": "${A}"}) == "${A}"

    @pytest.mark.parametrize("text", ["${", "${}", "${1}", "${A", "${A:?no}", "${A:-${B}}"])
    def test_anything_else_behind_the_brace_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="must be"):
            tomlfile.expand(text, {"A": "one"})

    def test_reaches_into_lists_and_its_fault_names_the_key(self, folder: Path) -> None:
        path = folder / "flask_postgres.toml"
        path.write_text('extensions = ["${A}"]\nowner = "${MISSING}"\n')
        resolution = resolved(cwd=folder, environ={"A": "citext"})
        assert resolution["extensions"].value == ("citext",)
        assert resolution.faults == (
            f"{path}: owner: names the environment variable MISSING, which is not set; "
            "set it, or write ${MISSING:-fallback}",
        )


def table(path: Path, owner: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = "" if path.name == "flask_postgres.toml" else "[tool.flask_postgres]\n"
    path.write_text(f'{header}owner = "{owner}"\n')
    return path


class TestSearch:
    def test_nearest_folder_upwards_wins(self, folder: Path) -> None:
        table(folder / "flask_postgres.toml", "far")
        near = table(folder / "a" / "pyproject.toml", "near")
        (folder / "a" / "b").mkdir()
        (folder / "a" / "b" / "pyproject.toml").write_text("[tool.other]\n")
        entry = resolved(cwd=folder / "a" / "b")["owner"]
        assert entry.value == "near"
        assert entry.origin == f"{near} [tool.flask_postgres]: owner"

    def test_ends_at_a_repository(self, folder: Path) -> None:
        table(folder / "flask_postgres.toml", "outside")
        (folder / "a").mkdir()
        (folder / "a" / ".git").write_text("gitdir: elsewhere\n")
        assert not resolved(cwd=folder / "a").is_set("owner")

    def test_looks_from_the_root_path_when_the_working_directory_has_none(self, folder: Path) -> None:
        (folder / "elsewhere" / ".git").mkdir(parents=True)
        table(folder / "src" / "flask_postgres.toml", "app's")
        (folder / "src" / "package").mkdir()
        resolution = resolved(cwd=folder / "elsewhere", root_path=folder / "src" / "package")
        assert resolution["owner"].value == "app's"

    def test_working_directory_beats_the_root_path(self, folder: Path) -> None:
        table(folder / "app" / "flask_postgres.toml", "app's")
        table(folder / "flask_postgres.toml", "mine")
        assert resolved(cwd=folder, root_path=folder / "app")["owner"].value == "mine"

    def test_own_file_wins_beside_a_table_and_that_is_said(self, folder: Path) -> None:
        own = table(folder / "flask_postgres.toml", "own")
        shared = table(folder / "pyproject.toml", "shared")
        resolution = resolved(cwd=folder)
        assert resolution["owner"].value == "own"
        assert {file.path: file.status for file in resolution.files} == {
            own: "read",
            shared: "not read: flask_postgres.toml beside it wins",
        }

    def test_says_where_it_looked(self, folder: Path) -> None:
        (folder / "pyproject.toml").write_text("[project]\n")
        assert [(file.path.name, file.status) for file in resolved(cwd=folder).files] == [
            ("flask_postgres.toml", "not found"),
            ("pyproject.toml", "has no [tool.flask_postgres]"),
        ]

    @pytest.mark.parametrize("header", ["", "[tool.flask_postgres]\n"])
    def test_own_file_takes_the_header_or_not(self, folder: Path, header: str) -> None:
        (folder / "flask_postgres.toml").write_text(f'{header}owner = "me"\n')
        assert resolved(cwd=folder).settings.owner == "me"

    @pytest.mark.parametrize("name", ["flask_postgres.toml", "pyproject.toml", "named.toml"])
    @pytest.mark.parametrize("header", ["tool.flask-postgres", "tool.Flask_Postgres", "flask_postgres"])
    def test_misspelt_table_is_a_fault(self, folder: Path, name: str, header: str) -> None:
        """A guard in it would protect nothing."""
        path = folder / name
        path.write_text(f'[{header}]\ncli_disallowed_envs = ["production"]\n')
        faults = resolved(cwd=folder, config_file=name if name == "named.toml" else None).faults
        assert faults == (f"{path}: there is no table [{header}]; write [tool.flask_postgres]",)

    @pytest.mark.parametrize(
        ("key", "name"),
        [("uri", "target_database_uri"), ("url", "target_database_uri"), ("template", "database_template"),
         ("extension", "extensions"), ("no_protect", "protect"), ("disallowed_envs", "cli_disallowed_envs")],
    )  # fmt: skip
    def test_unknown_key_is_answered_with_what_it_means(self, folder: Path, key: str, name: str) -> None:
        path = folder / "flask_postgres.toml"
        path.write_text(f"{key} = 1\n")
        assert resolved(cwd=folder).faults == (f'{path}: unknown key "{key}"; did you mean "{name}"?',)

    def test_byte_order_mark_is_no_part_of_the_first_key(self, folder: Path) -> None:
        (folder / "flask_postgres.toml").write_bytes(b'\xef\xbb\xbfowner = "me"\r\n')
        assert resolved(cwd=folder).settings.owner == "me"

    def test_relative_path_starts_at_the_folder_of_the_file(self, folder: Path) -> None:
        (folder / "flask_postgres.toml").write_text('server_data_dir = "data"\n')
        (folder / "a").mkdir()
        assert resolved(cwd=folder / "a").settings.server_data_dir == folder / "data"

    def test_relative_path_starts_at_the_folder_of_the_real_file(self, folder: Path) -> None:
        """The folder of a link may be a stranger's, and the path may name programs to run."""
        (folder / "real").mkdir()
        (folder / "real" / "settings.toml").write_text('server_bin_dir = "bin"\n')
        (folder / "flask_postgres.toml").symlink_to("real/settings.toml")
        assert resolved(cwd=folder).settings.server_bin_dir == folder / "real" / "bin"

    @pytest.mark.parametrize("name", ["flask_postgres.toml", "pyproject.toml"])
    def test_huge_file_is_a_fault_and_is_not_read(self, folder: Path, name: str) -> None:
        with (folder / name).open("wb") as file:
            file.truncate(10**12)  # sparse: reading it would take minutes, and all the memory
        faults = resolved(cwd=folder).faults
        assert faults == (f"{folder / name}: cannot be read: it is larger than 1 MiB",)

    def test_broken_pyproject_of_somebody_else_is_passed_by(self, folder: Path) -> None:
        (folder / "pyproject.toml").write_text("[tool.other\n")
        resolution = resolved(cwd=folder)
        assert resolution.faults == ()
        assert resolution.files[1].status.startswith("not read: 1:12: ")

    def test_broken_pyproject_that_may_hold_the_table_is_a_fault(self, folder: Path) -> None:
        (folder / "pyproject.toml").write_text("[tool.flask_postgres]\nowner = \n")
        (fault,) = resolved(cwd=folder).faults
        assert fault.startswith(f"{folder}/pyproject.toml:2:9: ")

    def test_folder_of_that_name_is_no_file(self, folder: Path) -> None:
        (folder / "flask_postgres.toml").mkdir()
        resolution = resolved(cwd=folder)
        assert resolution.faults == ()
        assert resolution.files[0].status == "not read: it is not a file"


Owned = t.Callable[[Path], None]


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> Owned:
    """Return what makes a file another user's: root can give it away, anybody else becomes another one."""

    def give_away(path: Path) -> None:
        if os.getuid() == 0:
            os.chown(path, 12345, -1, follow_symlinks=False)
        else:
            owner = path.lstat().st_uid
            monkeypatch.setattr(os, "getuid", lambda: owner + 1)

    return give_away


root_alone = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can chown")


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has no owners of this kind")
class TestOwner:
    @pytest.mark.parametrize("name", ["flask_postgres.toml", "pyproject.toml"])
    def test_file_of_another_user_upwards_is_not_read_and_that_is_said(
        self, folder: Path, give_away: Owned, name: str
    ) -> None:
        path = table(folder / name, "attacker")
        (folder / "a").mkdir()
        give_away(path)
        resolution = resolved(cwd=folder / "a")
        assert not resolution.is_set("owner")
        assert resolution.notes == (
            f"{path}: not read: another user owns it; name it with --config to use it all the same",
        )

    def test_file_of_another_user_in_the_starting_folder_is_read(
        self, folder: Path, give_away: Owned
    ) -> None:
        give_away(table(folder / "flask_postgres.toml", "bind mount"))
        assert resolved(cwd=folder)["owner"].value == "bind mount"

    def test_but_not_where_everybody_can_put_one(self, folder: Path, give_away: Owned) -> None:
        give_away(table(folder / "flask_postgres.toml", "attacker"))
        folder.chmod(0o1777)
        resolution = resolved(cwd=folder)
        assert not resolution.is_set("owner")
        assert len(resolution.notes) == 1

    def test_named_file_is_read_whoever_owns_it(self, folder: Path, give_away: Owned) -> None:
        path = table(folder / "flask_postgres.toml", "named")
        give_away(path)
        assert resolved(cwd=folder, config_file=str(path))["owner"].value == "named"

    @root_alone
    @pytest.mark.parametrize("upwards", [True, False])
    def test_link_of_another_user_to_a_file_of_ours_is_not_followed(
        self, folder: Path, give_away: Owned, upwards: bool
    ) -> None:
        """A stranger could choose which of our configurations holds in a shared folder."""
        (folder / "shared" / "work").mkdir(parents=True)
        link = folder / "shared" / "flask_postgres.toml"
        link.symlink_to(table(folder / "production" / "flask_postgres.toml", "production"))
        give_away(link)
        (folder / "shared").chmod(0o1777)
        resolution = resolved(cwd=folder / "shared" / ("work" if upwards else ""))
        assert not resolution.is_set("owner")
        assert "another user owns" in resolution.notes[0]

    @root_alone
    def test_link_to_a_file_in_a_folder_of_another_user_is_not_followed(
        self, folder: Path, give_away: Owned
    ) -> None:
        path = table(folder / "theirs" / "flask_postgres.toml", "attacker")
        (folder / "flask_postgres.toml").symlink_to(path)
        (folder / "a").mkdir()
        give_away(path.parent)
        (note,) = resolved(cwd=folder / "a").notes
        assert f"not read: another user owns the folder {path.parent}; name it" in note

    def test_links_and_folders_of_ours_are_followed(self, folder: Path) -> None:
        table(folder / "config" / "flask_postgres.toml", "mine")
        (folder / "flask_postgres.toml").symlink_to("config/flask_postgres.toml")
        (folder / "a").mkdir()
        resolution = resolved(cwd=folder / "a")
        assert (resolution["owner"].value, resolution.notes) == ("mine", ())

    @pytest.mark.parametrize(
        ("mode", "in_itself", "read"),
        [(0o777, True, False), (0o777, False, False), (0o1777, True, False), (0o1777, False, True),
         (0o775, True, True), (0o755, True, True)],
    )  # fmt: skip
    def test_folder_that_everybody_can_write_to(
        self, folder: Path, mode: int, in_itself: bool, read: bool
    ) -> None:
        """In a sticky one, such as /tmp, others cannot exchange a folder of ours, but can link to a file."""
        open_folder = folder / "open"
        place = open_folder if in_itself else open_folder / "mine"
        (place / "work").mkdir(parents=True)
        table(place / "flask_postgres.toml", "mine")
        open_folder.chmod(mode)
        resolution = resolved(cwd=place / "work")
        assert resolution.is_set("owner") == read
        note = f"everybody can write to the folder {open_folder}; name it with --config"
        assert read or note in resolution.notes[0]


class TestNamed:
    def test_flag_beats_the_variable_and_both_beat_the_search(self, folder: Path) -> None:
        table(folder / "flask_postgres.toml", "found")
        table(folder / "one.toml", "flag").write_text('owner = "flag"')
        table(folder / "two.toml", "variable").write_text('owner = "variable"')
        environ = {"FLASK_POSTGRES_CONFIG": "two.toml"}
        assert resolved(cwd=folder, environ=environ)["owner"].value == "variable"
        both = resolved(cwd=folder, environ=environ, config_file="one.toml")
        assert both["owner"].value == "flag"
        assert [file.status for file in both.files] == ["read"]

    @pytest.mark.parametrize(
        ("flag", "environ"), [("x.toml", {}), (None, {"FLASK_POSTGRES_CONFIG": "x.toml"})]
    )
    def test_missing_file_is_a_fault(self, folder: Path, flag: str | None, environ: dict[str, str]) -> None:
        table(folder / "flask_postgres.toml", "found")
        resolution = resolved(cwd=folder, config_file=flag, environ=environ)
        place = "--config" if flag else "FLASK_POSTGRES_CONFIG"
        assert resolution.faults == (f"{place}: there is no file {folder}/x.toml",)
        assert not resolution.is_set("owner")

    def test_pyproject_without_the_table_is_a_fault(self, folder: Path) -> None:
        (folder / "pyproject.toml").write_text("[project]\n")
        faults = resolved(cwd=folder, config_file="pyproject.toml").faults
        assert faults == (f"--config: {folder}/pyproject.toml has no table [tool.flask_postgres]",)

    def test_folder_is_a_fault(self, folder: Path) -> None:
        (fault,) = resolved(cwd=folder, config_file=".").faults
        assert "cannot be read: it is not a regular file" in fault

    @pytest.mark.parametrize("name", ["/dev/null", "a pipe"])
    def test_device_or_pipe_is_a_fault(self, folder: Path, name: str) -> None:
        """/dev/null would be a configuration without a guard."""
        os.mkfifo(folder / "a pipe")
        (fault,) = resolved(cwd=folder, environ={"FLASK_POSTGRES_CONFIG": name}).faults
        assert fault == f"{folder / name}: cannot be read: it is not a regular file"

    def test_home_folder_is_expanded(self, folder: Path) -> None:
        (folder / "mine.toml").write_text('owner = "me"')
        assert resolved(environ={"FLASK_POSTGRES_CONFIG": "~/mine.toml", "HOME": str(folder)}).is_set("owner")
        assert resolved(environ={"FLASK_POSTGRES_CONFIG": "~nobody-of-this-name/x"}).faults == (
            "FLASK_POSTGRES_CONFIG: ~nobody-of-this-name/x: there is no home folder for the ~ in it",
        )


@pytest.mark.parametrize("example", INVALID, ids=lambda path: path.stem)
def test_invalid_example_gives_exactly_its_errors(example: Path, folder: Path) -> None:
    path = folder / "flask_postgres.toml"
    path.write_bytes(example.read_bytes())
    expected = example.with_suffix(".errors.txt").read_text().replace("{file}", str(path)).splitlines()
    assert list(resolved(cwd=folder).faults) == expected


def test_there_are_invalid_examples() -> None:
    assert len(INVALID) >= 8
