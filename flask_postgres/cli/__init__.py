"""``flask psql``: the entry point, which Flask loads on every ``flask`` command.

It therefore imports Click alone. Commands, settings, SQLAlchemy and the drivers load when a command
runs, and only those that it needs.
"""

from __future__ import annotations

from .group import Listed, PsqlGroup

COMMANDS: dict[str, Listed] = {
    "setup": Listed("Lifecycle", "Create the database, then initialize it."),
    "create": Listed("Lifecycle", "Create the database, empty."),
    "init": Listed("Lifecycle", "Initialize the database: callback, migrations or create_all."),
    "reset": Listed("Lifecycle", "Put a new, initialized database in the place of the old one."),
    "drop": Listed("Lifecycle", "Drop the database, after a confirmation."),
    "config": Listed("Look", "Show every setting and where it comes from."),
    "status": Listed("Look", "Show the server, the database and what protects it."),
    "wait": Listed("Look", "Wait until the server accepts connections."),
    "shell": Listed("Look", "Open psql on the database."),
    "protect": Listed("Safety", "Mark the database so that nothing here drops it."),
    "unprotect": Listed("Safety", "Lift the protection, after a confirmation."),
    "recover": Listed("Safety", "Put back what an interrupted command had set aside."),
    "server": Listed("Server", "Start, stop and look at the embedded PostgreSQL."),
}
"""Every command, in working order: its section of the help, and its short help."""

cli = PsqlGroup(
    "psql",
    commands_table=COMMANDS,
    help="Create, fill, reset and drop the PostgreSQL database of this app.",
    epilog="Start with: flask psql setup. Every setting is explained by: flask psql config",
)
