"""Keep passwords out of every text that leaves Flask-Postgres."""

from __future__ import annotations

import re
import typing as t

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

    Drivers, SQLAlchemy and an app's own code may put a password into a message in its raw or in any
    percent-encoded spelling, so all are known. A secret that equals a user, host or database name
    which is shown anyway would make the output unreadable and hide nothing: such a one is left.
    """

    def __init__(self) -> None:
        self._secrets: dict[str, re.Pattern[str]] = {}
        self._shown: set[str] = set(OUTCOMES)

    def add(self, secrets: t.Iterable[str | None], *, shown: t.Iterable[str | None] = ()) -> None:
        """Learn secrets in their raw spelling, and names that are shown on purpose."""
        for secret in secrets:
            if secret and secret not in self._secrets:
                self._secrets[secret] = _pattern(secret)
        self._shown.update(name for name in shown if name)

    def __call__(self, text: str) -> str:
        """Return the text without the secrets, the longest replaced first."""
        for secret in sorted(self._secrets.keys() - self._shown, key=len, reverse=True):
            text = self._secrets[secret].sub(MASK, text)
        return text


def _pattern(secret: str) -> re.Pattern[str]:
    """Return what finds a secret: raw, percent-encoded by whatever rules, or with ``%%`` for each ``%``."""
    spellings = "|".join("".join(_spellings(char, percent) for char in secret) for percent in ("%", "%%"))
    if len(secret) >= SHORT and not any(secret in word for word in OUTCOMES):
        return re.compile(spellings)
    before = r"(?<!\w)" if secret[0].isalnum() else ""
    after = r"(?!\w)" if secret[-1].isalnum() else ""
    return re.compile(f"{before}(?:{spellings}){after}")


def _spellings(char: str, percent: str) -> str:
    """Return a pattern for one character; a space may be a ``+``, and ``repr`` adds backslashes."""
    if char.isascii() and char.isalnum():
        return char
    octets = char.encode("utf-8", "surrogatepass")
    encoded = "".join(f"{percent}{_HEX[byte >> 4]}{_HEX[byte & 15]}" for byte in octets)
    raw = _RAW.get(char) or re.escape(char)
    return f"(?:{encoded}|{percent if char == '%' else raw})"


_RAW = {" ": "[ +]", "\\": r"\\{1,2}", "'": r"\\?'", '"': r'\\?"'}
_HEX = (*"0123456789", "[aA]", "[bB]", "[cC]", "[dD]", "[eE]", "[fF]")
