"""``flask psql``: the entry point, which Flask loads on every ``flask`` command.

It therefore imports Click alone. Commands, settings, SQLAlchemy and the drivers load when a command
runs, and only those that it needs.
"""

from __future__ import annotations

from .group import Listed, PsqlGroup, version_option

COMMANDS: dict[str, Listed] = {
    "setup": Listed("Lifecycle", "Create the database and initialize it.", "lifecycle"),
    "create": Listed("Lifecycle", "Create the database and leave it empty.", "lifecycle"),
    "init": Listed("Lifecycle", "Initialize the database by the app's callback or migrations.", "lifecycle"),
    "reset": Listed(
        "Lifecycle", "Put a newly initialized database in the place of the old one.", "lifecycle"
    ),
    "drop": Listed("Lifecycle", "Drop the database after a confirmation.", "lifecycle"),
    "seed": Listed("Lifecycle", "Run the declared seeds on the database.", "lifecycle"),
    "config": Listed("Look", "Show every setting and where it comes from."),
    "status": Listed("Look", "Show the state of the server and of the database."),
    "wait": Listed("Look", "Wait until the server accepts connections."),
    "shell": Listed("Look", "Open psql on the database."),
    "protect": Listed("Safety", "Mark the database so that nothing here drops it.", "lifecycle"),
    "unprotect": Listed("Safety", "Lift the protection after a confirmation.", "lifecycle"),
    "undo": Listed("Safety", "Swap back what the last reset or drop took away.", "lifecycle"),
    "snapshot": Listed("Safety", "Save the database under a name and come back to it."),
    "recover": Listed("Safety", "Put back what an interrupted command had set aside.", "lifecycle"),
    "server": Listed("Server", "Start and stop the embedded PostgreSQL and look at it."),
}
"""Every command, in working order: its section of the help, and its short help.

The fish shell shows a help as far as its first comma, so there is none.
"""

cli: PsqlGroup = PsqlGroup(
    "psql",
    commands_table=COMMANDS,
    help="Create, fill, reset and drop the PostgreSQL database of this app.",
    params=[version_option],
    epilog="Example, in a fresh clone: flask psql setup\n\nEvery setting is explained by: flask psql config",
)
