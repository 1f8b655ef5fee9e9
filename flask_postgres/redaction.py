"""Keep passwords out of every text that leaves Flask-Postgres."""

from __future__ import annotations

import typing as t
from urllib.parse import quote, quote_plus

MASK = "***"


class Redactor:
    """Replaces every known secret in a text by ``***``.

    Drivers, SQLAlchemy and an app's own code may put a password into a message in its raw or in its
    percent-encoded spelling, so both are known. A secret that equals a user, host or database name
    which is shown anyway would make the output unreadable and hide nothing: such a one is left.
    """

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._shown: set[str] = set()

    def add(self, secrets: t.Iterable[str | None], *, shown: t.Iterable[str | None] = ()) -> None:
        """Learn secrets in their raw spelling, and names that are shown on purpose."""
        for secret in secrets:
            if secret:
                self._secrets.update({secret, quote(secret, safe=""), quote(secret), quote_plus(secret)})
        self._shown.update(name for name in shown if name)

    def __call__(self, text: str) -> str:
        """Return the text without the secrets, the longest replaced first."""
        for secret in sorted(self._secrets - self._shown, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text
