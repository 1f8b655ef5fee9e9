"""What the steps of a plan work with, and what they leave for each other."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from ..app.seeds.declared import Seed
from ..errors import LostRace, ServerError
from ..postgres.admin import Connector
from ..postgres.session import Session
from ..remedies import Command
from ..reporting import Reporter
from .changes import Action
from .identity import Found

LOCK_NOT_AVAILABLE = "55P03"
"""The SQLSTATE of a statement that waited for a lock for longer than ``lock_timeout``."""


@dataclasses.dataclass(slots=True, kw_only=True)
class StepContext:
    """The means of one plan, and what its steps have done.

    :param initialize: fills the target by the app's own means; returns what it did. ``whole`` says that all
        of it is undone when it fails, so that it need not be one transaction.
    :param run_seed: runs a function or a command of the app on the target.
    :param load_again: loads the app once more, in another process, if it connects to its database while it is
        loaded: it may fill a new one then.
    :param release: closes the connections that the app itself has open.
    :param make_extensions: creates extensions with more rights than the URI's role has, where the server
        is an embedded one. Takes the database's name and the extensions' names.
    :param session: the session that administers; None until the plan is built.
    :param hold: a context in which signals wait: for a statement that must not be interrupted.
    :param check: ends the command if a signal came, and the process if it is a child that the app has forked.
    :param made: the OID of the database that this plan creates for a name; None as long as it is unknown.
    :param protected: the databases that this plan has protected.
    :param fresh: whether the app has nothing in the target any more, or yet.
    :param role_made: whether this plan has created the app's role.
    :param filled: whether the app has filled the database.
    :param outcomes: what is reported once nothing can undo it.
    :param remarks: what undoing has to report, other than that all is as it was.
    :param lost: what others have lost by it.
    """

    connector: Connector
    initialize: t.Callable[..., str] | None = None
    run_seed: t.Callable[[Seed], None] | None = None
    load_again: t.Callable[[], None] = lambda: None
    release: t.Callable[[], None] = lambda: None
    make_extensions: t.Callable[[str, t.Sequence[str]], None] | None = None
    sleep: t.Callable[[float], None] = time.sleep
    session: Session | None = None
    hold: t.Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    check: t.Callable[[], None] = lambda: None
    made: dict[str, int | None] = dataclasses.field(default_factory=dict)
    protected: set[str] = dataclasses.field(default_factory=set)
    fresh: bool = False
    role_made: bool = False
    filled: bool = False
    outcomes: list[str | Command] = dataclasses.field(default_factory=list)
    remarks: list[str] = dataclasses.field(default_factory=list)
    lost: list[str] = dataclasses.field(default_factory=list)

    @property
    def admin(self) -> Session:
        """The session that administers."""
        assert self.session is not None, "the engine opens it before any step runs"
        return self.session

    @property
    def reporter(self) -> Reporter:
        return self.connector.reporter

    @property
    def token(self) -> str:
        return self.connector.token

    def send(self, *actions: Action, to: Session | None = None) -> Found | None:
        """Send what actions consist of. Steps have no other way to change anything on the server.

        :param to: the session to send it to; that which administers when None.
        :returns: the database that the last of them has looked at.
        """
        found = None
        for action in actions:
            for part in action.parts():
                found = self._patiently(part, to or self.admin)
        return found

    def _patiently(self, action: Action, session: Session) -> Found | None:
        """Send an action, again for as long as it waits for a lock: each attempt ends after two seconds.

        Where another command changes the same row at the same moment, both may lose. It is then tried once
        more, and looks again whether the database is the one that is meant.
        """
        told = tried = False
        while True:
            try:
                return action.send(session)
            except LostRace as error:
                if tried or not error.transient:
                    raise
                tried = True
                continue
            except ServerError as error:
                if error.sqlstate != LOCK_NOT_AVAILABLE:
                    raise
            if not told:
                self.reporter.note(f"waiting for a lock to {action.doing}")
                told = True

    def made_here(self, name: str, found: Found | None) -> bool:
        """Tell whether the database that has a name is the one that this plan has created for it.

        Its OID tells, not its mark, because an app that fills a database may comment on it too.
        """
        return found is not None and found.oid == self.made.get(name)

    def close(self) -> None:
        """End the session that administers."""
        if self.session is not None:
            self.session.close()
