"""``flask psql status``."""

from __future__ import annotations

import typing as t

import click

from .. import options as opt


@click.command("status", epilog="Example, in a script: flask psql status --exit-code --quiet")
@opt.setting_options(*opt.TARGET)
@opt.bind_key
@opt.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opt.option("--exit-code", is_flag=True, help="Exit with 1 unless the app can use the database as it is.")
@opt.common_options
def command(*, as_json: bool, exit_code: bool, **_: t.Any) -> None:
    """Show the server, the database and what protects it.

    Nothing is started and nothing is changed, so this works in every environment. A database that does
    not exist is an answer; a server that cannot be asked is an error. With --exit-code the command fails
    unless the database exists, is complete, accepts connections and has every migration of the app.
    """
    from .. import targets
    from ..context import Invocation
    from ..look import look

    invocation = Invocation.current()
    report = look(invocation, targets.only(invocation))
    if as_json:
        click.echo(report.as_json(invocation.hide))
    if report.error is not None:
        raise report.error
    if not as_json:
        invocation.echo_data(report.as_text(invocation.render))
    if exit_code and not report.ready:
        invocation.ctx.exit(1)
