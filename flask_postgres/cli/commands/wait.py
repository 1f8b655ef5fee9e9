"""``flask psql wait``."""

from __future__ import annotations

import time
import typing as t

import click

from .. import options as opt


@click.command("wait", epilog="Example, before the app starts: flask psql wait --timeout 120")
@opt.option(
    "--timeout",
    type=opt.Seconds(min=0, max=86_400),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait, in seconds; 0 is one attempt.",
)
@opt.option("--ready", is_flag=True, help="Wait until the app can use the database as well.")
@opt.setting_options("target_database_uri", "admin_uri", "admin_dbname", "connect_timeout", *opt.INIT)
@opt.bind_key
@opt.common_options
def command(*, timeout: float, ready: bool, **_: t.Any) -> None:
    """Wait until the server accepts connections.

    For containers and CI, where the server may start after the app. Errors that may be temporary are retried;
    a wrong password fails at once. The database need not exist. No server is started. With --ready it has to
    exist, be complete and have every migration of the app, as another container sees to.
    """
    from ...postgres import waiting
    from ...postgres.probe import address_text
    from .. import targets
    from ..context import Invocation
    from ..lifecycle import connector

    invocation = Invocation.current()
    target = targets.only(invocation)
    uri = target.uri
    deadline = time.monotonic() + timeout
    with invocation.reporter.progress(f"waiting for {address_text(uri)}"):
        waiting.wait(connector(invocation, uri, bind_key=target.keys[0]), timeout=timeout)
    if ready:
        from ..look import look

        def reasons() -> tuple[str, ...]:
            return look(invocation, target).reasons

        left = deadline - time.monotonic()
        waiting.until_ready(reasons, dbname=uri.dbname, timeout=left, reporter=invocation.reporter)
        invocation.reporter.outcome(f'database "{uri.dbname}" is ready')
        return
    invocation.reporter.outcome(f"the server at {address_text(uri)} accepts connections")
