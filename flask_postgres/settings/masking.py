"""Find passwords in values that are no valid URI, so that a fault never repeats one.

A valid URI masks itself, by component. What is left is guesswork, and guesses too much rather than too
little: all from the first colon behind ``://`` to the last ``@``, and what stands behind ``password=``.
"""

from __future__ import annotations

import contextlib
import json
import re
import typing as t
from urllib.parse import unquote

from ..redaction import MASK

_PASSWORD_KEY = re.compile(r"(pass(?:word|wd)\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&;]*)", re.IGNORECASE)
_SHOWN = 80
"""Characters of a wrong value that a message repeats."""


def secrets_in(value: t.Any) -> tuple[str, ...]:
    """Return what may be a password in a raw value, the longest first."""
    found = {secret for text in _texts(value) for secret in _secrets(text)} | {*_under_password_keys(value)}
    return tuple(sorted(found, key=len, reverse=True))


def names_in(value: t.Any) -> tuple[str, ...]:
    """Return the users, hosts and databases of the URIs in a raw value: they are shown on purpose."""
    return tuple(name for text in _texts(value) if "://" in text for name in _names(text))


def masked(text: str) -> str:
    """Return the text with ``***`` for everything that may be a password in it."""
    head, secret, tail = _split(text)
    return _PASSWORD_KEY.sub(rf"\g<1>{MASK}", f"{head}{MASK}{tail}" if secret else text)


def quoted(value: t.Any) -> str:
    """Return a wrong value as a message shows it: masked, on one line, not too long."""
    text = masked(str(value))
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return json.dumps(shown, ensure_ascii=not shown.isprintable())


def _texts(value: t.Any) -> t.Iterator[str]:
    if hasattr(value, "render_as_string"):  # an SQLAlchemy URL of any dialect; it is a tuple as well
        yield value.render_as_string(hide_password=False)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, t.Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _texts(item)


def _names(text: str) -> t.Iterator[str]:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    with contextlib.suppress(ArgumentError, ValueError):  # no URI, no names
        url = make_url(text)
        yield from filter(None, (url.username, url.host, url.database))


def _under_password_keys(value: t.Any) -> t.Iterator[str]:
    if not isinstance(value, t.Mapping):
        return
    for key, item in value.items():
        if isinstance(item, str) and _PASSWORD_KEY.fullmatch(f"{key}="):
            yield item
        else:
            yield from _under_password_keys(item)


def _secrets(text: str) -> t.Iterator[str]:
    for secret in (_split(text)[1], *(match[2] for match in _PASSWORD_KEY.finditer(text))):
        yield from (spelling for spelling in (secret, unquote(secret), secret.strip("'")) if spelling)


def _split(text: str) -> tuple[str, str, str]:
    """Split a text before and behind what would be the password if the text were a URI."""
    start = text.find("://") + 3 if "://" in text else 0
    end = text.rfind("@")
    colon = text.find(":", start, max(end, 0))
    return (text, "", "") if colon < 0 else (text[: colon + 1], text[colon + 1 : end], text[end:])
