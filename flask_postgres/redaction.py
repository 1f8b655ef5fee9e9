"""Keep passwords out of every text that leaves Flask-Postgres."""

from __future__ import annotations

import base64
import functools
import json
import re
import typing as t

MASK = "***"

SHORT = 5
"""A secret of fewer characters is masked only as a word of its own: within other words it occurs by chance,
and masking it there would garble the text and reveal the secret."""

OUTCOMES = frozenset(
    ["database", "was", "created", "initialized", "deleted", "already", "exists", "does", "not"]
)
"""The words that scripts rely on. Masking one of them would reveal that it is the secret."""

WORDS = OUTCOMES | {"password", "server", "role", "user", "wrong", "host", "port", "connection", "app"}
"""Those, and the words that our errors are made of: likewise."""

_KEYS = "password|passwd|oauth_client_secret|scram_client_key|scram_server_key"
"""The ends of the names of libpq's secret parameters, and of those of other drivers and apps."""

ASSIGNED = re.compile(
    rf"""((?:{_KEYS})(?:\s*=\s*|%3D))"""
    r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?:[^\s&"']|["'](?=\w))+|["'][^\s&]*)""",
    re.IGNORECASE,
)
"""A secret after its key, in a URI's query or in a connection string. A quote may end the text around it."""


def is_secret_key(key: str) -> bool:
    """Tell whether the value of a connection parameter of this name is a secret."""
    return re.search(f"(?:{_KEYS})$", key, re.IGNORECASE) is not None


class Redactor:
    """Replaces every known secret in a text by ``***``, and the password of any URI.

    Drivers, SQLAlchemy and an app's own code put a password into a message as it is, percent-encoded by
    rules of their own, or quoted by ``repr``, JSON or SQL, and join lines; all these spellings are found. A
    secret that equals a user, host or database name is not masked, because that name is shown anyway.
    """

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._shown: set[str] = set(WORDS)

    def add(self, secrets: t.Iterable[str | None], *, shown: t.Iterable[str | None] = ()) -> None:
        """Learn secrets in their raw spelling, and names that are shown on purpose."""
        self._secrets.update(secret.strip() for secret in secrets if secret and not secret.isspace())
        self._shown.update(name for name in shown if name)

    def __call__(self, text: str) -> str:
        """Return the text without the secrets, the longest replaced first."""
        for secret in sorted(self._secrets - self._shown, key=len, reverse=True):
            text = _pattern(secret).sub(MASK, text)
        return ASSIGNED.sub(rf"\g<1>{MASK}", _IN_URI.sub(rf"\g<1>{MASK}@", text))


# SQLAlchemy reads up to the first @, but an unencoded @ may be part of the password. Our own hints write
# "password" there.
_IN_URI = re.compile(rf"(//[^\s:/@]*:)(?!{re.escape(MASK)}@|password@)[^\s@]+@(?:[^\s/@]*@)*")


@functools.lru_cache(maxsize=256)
def _pattern(secret: str) -> re.Pattern[str]:
    """Return what finds a secret in all its spellings."""
    pattern = "".join(map(_piece, re.findall(r"\s+|.", secret, re.DOTALL)))
    if len(secret) < SHORT or any(secret.lower() in word for word in WORDS):
        before = r"(?<!\w)" if secret[0].isalnum() else ""
        after = r"(?!\w)" if secret[-1].isalnum() else ""
        return re.compile(before + pattern + after)
    data = secret.encode("utf-8", "surrogatepass")
    return re.compile("|".join([pattern, data.hex(), *_in_base64(data)]), re.IGNORECASE)


def _piece(piece: str) -> str:
    """Return a pattern for one character, or for white space, which may have been folded."""
    spellings = "|".join(sorted(map(_spellings, set(piece))))
    return rf"(?:\s|\+|{spellings})+" if piece.isspace() else f"(?:{spellings})"


def _spellings(char: str) -> str:
    """Return a pattern for a character as it is, quoted by Python, JSON or SQL, and percent-encoded, perhaps
    more than once; some double every ``%`` then.
    """
    data = char.encode("utf-8", "surrogatepass")
    quoted = {char, json.dumps(char)[1:-1], ascii(char)[1:-1], repr(data)[2:-1]}
    quoted |= {char.replace("'", r"\'"), char.replace("'", "''")}
    plain = "|".join(re.escape(text) for text in sorted(quoted, key=len, reverse=True))
    percent = "".join(f"%{byte:02x}" for byte in data)
    digits = re.sub("[a-f]", lambda digit: f"[{digit[0]}{digit[0].upper()}]", percent)
    return f"{digits}|{plain}".replace("%", "%%?(?:25)*")


def _in_base64(data: bytes) -> t.Iterator[str]:
    """Yield patterns for a secret within base64, as basic authentication writes ``user:password``.

    There are three, because three bytes become four characters. A character at either end may also hold
    bits of what stands beside the secret, so any character matches there.
    """
    for offset in range(3):
        written = base64.b64encode(bytes(offset) + data).decode().rstrip("=")
        inner = written[(offset * 8 + 5) // 6 : (offset + len(data)) * 8 // 6]
        either = re.escape(inner).replace("/", "[/_]").replace(r"\+", r"[+\-]")
        yield f"{_BASE64 if offset else ''}(?-i:{either}){_BASE64}*=*"


_BASE64 = r"[A-Za-z0-9+/_\-]"
