"""Write the reference pages that follow from the code: ``python docs/reference.py``.

``--check`` says which are stale instead, and exits with 1. Needs nothing but the package.
"""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import click  # noqa: E402

from flask_postgres.cli import COMMANDS, cli  # noqa: E402
from flask_postgres.settings import generate  # noqa: E402
from flask_postgres.settings.merge import FOREIGN  # noqa: E402
from flask_postgres.settings.schema import CONFIG_VARIABLE, SETTINGS, Setting  # noqa: E402

COMMAND = "python docs/reference.py"
FOLDER = ROOT / "docs" / "reference"
GENERATED = f"<!-- Written by: {COMMAND} -->"
WIDTH = 78  # what Click uses on a terminal of 80 columns


def pages() -> dict[pathlib.Path, str]:
    """Return each page as it should be."""
    return {FOLDER / "commands.md": commands_page(), FOLDER / "settings.md": settings_page()}


def commands_page() -> str:
    """Return every command's help, as ``--help`` prints it."""
    root = click.Context(cli, info_name="flask psql", terminal_width=WIDTH, max_content_width=WIDTH)
    blocks = [GENERATED, "# Commands", _COMMANDS_INTRODUCTION, _help(root)]
    for name in COMMANDS:
        blocks += _command(root, name, level=2)
    return "\n\n".join(blocks) + "\n"


def settings_page() -> str:
    """Return every setting with all its names."""
    blocks = [GENERATED, "# Settings", _SETTINGS_INTRODUCTION]
    for group, heading in generate.HEADINGS.items():
        blocks.append(f"## {heading}")
        for setting in SETTINGS:
            if setting.group == group:
                blocks += [f"### `{setting.name}`", generate.meaning(setting), "\n".join(_rows(setting))]
    return "\n\n".join(blocks) + "\n"


def _command(parent: click.Context, name: str, *, level: int) -> t.Iterator[str]:
    assert isinstance(parent.command, click.Group)
    command = parent.command.get_command(parent, name)
    assert command is not None
    context = click.Context(
        command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
    )
    yield f"{'#' * level} {context.command_path.removeprefix('flask psql ')}"
    yield _help(context)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            yield from _command(context, each, level=level + 1)


def _help(context: click.Context) -> str:
    return f"```text\n{context.get_help().rstrip()}\n```"


def _rows(setting: Setting) -> t.Iterator[str]:
    yield "| | |"
    yield "| --- | --- |"
    yield f"| type, default | {generate.type_and_default(setting)} |"
    if setting.flags:
        metavar = f" {setting.metavar}" if setting.metavar else ""
        flags = ", ".join(f"`{flag}{metavar}`" for flag in setting.flags)
        yield f"| flag | {flags}{', repeatable' if setting.repeatable else ''} |"
    yield f"| `app.config`, environment | `{setting.variable}` |"
    yield f"| environment, in a file | `{setting.variable}_FILE` |"
    value = setting.default if setting.example is None else setting.example
    plain = list(value) if isinstance(value, tuple) else value
    yield f"| TOML, for example | `{setting.name} = {json.dumps(plain)}` |"
    if setting.name in FOREIGN:
        names = ", then ".join(f"`{name}` ({source})" for source, name in FOREIGN[setting.name])
        yield f"| else | {names} |"


_COMMANDS_INTRODUCTION = """\
What `--help` prints. A flag that is also a setting can be given in other places too: see
[Settings](settings.md). No environment variable sets a flag by Click's own mechanism: what answers "yes"
must stand on the command line."""

_SETTINGS_INTRODUCTION = f"""\
Each setting can be given in several places. The first of these that has it wins: the flag, `app.config`, the
TOML file, the environment, the default. [Precedence](../explanation/precedence.md) says what that means in
practice, and `flask psql config` shows what it means for you.

`{CONFIG_VARIABLE}` names the TOML file, as the flag `--config` does. It is no setting, for it says where
they are.

A list is a list, or text with `;` between the items. Text in the TOML file may name environment variables:
`${{NAME}}` or `${{NAME:-fallback}}`."""


def main(arguments: t.Sequence[str]) -> int:
    """Write the stale pages, or with ``--check`` name them."""
    stale = {path: text for path, text in pages().items() if _content(path) != text}
    for path, text in stale.items():
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)} is stale; run: {COMMAND}")
            continue
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"{path.relative_to(ROOT)} was written")
    return 1 if stale and "--check" in arguments else 0


def _content(path: pathlib.Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
