"""Make the terminal pictures and JSON samples of the docs, from real runs: ``python docs/pictures.py``.

Each scene runs in a pseudo-terminal, in a folder with the app of the tutorial, on an embedded server; what
the terminal was sent is written as it came. One thing is changed: the folder of the run is called
``/home/me``, and lines are broken where a terminal of ``COLUMNS`` columns breaks them. Needs Linux or macOS,
``pip install -e '.[embedded]'``, and nothing that listens on the tutorial's port.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile
import typing as t
import xml.sax.saxutils

DOCS = pathlib.Path(__file__).resolve().parent
FOLDER = DOCS / "pictures"
COMMAND = "python docs/pictures.py"
PORT = 5499
COLUMNS = 96
HOME = "/home/me"

APP = re.search(r"```python\n(.*?)```", (DOCS / "tutorial.md").read_text("utf-8"), re.DOTALL)[1]  # type: ignore[index]
"""The app of the tutorial: the first block of Python there."""

BROKEN = APP.replace("db.session.commit()", 'raise ValueError("Fido is already registered")')
KILLED = APP.replace("db.session.commit()", "os.kill(os.getpid(), signal.SIGKILL)").replace(
    "from flask import", "import os\nimport signal\n\nfrom flask import", 1
)
TOML = """\
[tool.flask_postgres]
admin_dbname = "template1"
cli_disallowed_envs = ["production"]
extensions = ["citext", "pg_trgm"]
"""


@dataclasses.dataclass(frozen=True)
class Command:
    """A command as a user types it, and the answers to what it asks."""

    line: str
    answers: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Scene:
    """One picture.

    :param files: written before the scene, over what the scenes before have left.
    :param sample: keep what is on stdout, as JSON, and make no picture.
    :param server: whether the server's data folder is named; its place would be in the output of config.
    """

    name: str
    commands: tuple[Command, ...]
    files: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    sample: bool = False
    server: bool = True


def scene(name: str, *lines: str | Command, **options: t.Any) -> Scene:
    commands = tuple(Command(line) if isinstance(line, str) else line for line in lines)
    return Scene(name, commands, **options)


SCENES = (
    scene("setup", "flask psql setup", files={"app.py": APP}),
    scene("status", "flask psql status"),
    scene("status.json", "flask psql status --json", sample=True),
    scene("server-status.json", "flask psql server status --json", sample=True),
    scene("reset", Command("flask psql reset", ("pets",))),
    scene("dry-run", "flask psql reset --dry-run"),
    scene(
        "reset-failed",
        "flask psql reset --force",
        "flask psql shell -- -c 'SELECT * FROM pet'",
        files={"app.py": BROKEN},
    ),
    scene("protect", "flask psql protect", "flask psql drop --force", files={"app.py": APP}),
    scene("unprotect", Command("flask psql unprotect", ("pets",))),
    scene("killed", "flask psql reset --force", "flask psql status", files={"app.py": KILLED}),
    scene("recover", "flask psql recover", "flask psql status", files={"app.py": APP}),
    scene(
        "config",
        "FLASK_POSTGRES_ADMIN_DBNAME=postgres flask psql config --only-changed --template base",
        files={"pyproject.toml": TOML},
        server=False,
    ),
    scene("config.json", "flask psql config --only-changed --json", sample=True, server=False),
    scene("guard", "flask psql drop --force", "flask --debug psql drop --force"),
    scene("stop", "flask psql server stop"),
)


def main() -> None:
    """Run every scene and write its file."""
    with tempfile.TemporaryDirectory(prefix="fp-docs-") as home:
        for name, text in play(pathlib.Path(home), port=PORT):
            path = FOLDER / name
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"{path} was written")


def play(home: pathlib.Path, *, port: int) -> t.Iterator[tuple[str, str]]:
    """Run the scenes in order and yield each file's name and content.

    :param home: an empty folder.
    """
    home = home.resolve()
    home.chmod(0o755)
    folder = home / "pets"
    (folder / ".git").mkdir(parents=True)  # settings are not looked for above
    try:
        for each in SCENES:
            for path, text in each.files.items():
                (folder / path).write_text(text.replace(str(PORT), str(port)), encoding="utf-8")
            if each.sample:
                yield each.name, _sample(each, folder, port)
            else:
                yield f"{each.name}.svg", svg(each.name, "".join(_transcript(each, folder, port)))
    finally:
        stop = [sys.executable, "-m", "flask", "--app", "app", "psql", "server", "stop", "--quiet"]
        (folder / "app.py").write_text(APP.replace(str(PORT), str(port)), encoding="utf-8")
        subprocess.run(stop, cwd=folder, env=_environment(folder, port=port, server=True), check=False)


def text_of(picture: str) -> str:
    """Return what a picture shows, line by line."""
    lines: dict[str, str] = {}
    for y, text in re.findall(r'<text y="(\d+)">(.*?)</text>', picture, re.DOTALL):
        lines[y] = lines.get(y, "") + re.sub(r"<[^>]*>", "", text)
    return xml.sax.saxutils.unescape("\n".join(lines.values()))


def svg(name: str, transcript: str) -> str:
    """Draw a transcript, with the colours and the line breaks that a terminal gives it."""
    lines = [piece for line in transcript.rstrip("\n").split("\n") for piece in _broken(_runs(line))]
    width, height = 32 + COLUMNS * CELL, 28 + len(lines) * LINE
    rows = [
        f'<text y="{32 + index * LINE}">{"".join(_tspans(line))}</text>' for index, line in enumerate(lines)
    ]
    styles = " ".join(f".{style} {{ {rule} }}" for style, rule in _STYLES.items())
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}"'
            ' xml:space="preserve" role="img">',
            f"<title>{name}: what the terminal showed</title>",
            f"<style>text {{ font: 14px ui-monospace, Menlo, Consolas, monospace; fill: #d8dee9;"
            f" white-space: pre }} {styles}</style>",
            f'<rect width="{width:g}" height="{height}" rx="8" fill="#1f2430"/>',
            *rows,
            "</svg>",
            "",
        ]
    )


CELL, LINE = 8.4, 19
_STYLES = {
    "prompt": "fill: #8fbcbb",
    "bold": "font-weight: bold",
    "dim": "fill: #8a93a5",
    "red": "fill: #ff7b85",
    "green": "fill: #a3d977",
    "yellow": "fill: #f0c674",
}
_BY_CODE = {"1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow", "36": "prompt"}
_ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")

Run = t.Tuple[str, t.FrozenSet[str]]  # noqa: UP006


def _runs(line: str) -> list[Run]:
    """Part a line into pieces of one style."""
    runs: list[Run] = []
    style: frozenset[str] = frozenset()
    at = 0
    for found in [*_ESCAPE.finditer(line), None]:
        piece = line[at : found.start() if found else None]
        if piece:
            runs.append((piece, style))
        if found is None:
            break
        at = found.end()
        if found[2] == "m":
            codes = found[1].split(";") if found[1] else ["0"]
            style = (
                frozenset()
                if "0" in codes
                else style | {_BY_CODE[code] for code in codes if code in _BY_CODE}
            )
    return runs


def _broken(runs: list[Run]) -> list[list[Run]]:
    """Break a line where the terminal is at its right edge."""
    lines: list[list[Run]] = [[]]
    left = COLUMNS
    for text, style in runs:
        while text:
            if not left:
                lines.append([])
                left = COLUMNS
            lines[-1].append((text[:left], style))
            left, text = left - len(text[:left]), text[left:]
    return lines


def _tspans(line: list[Run]) -> t.Iterator[str]:
    column = 0
    for text, style in line:
        classes = f' class="{" ".join(sorted(style))}"' if style else ""
        shown = xml.sax.saxutils.escape(text)
        yield (
            f'<tspan x="{16 + column * CELL:g}" textLength="{len(text) * CELL:g}"{classes}>{shown}</tspan>'
        )
        column += len(text)


def _transcript(each: Scene, folder: pathlib.Path, port: int) -> t.Iterator[str]:
    for command in each.commands:
        yield f"\x1b[36m$\x1b[0m \x1b[1m{command.line}\x1b[0m\n"
        yield _said(
            _in_terminal(command, folder, _environment(folder, port=port, server=each.server)), folder
        )


def _sample(each: Scene, folder: pathlib.Path, port: int) -> str:
    (command,) = each.commands
    environment = _environment(folder, port=port, server=each.server)
    done = subprocess.run(
        ["sh", "-c", command.line], cwd=folder, env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    return _said(done.stdout, folder)


def _said(output: str, folder: pathlib.Path) -> str:
    return output.replace("\r\n", "\n").replace(str(folder.parent), HOME)


def _in_terminal(command: Command, folder: pathlib.Path, environment: dict[str, str]) -> str:
    """Run a command in a pseudo-terminal, answer what it asks, and return what it wrote."""
    import pty

    main, terminal = pty.openpty()
    process = subprocess.Popen(
        ["sh", "-c", command.line],
        cwd=folder,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    answers, written = list(command.answers), ""
    while True:
        if not select.select([main], [], [], 120)[0]:
            process.kill()
            raise TimeoutError(f"{command.line}: nothing came for two minutes\n{written}")
        try:
            read = os.read(main, 4096)
        except OSError:  # Linux says EIO when the other side is closed
            read = b""
        if not read:
            break
        written += read.decode()
        if answers and written.endswith(": "):
            os.write(main, f"{answers.pop(0)}\n".encode())
    os.close(main)
    process.wait()
    return written


def _environment(folder: pathlib.Path, *, port: int, server: bool) -> dict[str, str]:
    """Return an environment without anything that would set a setting."""
    prefixes = ("FLASK", "SQLALCHEMY", "PG", "ENV", "NO_COLOR")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}
    # Where it would be by itself, were HOME the user's: for root it is elsewhere.
    place = folder.parent / f".local/share/flask-postgres/servers/localhost-{port}"
    data = {"FLASK_POSTGRES_SERVER_DATA_DIR": str(place)}
    programs = folder.parent / "programs"
    return {
        **kept,
        **(data if server else {}),
        "PATH": f"{_flask(programs)}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(DOCS.parent),
        "COLUMNS": str(COLUMNS),
        "TERM": "xterm",
        "PSQL_PAGER": "cat",
        "FLASK_SKIP_DOTENV": "1",
        "LC_ALL": "C.UTF-8",
    }


def _flask(folder: pathlib.Path) -> pathlib.Path:
    """Return a folder with a ``flask`` that this Python runs, whatever else is on the PATH."""
    program = folder / "flask"
    if not program.exists():
        folder.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m flask "$@"\n')
        program.chmod(0o755)
    return folder


if __name__ == "__main__":
    main()
