"""Keep passwords out of every text that leaves Flask-Postgres."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import quote, quote_plus

MASK = "***"

SHORT = 5
"""Characters below which a secret is masked only where it stands alone: as a part of other words it is
that by chance, and masking it there would both spoil the text and tell the secret."""

OUTCOMES = frozenset(
    ["database", "was", "created", "initialized", "deleted", "already", "exists", "does", "not"]
)
"""The words that scripts rely on. Masking one of them would not hide a secret but tell it."""


class Redactor:
    """Replaces every known secret in a text by ``***``.

    Drivers, SQLAlchemy and an app's own code may put a password into a message in its raw or in its
    percent-encoded spelling, so both are known. A secret that equals a user, host or database name
    which is shown anyway would make the output unreadable and hide nothing: such a one is left.
    """

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._shown: set[str] = set(OUTCOMES)

    def add(self, secrets: t.Iterable[str | None], *, shown: t.Iterable[str | None] = ()) -> None:
        """Learn secrets in their raw spelling, and names that are shown on purpose."""
        for secret in secrets:
            if secret:
                self._secrets.update({secret, quote(secret, safe=""), quote(secret), quote_plus(secret)})
        self._shown.update(name for name in shown if name)

    def __call__(self, text: str) -> str:
        """Return the text without the secrets, the longest replaced first."""
        for secret in sorted(self._secrets - self._shown, key=len, reverse=True):
            common = len(secret) < SHORT or any(secret in word for word in OUTCOMES)
            text = _standing_alone(secret).sub(MASK, text) if common else text.replace(secret, MASK)
        return text


def _standing_alone(secret: str) -> re.Pattern[str]:
    before = r"(?<!\w)" if secret[0].isalnum() else ""
    after = r"(?!\w)" if secret[-1].isalnum() else ""
    return re.compile(before + re.escape(secret) + after)
