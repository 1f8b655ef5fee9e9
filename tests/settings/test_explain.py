"""``config --show`` in both forms, and that neither shows a password."""

from __future__ import annotations

import json
import string
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_postgres.settings.explain import as_json, as_text
from flask_postgres.settings.merge import Resolution
from flask_postgres.settings.schema import SETTINGS

from .resolving import resolved

URI = "postgresql://me:canary@localhost:5432/db"


def entries(resolution: Resolution, **options: bool) -> dict[str, t.Any]:
    return {entry["name"]: entry for entry in json.loads(as_json(resolution, **options))["settings"]}


class TestText:
    def test_every_setting_is_there_in_the_order_of_the_table(self) -> None:
        names = [line.partition(" = ")[0] for line in as_text(resolved()).splitlines() if " = " in line]
        assert names == [setting.name for setting in SETTINGS]

    def test_value_source_origin_and_what_is_shadowed(self) -> None:
        shown = as_text(
            resolved(cli={"owner": "me"}, environ={"FLASK_POSTGRES_OWNER": "you"}), only_changed=True
        )
        assert shown.splitlines()[:3] == [
            'owner = "me"  (cli: --owner)',
            '    shadows "you"  (env: FLASK_POSTGRES_OWNER)',
            "    shadows not set  (default: the role that connects)",
        ]

    @pytest.mark.parametrize(
        ("name", "value", "shown"),
        [
            ("extensions", "a;b", '["a", "b"]'),
            ("protect", "yes", "true"),
            ("connect_timeout", "2.5", "2.5"),
            ("server_data_dir", "/a/b", '"/a/b"'),
            ("owner", "Zoë", '"Zoë"'),
        ],
    )
    def test_values_are_written_as_in_toml(self, name: str, value: str, shown: str) -> None:
        resolution = resolved(environ={f"FLASK_POSTGRES_{name.upper()}": value})
        assert f"{name} = {shown}  (env: " in as_text(resolution)

    def test_control_character_is_escaped(self) -> None:
        assert 'owner = "a\\u001b[31mb"  (cli: ' in as_text(resolved(cli={"owner": "a\x1b[31mb"}))

    def test_fault_stands_in_the_place_of_the_value(self) -> None:
        shown = as_text(resolved(environ={"FLASK_POSTGRES_PROTECT": "perhaps"}))
        assert 'protect = FAULT: must be true or false (or yes, no, on, off, 1, 0), not "perhaps"' in shown

    def test_files_unused_names_and_other_faults_follow(self, folder: Path) -> None:
        (folder / "flask_postgres.toml").write_text("ownr = 1\n")
        shown = as_text(resolved(cwd=folder, environ={"FLASK_POSTGRES_HOBBY": "canary"}))
        assert shown.partition("\n\n")[2].splitlines() == [
            "Files:",
            f"    {folder}/flask_postgres.toml: read",
            "",
            "Not a setting, so without effect:",
            "    FLASK_POSTGRES_HOBBY",
            "",
            "Faults:",
            f'    {folder}/flask_postgres.toml: unknown key "ownr"; did you mean "owner"?',
        ]

    def test_files_that_are_not_there_share_a_line(self, folder: Path) -> None:
        shown = as_text(resolved(cwd=folder))
        assert f"    not found: {folder}/flask_postgres.toml, {folder}/pyproject.toml" in shown.splitlines()

    def test_only_changed_leaves_defaults_out(self) -> None:
        shown = as_text(resolved(cli={"owner": "me"}), only_changed=True)
        assert [line for line in shown.splitlines() if " = " in line] == ['owner = "me"  (cli: --owner)']


class TestJson:
    def test_shape(self, folder: Path) -> None:
        path = folder / "flask_postgres.toml"
        path.write_text('extensions = ["citext"]\n')
        data = json.loads(as_json(resolved(cwd=folder), only_changed=True))
        assert data == {
            "settings": [
                {
                    "name": "extensions",
                    "value": ["citext"],
                    "source": "toml",
                    "origin": f"{path}: extensions",
                    "shadowed": [{"value": [], "source": "default", "origin": "built in"}],
                }
            ],
            "driver": None,
            "files": [{"path": str(path), "status": "read"}],
        }

    def test_faulty_entry_has_an_error(self) -> None:
        entry = entries(resolved(environ={"FLASK_POSTGRES_CONNECTION_LIMIT": "x"}))["connection_limit"]
        assert (entry["value"], entry["source"]) == (None, "env")
        assert entry["error"] == 'must be a whole number, not "x"'

    def test_every_setting_has_a_source_and_ends_with_the_default(self) -> None:
        found = entries(resolved(cli={"owner": "me"}, app_config={"SQLALCHEMY_DATABASE_URI": URI}))
        assert list(found) == [setting.name for setting in SETTINGS]
        for entry in found.values():
            assert [entry, *entry["shadowed"]][-1]["source"] == "default"


class TestPasswords:
    def test_masked_by_component(self) -> None:
        resolution = resolved(environ={"SQLALCHEMY_DATABASE_URI": f"{URI}?sslpassword=canary"})
        masked = "postgresql://me:***@localhost:5432/db?sslpassword=***"
        assert entries(resolution)["target_database_uri"]["value"] == masked
        assert f'target_database_uri = "{masked}"' in as_text(resolution)

    def test_name_that_equals_the_password_stays_readable(self) -> None:
        uri = "postgresql://postgres:postgres@localhost/postgres"
        found = entries(resolved(environ={"SQLALCHEMY_DATABASE_URI": uri}))
        assert found["target_database_uri"]["value"] == "postgresql://postgres:***@localhost/postgres"
        assert found["admin_dbname"]["value"] == "postgres"

    password = st.text(alphabet=string.ascii_letters + ":/@?&=%# '\"", max_size=8).map("canary".__add__)
    template = st.sampled_from(
        [
            "postgresql://u:{}@h/db",
            "postgresql://u:{}@h:port/db",
            "postgresql://u:{}@h",
            "mysql://u:{}@h/db",
            "u:{}@h/db",
            "postgresql://h/db?password={}",
            "postgresql://:{}@/db?host=/tmp",
        ]
    )

    @given(password=password, template=template, setting=st.sampled_from(SETTINGS), shadowed=st.booleans())
    def test_no_uri_leaves_its_password_in_any_setting(
        self, password: str, template: str, setting: t.Any, shadowed: bool
    ) -> None:
        text = template.replace("{}", password)
        resolution = resolved(
            cli={"target_database_uri": "postgresql://h/other"} if shadowed else {},
            app_config={"SQLALCHEMY_DATABASE_URI": text},
            environ={setting.variable: text, "FLASK_POSTGRES_ENV_FILE": text},
        )
        shown = as_text(resolution) + as_json(resolution)
        assert "canary" not in shown
