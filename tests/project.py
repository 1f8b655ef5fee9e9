"""A project of files, in which the real ``flask`` command runs."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import io
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import typing as t

if t.TYPE_CHECKING:
    from .warm import Warm

CANARIES = ("c@n/ary:pw", "c%40n%2Fary%3Apw", "super-s3cret")
"""Passwords of the test servers: no output may hold one."""

APP = """
    import os
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from flask_postgres import init_db_callback

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = {uri!r}
    db = SQLAlchemy(app)

    class Pet(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.Text)

    @init_db_callback
    def init_db(app, db):
        {callback}
"""

SEED = 'db.create_all(); db.session.add(Pet(name="Fido")); db.session.commit()'


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"


class Project:
    """A folder with an app."""

    def __init__(self, folder: pathlib.Path, env: t.Mapping[str, str], *, warm: Warm | None = None) -> None:
        self.folder = folder
        self.warm = warm
        self.env = dict(env)

    def write(self, files: t.Mapping[str, str]) -> Project:
        """Write files, dedented."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return self

    def app(self, uri: t.Any, *, callback: str = SEED) -> Project:
        """Write the seed app for a URI; ``callback`` is the body of its init callback."""
        text = uri.render(hide_password=False) if hasattr(uri, "render") else uri
        body = textwrap.dedent(callback).strip().replace("\n", "\n" + " " * 8)
        return self.write({"app.py": APP.format(uri=text, callback=body)})

    def start(self, *arguments: str, env: t.Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start ``flask …`` and return the process, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "flask", *arguments],
            cwd=self.folder,
            env={**self.env, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def run(
        self,
        *arguments: str,
        input: str | None = None,
        env: t.Mapping[str, str] | None = None,
        timeout: float = 90,
    ) -> Result:
        """Run ``flask …`` to its end. No password and no traceback may be in what it prints."""
        env = {**self.env, **(env or {})}
        if self.warm is not None and self.warm.suits(env):
            result = Result(
                *self.warm.run(arguments, folder=self.folder, env=env, input=input or "", timeout=timeout)
            )
            return checked(result, tracebacks="--verbose" in arguments)
        process = self.start(*arguments, env=env)
        return finish(process, input=input, timeout=timeout, tracebacks="--verbose" in arguments)

    def fresh(self, *arguments: str, timeout: float = 90) -> Result:
        """Run ``flask …`` in an interpreter that has imported nothing yet."""
        return finish(self.start(*arguments), timeout=timeout)

    def on_terminal(self, *arguments: str, typed: str = "", timeout: float = 90) -> Result:
        """Run ``flask …`` with a terminal, which is 80 columns wide; what it shows is ``out``."""
        import pty

        controller, terminal = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", *arguments], cwd=self.folder, env=self.env,
            stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        )  # fmt: skip
        os.close(terminal)
        os.write(controller, typed.encode())
        shown = b""
        with contextlib.suppress(OSError):  # EIO: the last program that had it open is gone
            while part := os.read(controller, 65536):
                shown += part
        code = process.wait(timeout)
        os.close(controller)
        return checked(Result(code, shown.decode().replace("\r\n", "\n"), ""))

    def psql(self, *arguments: str, **options: t.Any) -> Result:
        """Run ``flask psql …``."""
        return self.run("psql", *arguments, **options)

    def program(self, *command: str, env: t.Mapping[str, str]) -> Result:
        """Run a program of this interpreter's, such as ``flask`` under its own name, to its end."""
        program = pathlib.Path(sys.executable).with_name(command[0])
        done = subprocess.run(
            [program, *command[1:]], cwd=self.folder, env={**self.env, **env}, capture_output=True,
            text=True, encoding="utf-8", stdin=subprocess.DEVNULL, timeout=90,
        )  # fmt: skip
        return checked(Result(done.returncode, done.stdout, done.stderr))

    def here(
        self, *arguments: str, input: str = "", env: t.Mapping[str, str] | None = None, app: str = "app.py"
    ) -> Result:
        """Run ``flask psql …`` in this process: ten times cheaper, where another process shows no more."""
        from flask.cli import ScriptInfo

        from flask_postgres.cli import cli

        out, err = io.StringIO(), io.StringIO()
        with (
            _as_own_process(self.folder, {**self.env, **(env or {})}, io.StringIO(input, newline=None)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                cli.main(arguments, "flask psql", obj=ScriptInfo(app_import_path=app))
            except SystemExit as ended:
                code = ended.code
        assert isinstance(code, int)
        result = Result(code, out.getvalue(), err.getvalue())
        return checked(result, tracebacks="--verbose" in arguments)


@contextlib.contextmanager
def _as_own_process(folder: pathlib.Path, env: t.Mapping[str, str], stdin: t.TextIO) -> t.Iterator[None]:
    """Let what belongs to a process be another's: folder, environment, stdin, and the modules of the app."""
    kept = os.getcwd(), dict(os.environ), list(sys.path), set(sys.modules), sys.stdin
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.stdin = stdin
    gc.freeze()  # what the tests hold need not be looked through below
    try:
        yield
    finally:
        cwd, environ, sys.path[:], modules, sys.stdin = kept
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environ)
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if file.startswith(str(folder)):
                del sys.modules[name]
        gc.collect()  # an app of an earlier call must not be taken for another one beside the next
        gc.unfreeze()


def finish(
    process: subprocess.Popen[str],
    *,
    input: str | None = None,
    timeout: float = 90,
    tracebacks: bool = False,
) -> Result:
    """Wait for a process and return what it did."""
    try:
        out, err = process.communicate(input or "", timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"still running after {timeout} s:\n{out}{err}") from None
    return checked(Result(process.returncode, out, err), tracebacks=tracebacks)


def checked(result: Result, *, tracebacks: bool = False) -> Result:
    """Return the result, after making sure that it holds no password, and no traceback unless allowed."""
    for canary in CANARIES:
        assert canary not in result.all, f"a password is in the output:\n{result}"
    assert tracebacks or "Traceback (most recent call last)" not in result.all, str(result)
    return result


def clean_environment() -> dict[str, str]:
    """Return the environment of the tests without anything that would set a setting, or change Python."""
    prefixes = ("FLASK", "SQLALCHEMY", "PG", "ENV", "PYTHON")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(prefixes)}
    root = str(pathlib.Path(__file__).parent.parent)
    return {**kept, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1", "FLASK_SKIP_DOTENV": "1"}
