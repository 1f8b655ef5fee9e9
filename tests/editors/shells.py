"""Real shells in which TAB is pressed; what they make of it comes back as the words of the line."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import select
import shutil
import subprocess
import sys
import time
import typing as t

TIMEOUT = 60
"""Seconds for all that a shell does in a test; it takes one or two."""

BIN = pathlib.Path(sys.executable).parent

ZSH_KEYS = """
zstyle ':completion:all-matches:*' old-matches only
zstyle ':completion:all-matches::::' completer _all_matches
zle -C all-matches complete-word _generic
bindkey '^Xa' all-matches
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """The words of a line that was completed, and all that was on the screen meanwhile."""

    words: list[str]
    screen: str


@dataclasses.dataclass(frozen=True, slots=True)
class Shell:
    """How one shell is started without the user's own files, and made to complete.

    :param startup: what users put into such a file, as Click's documentation says.
    :param all_keys: the keys that put all that is offered on the line. TAB puts what is without doubt.
    """

    name: str
    start: tuple[str, ...]
    startup: str
    all_keys: str = ""

    @property
    def missing(self) -> str | None:
        """Why it cannot be tried here; None if it can."""
        if sys.platform == "win32":
            return "a shell needs a pseudo-terminal here"
        if shutil.which(self.name) is None:
            return f"{self.name} is not installed"
        return None if (BIN / "flask").exists() else "there is no flask command beside this interpreter"

    def complete(self, line: str, *, folder: pathlib.Path, env: t.Mapping[str, str], all: bool) -> Line:
        """Press TAB at the end of a line; with ``all``, everything that is offered is put on it."""
        (folder / "rc").write_text(self.startup)
        (folder / "words").unlink(missing_ok=True)
        own = {"HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8", "HISTFILE": ""}
        env = {**env, **own, "PATH": f"{BIN}{os.pathsep}{env['PATH']}"}
        if self.name == "fish":
            return self._ask(line, folder, env)
        return self._type(line + (self.all_keys if all else "\t"), folder, env)

    def _ask(self, line: str, folder: pathlib.Path, env: t.Mapping[str, str]) -> Line:
        """Ask what is offered at the end of the line; fish tells it without a terminal."""
        command = [*self.start, "-c", f"source rc; complete -C {line!r}"]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=TIMEOUT)
        offered = [row.split("\t")[0] for row in done.stdout.splitlines()]
        return Line([*line.split(" ")[:-1], *offered], done.stdout + done.stderr)

    def _type(self, keys: str, folder: pathlib.Path, env: t.Mapping[str, str]) -> Line:
        """Type the keys at a terminal, and have the line printed into a file instead of run."""
        import pty

        controller, terminal = pty.openpty()
        process = subprocess.Popen(
            self.start, cwd=folder, env=env, stdin=terminal, stdout=terminal, stderr=terminal,
            start_new_session=True,
        )  # fmt: skip
        os.close(terminal)
        try:
            to_start, to_end = "\x01", "\x05"
            printed = f"{to_start}printf '%s\\n' > part {to_end}; mv part words\n"
            os.write(controller, f". ./rc\n{keys}{printed}".encode())
            screen = _read_until_written(folder / "words", controller)
        finally:
            process.kill()
            process.wait()
            os.close(controller)
        return Line((folder / "words").read_text().splitlines(), screen)


SHELLS = (
    Shell(
        "bash",
        ("bash", "--norc", "--noprofile", "-i"),
        'eval "$(_FLASK_COMPLETE=bash_source flask)"\n',
        all_keys="\x1b*",
    ),
    Shell(
        "zsh",
        ("zsh", "-f", "-i"),
        f'autoload -U compinit; compinit -u -D\neval "$(_FLASK_COMPLETE=zsh_source flask)"\n{ZSH_KEYS}',
        all_keys="\t\x18a",
    ),
    Shell("fish", ("fish", "--no-config"), "_FLASK_COMPLETE=fish_source flask | source\n"),
)


def _read_until_written(file: pathlib.Path, controller: int) -> str:
    """Return what the terminal shows until the shell has put the whole file there."""
    screen = b""
    deadline = time.monotonic() + TIMEOUT
    while not file.exists():
        assert time.monotonic() < deadline, f"the shell does not answer:\n{screen.decode(errors='replace')}"
        readable, _, _ = select.select([controller], [], [], 0.1)
        if readable:
            screen += os.read(controller, 65536)
    return screen.decode(errors="replace")
