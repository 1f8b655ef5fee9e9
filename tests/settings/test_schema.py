"""The table itself: what one declaration must say, and what importing it may cost."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from flask_postgres.settings.convert import Raw, convert
from flask_postgres.settings.schema import BY_NAME, SETTINGS, Setting, Settings
from flask_postgres.uri import PostgresUri

SPEC = (
    "target_database_uri admin_uri admin_dbname cli_disallowed_envs env database_template owner encoding "
    "locale "
    "lc_collate lc_ctype locale_provider icu_locale tablespace connection_limit extensions init_with "
    "seed schemas reset_with undo_limit metadata protect connect_timeout server server_data_dir "
    "server_bin_dir test_init test_uri"
)

TYPES: dict[str, t.Any] = {
    "text": str,
    "environment": str,
    "environments": tuple[str, ...],
    "identifier": str,
    "attribute": str,
    "integer": int,
    "boolean": bool,
    "seconds": float,
    "size": str,
    "list": tuple[str, ...],
    "seeds": tuple[str, ...],
    "path": Path,
    "uri": PostgresUri,
}


def test_every_setting_of_the_specification_is_declared() -> None:
    assert set(BY_NAME) == set(SPEC.split())


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
class TestDeclaration:
    def test_annotation_says_what_conversion_gives(self, setting: Setting) -> None:
        hints = t.get_type_hints(Settings, localns={"Path": Path, "PostgresUri": PostgresUri})
        expected = t.Literal[setting.choices] if setting.choices else TYPES[setting.kind]
        assert hints[setting.name] == (expected if setting.default is not None else expected | None)

    def test_no_default_means_that_what_is_used_instead_is_said(self, setting: Setting) -> None:
        assert (setting.default is None) <= (setting.unset is not None)

    def test_help_is_one_sentence_for_one_line(self, setting: Setting) -> None:
        assert setting.help.endswith(".")
        assert len(setting.help) <= 95
        assert "\n" not in setting.help

    def test_choices_go_with_the_kind(self, setting: Setting) -> None:
        assert bool(setting.choices) == (setting.kind == "choice")

    def test_example_or_default_is_a_value_of_it(self, setting: Setting) -> None:
        value = setting.default if setting.example is None else setting.example
        convert(setting, Raw(value=list(value) if isinstance(value, tuple) else value, typed=True))


def test_no_flag_is_declared_twice() -> None:
    flags = [part for setting in SETTINGS for flag in setting.flags for part in flag.split("/")]
    assert len(flags) == len(set(flags))


def test_no_flag_lifts_the_guard() -> None:
    assert BY_NAME["cli_disallowed_envs"].flags == ()
    assert BY_NAME["env"].flags == ()


def test_without_any_source_the_guard_takes_it_for_production() -> None:
    assert Settings().env == "production"


def test_values_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().protect = True  # type: ignore[misc]


def test_importing_the_table_imports_nothing_heavy() -> None:
    heavy = ["sqlalchemy", "environs", "marshmallow", "tomli", "flask", "click", "difflib"]
    code = f"import sys, flask_postgres.settings.schema; print([m for m in {heavy!r} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
