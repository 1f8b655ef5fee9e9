"""Run ``flask psql`` in real processes of their own, forked from one that has imported everything already.

A fresh interpreter takes most of a second for its imports on a slow machine; a matrix of a thousand
processes could not be paid for. ``python -m tests.faults.nursery`` is the mother process: one line of
JSON in for each child, two out: its process id, and its exit code (negative: the signal that killed it).
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import typing as t

from ..project import Result, checked, clean_environment


class Nursery:
    """The mother process."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(),
            cwd=pathlib.Path(__file__).parent.parent.parent,
        )

    def start(
        self,
        folder: pathlib.Path,
        *arguments: str,
        fault: dict[str, t.Any] | None = None,
        env: t.Mapping[str, str] | None = None,
        app: str | None = "app.py",
    ) -> Child:
        """Start ``flask psql …`` in a folder."""
        order = {
            "folder": str(folder),
            "arguments": arguments,
            "fault": fault,
            "env": dict(env or {}),
            "app": app,
        }
        self._end_forgotten()
        self._say(order)
        self._child = Child(self, folder, int(self._hear()))
        return self._child

    def run(self, folder: pathlib.Path, *arguments: str, **options: t.Any) -> Result:
        """Run it to its end."""
        return self.start(folder, *arguments, **options).finish()

    def herd(
        self, folder: pathlib.Path, commands: t.Sequence[t.Sequence[str]], *, app: str | None = None
    ) -> list[Result]:
        """Run many commands at the same time, all with the app of one folder."""
        folders = [folder / str(number) for number in range(len(commands))]
        for each in folders:
            each.mkdir()
        app = app or str(folder / "app.py")
        self._end_forgotten()
        self._say(
            [
                {"folder": str(own), "arguments": list(arguments), "fault": None, "env": {}, "app": app}
                for own, arguments in zip(folders, commands, strict=True)
            ]
        )
        codes = json.loads(self._hear())
        return [_result(code, own) for code, own in zip(codes, folders, strict=True)]

    def _end_forgotten(self) -> None:
        """End the command of a test that has failed in the middle."""
        if self._child is not None and not self._child.finished:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and only its answer was not heard
                os.kill(self._child.pid, signal.SIGKILL)
            self._hear()
            self._child = None

    def stop(self) -> None:
        self._end_forgotten()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def _say(self, order: t.Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Child:
    """One command that is running."""

    def __init__(self, nursery: Nursery, folder: pathlib.Path, pid: int) -> None:
        self._nursery = nursery
        self.folder = folder
        self.pid = pid
        self.finished = False

    @property
    def reached(self) -> bool:
        """Whether the command is, or was, at the point of its fault."""
        return (self.folder / "reached").exists()

    def says(self, words: str) -> bool:
        """Tell whether it has written these words to stderr."""
        path = self.folder / "err"
        return path.exists() and words in path.read_text()

    def go_on(self) -> None:
        (self.folder / "go").touch()

    def finish(self) -> Result:
        """Wait for its end. No password and no traceback may be in what it prints."""
        code = int(self._nursery._hear())
        self.finished = True
        return _result(code, self.folder)


def _result(code: int, folder: pathlib.Path) -> Result:
    out, err = ((folder / name).read_text() for name in ("out", "err"))
    return checked(Result(code, out, err))


def main() -> None:
    """Fork a child for each order, or many for a list of them."""
    _import_everything()
    for line in sys.stdin:
        order = json.loads(line)
        if isinstance(order, list):
            children = [_fork(each) for each in order]
            print(json.dumps([_ended(pid) for pid in children]), flush=True)
            continue
        pid = _fork(order)
        print(pid, flush=True)
        print(_ended(pid), flush=True)


def _fork(order: dict[str, t.Any]) -> int:
    for name in ("reached", "go", "passed"):
        pathlib.Path(order["folder"], name).unlink(missing_ok=True)
    pid = os.fork()
    if not pid:
        _be(order)
    return pid


def _ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _be(order: dict[str, t.Any]) -> t.NoReturn:
    from flask.cli import ScriptInfo

    from flask_postgres.cli import cli

    from . import points

    folder = pathlib.Path(order["folder"])
    os.chdir(folder)
    os.environ.update(order["env"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(folder / name, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), number)
    fault = order["fault"]
    points.install(points.Fault(folder=str(folder), **fault) if fault is not None else None)
    code: t.Any = 70
    try:
        app = order["app"]
        cli.main(order["arguments"], "flask psql", obj=ScriptInfo(app_import_path=app))
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        import traceback

        traceback.print_exc()
    (folder / "passed").write_text("\n".join(points.points.passed))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def _import_everything() -> None:
    import gc
    import importlib
    import pkgutil

    import flask_sqlalchemy  # noqa: F401
    import psycopg  # noqa: F401
    import psycopg2  # noqa: F401
    from sqlalchemy.dialects.postgresql import psycopg as _1  # noqa: F401
    from sqlalchemy.dialects.postgresql import psycopg2 as _2  # noqa: F401

    import flask_postgres

    for module in pkgutil.walk_packages(flask_postgres.__path__, "flask_postgres."):
        importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # no child looks at, or copies, what all of them share


if __name__ == "__main__":
    main()
