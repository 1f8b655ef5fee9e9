"""Whose a session is: the program on this machine that has it open."""

from __future__ import annotations

import contextlib
import os
import typing as t

_SHOWN = ("run", "shell", "routes")
"""Words of a command line that are shown. No others are: a password may be among them."""


def programs(ports: t.Collection[int]) -> dict[int, str]:
    """Name the programs of this account that connect from local ports, such as ``flask run (pid 4242)``.

    Nothing is known without psutil, which the embedded server needs, and of other accounts' programs.
    """
    found: dict[int, str] = {}
    with contextlib.suppress(ImportError, OSError):
        import psutil

        account = psutil.Process().username()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.username() != account:
                    continue
                for connection in _connections(process):
                    if connection.raddr and connection.laddr.port in ports:
                        found[connection.laddr.port] = f"{_name(process.cmdline())} (pid {process.pid})"
    return found


def _connections(process: t.Any) -> t.Sequence[t.Any]:
    ask = getattr(process, "net_connections", None) or process.connections  # before psutil 6
    return t.cast("t.Sequence[t.Any]", ask(kind="tcp"))


def _name(command: t.Sequence[str]) -> str:
    names = [os.path.basename(word) for word in command]
    if names and names[0].startswith("python"):
        names = names[2:] if names[1:2] == ["-m"] else names[1:]
    return " ".join([*names[:1], *(word for word in names[1:] if word in _SHOWN)]) or "program"
