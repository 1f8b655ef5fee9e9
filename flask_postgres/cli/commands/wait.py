"""``flask psql wait``."""

from __future__ import annotations

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
@opt.setting_options("target_database_uri", "admin_dbname", "connect_timeout")
@opt.bind_key
@opt.common_options
def command(*, timeout: float, **_: t.Any) -> None:
    """Wait until the server accepts connections.

    For containers and CI, where the server may start after the app. Errors that may be temporary are retried;
    a wrong password fails at once. The database need not exist. No server is started.
    """
    from ...postgres import waiting
    from ...postgres.probe import address_text
    from .. import targets
    from ..context import Invocation
    from ..lifecycle import connector

    invocation = Invocation.current()
    target = targets.only(invocation)
    uri = target.uri
    with invocation.reporter.progress(f"waiting for {address_text(uri)}"):
        waiting.wait(connector(invocation, uri, bind_key=target.keys[0]), timeout=timeout)
    invocation.reporter.outcome(f"the server at {address_text(uri)} accepts connections")
