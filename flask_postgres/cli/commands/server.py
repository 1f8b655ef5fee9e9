"""``flask psql server``: the embedded PostgreSQL, asked for by name."""

from __future__ import annotations

import collections
import json
import typing as t

import click

from ..context import Invocation
from ..group import Ordered
from ..options import common_options, force, no_app, option, setting_options

if t.TYPE_CHECKING:
    from ...embedded.info import ServerInfo
    from ...embedded.inventory import Held, Kept

_where = setting_options("target_database_uri", "server_data_dir")


@click.group("server", cls=Ordered, epilog="Example: flask psql server start")
def command() -> None:
    """Start, stop, list or delete embedded PostgreSQL servers.

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


@command.command("list", epilog="Example, in a script: flask psql server list --json")
@setting_options("server_data_dir")
@option("--json", "as_json", is_flag=True, help="Print JSON.")
@common_options
def list_(*, as_json: bool, **_flags: t.Any) -> None:
    """List the embedded servers of this account.

    Each with its address, its size on disk, and the folder from which it was started last.
    """
    from ...embedded import inventory

    invocation = Invocation.current()
    found = inventory.kept(invocation.settings.server_data_dir)
    if as_json:
        invocation.echo_data(json.dumps([item.as_json() for item in found], indent=2))
    elif found:
        invocation.echo_data(_as_table(found))
    else:
        invocation.reporter.note("this account has no embedded server")


@command.command("delete", epilog="Example: flask psql server delete localhost-5433")
@click.argument("name", metavar="[NAME]", required=False)
@setting_options("target_database_uri", "server_data_dir", "server_bin_dir")
@force
@no_app
@common_options
def delete(*, name: str | None, **flags: t.Any) -> None:
    """Delete a stopped server and its databases.

    You are shown what will be lost, and type the name of the server. NAME is that of flask psql server
    list; without one it is the server of the target URI. A server with a protected database is not deleted.
    """
    from ...embedded import inventory, service

    invocation = Invocation.current()
    invocation.guard()
    settings = invocation.settings
    if name is not None:
        folder = inventory.named(name)
    else:
        folder = service.status(invocation.target, data_dir=settings.server_data_dir).data_dir

    def ask(kept: Kept, held: t.Sequence[Held]) -> None:
        if not flags["force"]:
            _ask(invocation, kept, held)

    inventory.delete(folder, bin_dir=settings.server_bin_dir, reporter=invocation.reporter, confirm=ask)
    invocation.reporter.outcome(f"the embedded server in {folder} was deleted")


def _ask(invocation: Invocation, kept: Kept, held: t.Sequence[Held]) -> None:
    from ...sizes import size_text
    from ..boundary import printable
    from ..confirm import expect_name

    databases = ", ".join(f"{database.name} ({size_text(database.size)})" for database in held)
    rows = [("folder", str(kept.folder)), ("size", size_text(kept.size)), ("databases", databases or "none")]
    text = "\n".join(f"  {label:<10}{value}" for label, value in rows)
    click.echo(
        printable(f"This server and all its databases will be lost for good:\n{text}", keep="\n"), err=True
    )
    expect_name(invocation, kept.folder.name, of="server")


def _as_table(found: t.Sequence[Kept]) -> str:
    from ...sizes import size_text
    from ..console import columns

    rows = [("NAME", "STATE", "VERSION", "SIZE", "STARTED FROM")]
    for item in found:
        state = "stopped" if item.pid is None else f"running on port {item.port}"
        rows.append((item.name, state, item.version or "-", size_text(item.size), item.started_from or "-"))
    return columns(rows)


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
