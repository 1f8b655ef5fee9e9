"""Keep passwords out of every text that leaves Flask-Postgres."""

from __future__ import annotations

import functools
import json
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
    """Replaces every known secret in a text by ``***``, and the password of any URI.

    Drivers, SQLAlchemy and an app's own code put a password into a message as it is, percent-encoded by
    rules of their own, or quoted by ``repr`` or JSON, and lines are joined; all are found. A secret that
    equals a user, host or database name which is shown anyway would make the output unreadable and hide
    nothing: such a one is left.
    """

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._shown: set[str] = set(OUTCOMES)

    def add(self, secrets: t.Iterable[str | None], *, shown: t.Iterable[str | None] = ()) -> None:
        """Learn secrets in their raw spelling, and names that are shown on purpose."""
        self._secrets.update(secret for secret in secrets if secret and not secret.isspace())
        self._shown.update(name for name in shown if name)

    def __call__(self, text: str) -> str:
        """Return the text without the secrets, the longest replaced first."""
        for secret in sorted(self._secrets - self._shown, key=len, reverse=True):
            text = _pattern(secret).sub(MASK, text)
        return _IN_QUERY.sub(rf"\g<1>{MASK}", _IN_URI.sub(rf"\g<1>{MASK}@", text))


# SQLAlchemy reads up to the first @; who forgot to encode another one meant it too. "password" is what our
# own hints write there.
_IN_URI = re.compile(rf"(//[^\s:/@]*:)(?!{re.escape(MASK)}@|password@)[^\s@]+@(?:[^\s/@]*@)*")
_IN_QUERY = re.compile(r"""([?&][^\s&]*?password(?:=|%3D))[^\s&"'#]+""")


@functools.lru_cache(maxsize=256)
def _pattern(secret: str) -> re.Pattern[str]:
    """Return what finds a secret in all its spellings."""
    pattern = "".join(map(_piece, re.findall(r"\s+|.", secret, re.DOTALL)))
    if len(secret) < SHORT or any(secret in word for word in OUTCOMES):
        before = r"(?<!\w)" if secret[0].isalnum() else ""
        after = r"(?!\w)" if secret[-1].isalnum() else ""
        pattern = before + pattern + after
    return re.compile(pattern)


def _piece(piece: str) -> str:
    """Return a pattern for one character, or for white space, which may have been folded."""
    spellings = "|".join(sorted(map(_spellings, set(piece))))
    return rf"(?:\s|\+|{spellings})+" if piece.isspace() else f"(?:{spellings})"


def _spellings(char: str) -> str:
    """Return a pattern for a character as it is, quoted by Python or JSON, and percent-encoded; some double
    every ``%`` then.
    """
    quoted = {char, json.dumps(char)[1:-1], ascii(char)[1:-1], char.replace("'", r"\'")}
    plain = "|".join(re.escape(text) for text in sorted(quoted, key=len, reverse=True))
    percent = "".join(f"%{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))
    digits = re.sub("[a-f]", lambda digit: f"[{digit[0]}{digit[0].upper()}]", percent)
    return f"{digits}|{plain}".replace("%", "%%?")
