"""The generated files are fresh, valid, and agree with what is accepted."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import jsonschema
import pytest
import tomli

from flask_postgres.settings import generate
from flask_postgres.settings.schema import BY_NAME, ENVIRONMENTS, SETTINGS

from .resolving import resolved

ROOT = Path(__file__).parents[2]
VALIDATOR = jsonschema.Draft7Validator(generate.schema())


def test_committed_files_are_fresh() -> None:
    stale = [str(path.relative_to(ROOT)) for path in generate.stale(ROOT)]
    assert not stale, f"stale: {', '.join(stale)}. Run this in the repository: {generate.COMMAND}"


def test_schema_passes_its_meta_schema_and_declares_every_setting() -> None:
    jsonschema.Draft7Validator.check_schema(generate.schema())
    assert set(generate.schema()["properties"]) == {*BY_NAME, ENVIRONMENTS}


def uncommented(text: str) -> str:
    return re.sub(r"^#(\w+ = |\[)", r"\1", text, flags=re.MULTILINE)


def test_example_is_valid_and_sets_nothing() -> None:
    assert tomli.loads(generate.example_text()) == {}
    assert generate.example_text().startswith("#:schema ./schemas/flask_postgres.schema.json\n")


def test_example_without_its_comment_signs_sets_everything(folder: Path) -> None:
    text = uncommented(generate.example_text())
    document = tomli.loads(text)
    assert set(document) == {*BY_NAME, ENVIRONMENTS}
    VALIDATOR.validate(document)
    (folder / "flask_postgres.toml").write_text(text, encoding="utf-8")
    resolution = resolved(cwd=folder)
    assert resolution.faults == ()
    assert {entry.source for entry in resolution.entries} == {"toml"}


@pytest.mark.parametrize(
    ("document", "valid"),
    [
        ({}, True),
        ({"owner": "me", "extensions": "a;b", "connect_timeout": 0.5}, True),
        ({"init_with": "${INIT:-auto}", "target_database_uri": "${URI}", "metadata": "${M}"}, True),
        ({"target_database_uri": "postgres+psycopg://h/${DB}"}, True),
        ({"connection_limit": -1}, True),
        ({"ownr": "me"}, False),
        ({"owner": ""}, False),
        ({"owner": 5}, False),
        ({"connect_timeout": "5"}, False),
        ({"connect_timeout": 0}, False),
        ({"connection_limit": -2}, False),
        ({"connection_limit": 1.5}, False),
        ({"extensions": [1]}, False),
        ({"init_with": "nothing"}, False),
        ({"protect": "yes"}, False),
        ({"metadata": "app.models"}, False),
        ({"target_database_uri": "sqlite://"}, False),
    ],
)
def test_schema_and_resolution_agree(document: dict[str, t.Any], valid: bool, folder: Path) -> None:
    assert VALIDATOR.is_valid(document) == valid
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in document.items()]
    (folder / "flask_postgres.toml").write_text("".join(lines))
    environ = {"URI": "postgresql://h/db", "M": "a:b", "DB": "db"}
    assert (resolved(cwd=folder, environ=environ).faults == ()) == valid


def test_invalid_examples_that_are_toml_are_refused_by_the_schema() -> None:
    # What TOML cannot say, and what only the environment decides, is beyond a schema.
    for name in ("unknown-key", "other-tool", "not-a-table", "password-in-uri"):
        text = (Path(__file__).parent / "invalid" / f"{name}.toml").read_text()
        assert not VALIDATOR.is_valid(tomli.loads(text)), name


def test_readme_table_has_its_settings_and_their_flags() -> None:
    table = generate.readme_table()
    assert len({line.count(" | ") for line in table.splitlines()}) == 1
    shown = [setting for setting in SETTINGS if setting.name in generate.README_SETTINGS]
    assert len(table.splitlines()) == len(shown) + 2 <= 12
    for setting in shown:
        assert f"| `{setting.name}` |" in table
        for flag in setting.flags:
            assert f"`{flag}`" in table


class TestCommand:
    def test_check_names_the_stale_files_and_the_command(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert generate.main(["--check"]) == 1
        assert capsys.readouterr().out.count(f"is stale; run: {generate.COMMAND}") == 2
        assert list(tmp_path.iterdir()) == []

    def test_writes_and_then_all_is_fresh(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        readme = tmp_path / "README.md"
        readme.write_text(f"before\n{generate.BEGIN}\nold\n{generate.END}\nafter\n")
        assert generate.main([]) == 0
        assert generate.main(["--check"]) == 0
        text = readme.read_text()
        assert text.startswith(f"before\n{generate.BEGIN}\n| setting |")
        assert text.endswith(f"|\n{generate.END}\nafter\n")

    def test_readme_without_markers_is_left_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "README.md").write_text("mine")
        assert generate.main([]) == 0
        assert (tmp_path / "README.md").read_text() == "mine"


def test_tool_schema_is_what_validate_pyproject_asks_for() -> None:
    assert generate.tool_schema("flask_postgres") == generate.schema()
    assert generate.tool_schema.__doc__
    assert {"$id", "$schema"} <= generate.schema().keys()
