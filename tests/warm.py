"""``flask`` in real processes of their own, forked from one that has imported what every command imports.

A fresh interpreter spends most of a second of CPU time on imports; a fork spends none. The child has its own
folder, environment, streams and session, so what a command prints and leaves is what a user would get. Tests
of start-up, encodings and signals use fresh interpreters: :meth:`tests.project.Project.start`.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import typing as t

FRESH = ("PYTHON", "LC_", "LANG", "COLUMNS", "TERM")
"""Variables that an interpreter reads when it starts."""


class Warm:
    """The process that forks."""

    def __init__(self, env: t.Mapping[str, str]) -> None:
        self._env = dict(env)
        ours, theirs = socket.socketpair()
        self._socket = ours
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=self._env,
            cwd=pathlib.Path(__file__).parent.parent,
        )
        theirs.close()
        self._heard = b""

    def suits(self, env: t.Mapping[str, str]) -> bool:
        """Tell whether a fresh interpreter with this environment would start as this one did."""
        of_interest = (
            {key: value for key, value in each.items() if key.startswith(FRESH)} for each in (env, self._env)
        )
        return next(of_interest) == next(of_interest)

    def run(
        self,
        arguments: t.Sequence[str],
        *,
        folder: pathlib.Path,
        env: t.Mapping[str, str],
        input: str,
        timeout: float,
    ) -> tuple[int, str, str]:
        """Run ``flask …`` to its end and return its exit code, stdout and stderr."""
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
            files[0].write(input.encode())
            files[0].seek(0)
            order = json.dumps({"arguments": list(arguments), "folder": str(folder), "env": dict(env)})
            socket.send_fds(
                self._socket, [f"{len(order.encode()):>8}".encode()], [one.fileno() for one in files]
            )
            self._socket.sendall(order.encode())
            pid = self._hear(60)
            assert pid is not None, "the process that forks does not answer"
            code = self._wait(pid, timeout)
            texts = []
            for file in files[1:]:
                file.seek(0)
                texts.append(file.read().decode().replace("\r\n", "\n"))
        if code is None:
            raise AssertionError(f"still running after {timeout} s:\n{texts[0]}{texts[1]}")
        return code, texts[0], texts[1]

    def _wait(self, pid: int, timeout: float) -> int | None:
        code = self._hear(timeout)
        if code is None:
            os.killpg(pid, signal.SIGKILL)
            self._hear(20)
        return code

    def _hear(self, timeout: float) -> int | None:
        """Return the next number that the process says; None when it says none in time."""
        while b"\n" not in self._heard:
            if not select.select([self._socket], [], [], timeout)[0]:
                return None
            more = self._socket.recv(100)
            assert more, "the process that forks has ended"
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return int(line)

    def stop(self) -> None:
        self._socket.close()
        self._process.wait(20)


def main() -> None:
    """Fork a child for each order, and answer with its process id and its exit code."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    _import_everything()
    while True:
        size, fds, _, _ = socket.recv_fds(channel, 8, 3)
        if not size:
            return
        order = b""
        while len(order) < int(size):
            order += channel.recv(int(size) - len(order))
        pid = os.fork()
        if not pid:
            channel.close()
            _be(json.loads(order), fds)
        for fd in fds:
            os.close(fd)
        channel.sendall(f"{pid}\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        channel.sendall(f"{code}\n".encode())


def _be(order: dict[str, t.Any], fds: t.Sequence[int]) -> t.NoReturn:
    os.setsid()
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = ["flask", *order["arguments"]]
    sys.orig_argv = [sys.executable, "-m", *sys.argv]
    sys.path[0] = order["folder"]
    code: t.Any = 0
    try:
        runpy.run_module("flask", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    if not isinstance(code, (int, type(None))):
        print(code, file=sys.stderr)
        code = 1
    _end(code or 0)


def _end(code: int) -> t.NoReturn:
    """Exit as an interpreter does that could not flush its streams."""
    import atexit

    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = 120
    os._exit(code)


def _import_everything() -> None:
    import gc
    import importlib
    import pkgutil

    import flask.cli  # noqa: F401
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
