"""``flask psql server``: the embedded PostgreSQL, asked for by name."""

from __future__ import annotations

import collections
import json
import typing as t

import click

from ..context import Invocation
from ..group import Ordered
from ..options import common_options, option, setting_options

if t.TYPE_CHECKING:
    from ...embedded.info import ServerInfo

_where = setting_options("target_database_uri", "server_data_dir")


@click.group("server", cls=Ordered, epilog="Example: flask psql server start")
def command() -> None:
    """Start, stop or look at the embedded PostgreSQL server.

    It listens on the host and port of the target URI, for people who have no PostgreSQL installed.
    Commands that need a server start it by themselves; it runs until it is stopped.
    """


@command.command("start", epilog="Example: flask psql server start --uri postgresql://localhost:5433/mydb")
@setting_options("target_database_uri", "server", "server_data_dir", "server_bin_dir")
@option(
    "--set-password",
    is_flag=True,
    help="Give the URI's role the URI's password, even if other projects' databases belong to it.",
)
@common_options
def start(*, set_password: bool, **_flags: t.Any) -> None:
    """Start the server on the URI's address.

    The URI's role is made, or given what it lacks. A server that runs already is left running.
    """
    from ...embedded import service

    invocation = Invocation.current()
    settings = invocation.settings
    service.start(
        invocation.target,
        mode=settings.server,
        data_dir=settings.server_data_dir,
        bin_dir=settings.server_bin_dir,
        reporter=invocation.reporter,
        set_password=set_password,
    )


@command.command("stop", epilog="Example: flask psql server stop")
@_where
@common_options
def stop(**_flags: t.Any) -> None:
    """Stop the server. Sessions are ended; what they have committed stays."""
    from ...embedded import service

    invocation = Invocation.current()
    settings = invocation.settings
    uri = invocation.target
    info = service.stop(uri, data_dir=settings.server_data_dir, reporter=invocation.reporter)
    if info is None:
        address = _address(service.status(uri, data_dir=settings.server_data_dir))
        invocation.reporter.outcome(f"no embedded server is running on {address}")
    else:
        invocation.reporter.outcome(f"the embedded server on {_address(info)} was stopped")


@command.command("status", epilog="Example, in a script: flask psql server status --json")
@_where
@option("--json", "as_json", is_flag=True, help="Print JSON.")
@common_options
def status(*, as_json: bool, **_flags: t.Any) -> None:
    """Show whether and where the server runs.

    That is its address, version, data folder, pid and uptime.
    """
    from ...embedded import service

    invocation = Invocation.current()
    settings = invocation.settings
    info = service.status(invocation.target, data_dir=settings.server_data_dir)
    invocation.echo_data(json.dumps(info.as_json(), indent=2) if as_json else _as_text(info))


@command.command("log", epilog="Example: flask psql server log --lines 200")
@_where
@option(
    "-n",
    "--lines",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="How many of the last lines.",
)
@common_options
def log(*, lines: int, **_flags: t.Any) -> None:
    """Print the end of the server's log."""
    from ...embedded import service

    invocation = Invocation.current()
    settings = invocation.settings
    path = service.log_path(invocation.target, data_dir=settings.server_data_dir)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            tail = collections.deque(file, maxlen=lines)
    except FileNotFoundError:
        invocation.reporter.outcome(f"there is no log yet ({path})")
        return
    invocation.reporter.detail(f"the log is {path}")
    invocation.echo_data("".join(tail).rstrip("\n"))


def _address(info: ServerInfo) -> str:
    return f"[{info.host}]:{info.port}" if ":" in info.host else f"{info.host}:{info.port}"


def _as_text(info: ServerInfo) -> str:
    rows = [("server", "running" if info.running else "not running"), ("address", _address(info))]
    rows += [("version", info.version or "-"), ("data folder", str(info.data_dir)), ("access", info.access)]
    if info.running:
        rows += [("pid", str(info.pid)), ("uptime", _duration(info.uptime_s or 0.0))]
    return "\n".join(f"{name + ':':<13}{value}" for name, value in rows)


def _duration(seconds: float) -> str:
    """Return a duration in its two largest units."""
    left, parts = int(seconds), list[str]()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size} {unit}")
        left %= size
    return " ".join(parts[:2])
