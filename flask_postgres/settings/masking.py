"""Find passwords in values that are not valid URIs, so that no message repeats one.

A valid URI masks itself, by component. For other text this module guesses, and masks too much rather than too
little: everything from the first colon after ``://`` to the last ``@``, and what follows ``password=``.
"""

from __future__ import annotations

import contextlib
import json
import typing as t
from urllib.parse import unquote

from ..redaction import ASSIGNED, MASK, is_secret_key

_SHOWN = 80
"""Characters of a wrong value that a message repeats."""


def secrets_in(value: t.Any) -> tuple[str, ...]:
    """Return what may be a password in a raw value, the longest first."""
    found = (secret for key, text in _texts(value) for secret in _secrets(key, text))
    return tuple(sorted(set(found), key=len, reverse=True))


def names_in(value: t.Any) -> tuple[str, ...]:
    """Return the users, hosts and databases of the URIs in a raw value: they are shown on purpose."""
    return tuple(name for _, text in _texts(value) if "://" in text for name in _names(text))


def masked(text: str) -> str:
    """Return the text with ``***`` for everything that may be a password in it."""
    head, secret, tail = _split(text)
    return ASSIGNED.sub(rf"\g<1>{MASK}", f"{head}{MASK}{tail}" if secret else text)


def quoted(value: t.Any) -> str:
    """Return a wrong value as a message shows it: masked, on one line, not too long."""
    text = masked(str(value))
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return json.dumps(shown, ensure_ascii=not shown.isprintable())


def _texts(value: t.Any) -> t.Iterator[tuple[str, str]]:
    """Yield every text in a value, with the key under which it stands. A dictionary may contain itself."""
    seen: set[int] = set()
    waiting = [("", value)]
    while waiting:
        key, item = waiting.pop()
        if hasattr(item, "render_as_string"):  # an SQLAlchemy URL of any dialect; it is a tuple as well
            yield key, item.render_as_string(hide_password=False)
        elif isinstance(item, str):
            yield key, item
        elif isinstance(item, (t.Mapping, list, tuple, set, frozenset)) and id(item) not in seen:
            seen.add(id(item))
            inner = item.items() if isinstance(item, t.Mapping) else ((key, one) for one in item)
            waiting += [(str(name), one) for name, one in inner]


def _names(text: str) -> t.Iterator[str]:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    with contextlib.suppress(ArgumentError, ValueError):  # no URI, no names
        url = make_url(text)
        yield from filter(None, (url.username, url.host, url.database))


def _secrets(key: str, text: str) -> t.Iterator[str]:
    whole = [text] if is_secret_key(key) else []
    for secret in (*whole, _split(text)[1], *(match[2] for match in ASSIGNED.finditer(text))):
        yield from (spelling for spelling in (secret, unquote(secret), secret.strip("'\"")) if spelling)


def _split(text: str) -> tuple[str, str, str]:
    """Split a text before and behind what would be the password if the text were a URI."""
    start = text.find("://") + 3 if "://" in text else 0
    end = text.rfind("@")
    colon = text.find(":", start, max(end, 0))
    return (text, "", "") if colon < 0 else (text[: colon + 1], text[colon + 1 : end], text[end:])
