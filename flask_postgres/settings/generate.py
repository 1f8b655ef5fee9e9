"""Write the files that document the settings, from the table.

``python -m flask_postgres.settings.generate`` writes them in the working directory, which is the root of
the repository; ``--check`` says which are stale instead, and exits with 1.
"""

from __future__ import annotations

import json
import sys
import textwrap
import typing as t
from pathlib import Path

from .schema import BY_NAME, ENVIRONMENTS, OF_AN_ENVIRONMENT, PREFIX, SETTINGS, Group, Kind, Setting

COMMAND = "python -m flask_postgres.settings.generate"
SCHEMA_FILE = Path("schemas/flask_postgres.schema.json")
EXAMPLE_FILE = Path("flask_postgres.example.toml")
README_FILE = Path("README.md")
BEGIN, END = "<!-- settings:begin -->", "<!-- settings:end -->"

# ${NAME} stands for text that only the environment knows, so no pattern can refuse it.
_EXPANDED = {"type": "string", "pattern": r"\$\{"}
_SIZE = r"^\s*[0-9]+\s*([Bb]|[Bb][Yy][Tt][Ee][Ss]|[KkMmGgTt][Bb])?\s*$|\$\{"
_KINDS: t.Mapping[Kind, t.Mapping[str, t.Any]] = {
    "text": {"type": "string", "minLength": 1},
    "environment": {"type": "string", "minLength": 1},
    "environments": {"type": ["array", "string"], "items": {"type": "string"}},
    "identifier": {"type": "string", "minLength": 1},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "size": {"type": ["string", "integer"], "minimum": 0, "pattern": _SIZE},
    "seconds": {"type": "number", "exclusiveMinimum": 0},
    "list": {"type": ["array", "string"], "items": {"type": "string"}},
    "seeds": {"type": ["array", "string"], "items": {"type": "string"}},
    "choice": {},
    "path": {"type": "string", "minLength": 1},
    "uri": {"type": "string", "pattern": r"^\s*[Pp][Oo][Ss][Tt][Gg][Rr][Ee][Ss]\w*(\+\w+)?://|\$\{"},
    "attribute": {"type": "string", "pattern": r"^\s*[\w.]+:[\w.]+\s*$|\$\{"},
}
_TYPE_WORDS: t.Mapping[Kind, str] = {
    "text": "text",
    "environment": "text",
    "environments": "list of text",
    "identifier": "text",
    "integer": "integer",
    "boolean": "true/false",
    "seconds": "seconds",
    "size": "size",
    "list": "list of text",
    "seeds": "list of text",
    "choice": "",
    "path": "path",
    "uri": "PostgreSQL URI",
    "attribute": "`module:attribute`",
}
HEADINGS: t.Mapping[Group, str] = {
    "target": "Which database, and how to reach it",
    "guard": "What must not happen",
    "create": "How a new database is made",
    "init": "What init does",
    "server": "The embedded server",
    "test": "The pytest plugin",
}


def schema() -> dict[str, t.Any]:
    """Return the JSON Schema of the TOML table, in draft 7: the newest that the editors' plugins know."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "urn:flask-postgres:settings",
        "title": "Flask-Postgres",
        "description": "The settings of Flask-Postgres: flask_postgres.toml, or [tool.flask_postgres].",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **{setting.name: _property(setting) for setting in SETTINGS},
            ENVIRONMENTS: {
                "description": "What is set for one environment, by its name.",
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {name: _property(BY_NAME[name]) for name in OF_AN_ENVIRONMENT},
                },
            },
        },
    }


def tool_schema(tool_name: str) -> dict[str, t.Any]:  # noqa: ARG001
    """The settings of Flask-Postgres, as ``flask psql config --schema`` prints them."""
    # validate-pyproject calls this, and shows the docstring.
    return schema()


def schema_text() -> str:
    """Return the JSON Schema as the committed file has it."""
    return json.dumps(schema(), indent=2) + "\n"


def example_text() -> str:
    """Return the annotated TOML: every setting, commented out, with a value that can stand there."""
    lines = [
        f"#:schema ./{SCHEMA_FILE.as_posix()}",
        "",
        "# The settings of Flask-Postgres. Each is commented out, with its default, or with an example where",
        "# it has none. The same lines may stand in pyproject.toml, under [tool.flask_postgres].",
        '# Text may name environment variables: "${NAME}" or "${NAME:-fallback}".',
        f"# Each setting can also be given as {PREFIX}<NAME>, in app.config or in the environment.",
        "# An editor with Taplo completes and checks this file, once it has the schema:",
        f"#     flask psql config --schema > {SCHEMA_FILE.as_posix()}",
    ]
    for group, heading in HEADINGS.items():
        lines += ["", "", f"## {heading}"]
        for setting in SETTINGS:
            if setting.group == group:
                lines += ["", *_example(setting)]
    lines += [
        "",
        "",
        "## One environment",
        "",
        f"# Set for one environment can be {', '.join(OF_AN_ENVIRONMENT)}. A table ends the settings above,",
        f"# so it stands last; in pyproject.toml it is [tool.flask_postgres.{ENVIRONMENTS}.test].",
        f"#[{ENVIRONMENTS}.test]",
        '#seed = ["seeds/base.sql"]',
    ]
    return "\n".join(lines) + "\n"


README_SETTINGS = (
    "target_database_uri",
    "cli_disallowed_envs",
    "env",
    "init_with",
    "extensions",
    "protect",
    "owner",
    "admin_dbname",
    "server",
)
"""The settings that the README shows; the reference has all of them."""


def readme_table() -> str:
    """Return the README's table of settings, in Markdown."""
    lines = ["| setting | type, default | flag | meaning |", "| --- | --- | --- | --- |"]
    for setting in map(BY_NAME.__getitem__, README_SETTINGS):
        flags = ", ".join(f"`{flag}`" for flag in setting.flags)
        cells = (f"`{setting.name}`", type_and_default(setting), flags, meaning(setting))
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def stale(root: Path) -> dict[Path, str]:
    """Return the files that are not as the table makes them, each with the text it should have."""
    wanted = {root / SCHEMA_FILE: schema_text(), root / EXAMPLE_FILE: example_text()}
    readme = root / README_FILE
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    if BEGIN in text and END in text:
        before, _, rest = text.partition(BEGIN)
        wanted[readme] = f"{before}{BEGIN}\n{readme_table()}{END}{rest.partition(END)[2]}"
    return {path: content for path, content in wanted.items() if _content(path) != content}


def main(arguments: t.Sequence[str]) -> int:
    """Write the stale files, or with ``--check`` name them."""
    found = stale(Path())
    for path, content in found.items():
        if "--check" in arguments:
            print(f"{path} is stale; run: {COMMAND}")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="\n")
        print(f"{path} was written")
    return 1 if found and "--check" in arguments else 0


def _property(setting: Setting) -> dict[str, t.Any]:
    declared: dict[str, t.Any] = {"description": meaning(setting), **_KINDS[setting.kind]}
    if setting.choices:
        declared["anyOf"] = [{"enum": list(setting.choices)}, _EXPANDED]
    if setting.minimum is not None:
        declared["minimum"] = setting.minimum
    if setting.maximum is not None:
        declared["maximum"] = setting.maximum
    if setting.unset is None:
        declared["default"] = _plain(setting.default)
    if setting.example is not None:
        declared["examples"] = [_plain(setting.example)]
    return declared


def _example(setting: Setting) -> list[str]:
    value = setting.default if setting.example is None else setting.example
    described = f"{meaning(setting)} Type: {type_and_default(setting)}.".replace("`", "")
    comment = textwrap.wrap(described, 98, initial_indent="# ", subsequent_indent="# ")
    return [*comment, f"#{setting.name} = {json.dumps(_plain(value))}"]


def type_and_default(setting: Setting) -> str:
    """Return the type of a setting and its default, in Markdown."""
    words = ", ".join(setting.choices) if setting.choices else _TYPE_WORDS[setting.kind]
    if setting.unset is not None:
        return words
    default = _plain(setting.default)
    return f"{words}; default `{default if isinstance(default, str) else json.dumps(default)}`"


def meaning(setting: Setting) -> str:
    """Return what a setting means, and what is used where nothing sets it."""
    return f"{setting.help} When not set: {setting.unset}." if setting.unset else setting.help


def _plain(value: t.Any) -> t.Any:
    return list(value) if isinstance(value, tuple) else value


def _content(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
