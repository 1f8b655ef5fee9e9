"""Sizes of databases, as PostgreSQL writes them: units are powers of 1024."""

from __future__ import annotations

import re

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_SIZE = re.compile(r"([0-9]{1,15})\s*([a-z]*)", re.IGNORECASE)


def size_text(size: int | None) -> str:
    """Return a number of bytes as a person reads it."""
    if size is None:
        return "unknown"
    value = float(size)
    for unit in _UNITS[:-1]:
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {_UNITS[-1]}"


def in_bytes(text: str) -> int:
    """Return the number of bytes that a text such as ``1GB`` means; without a unit, it is bytes.

    :raises ValueError: if it is no size.
    """
    found = _SIZE.fullmatch(text.strip())
    units = {"": 0, "b": 0, **{unit.lower(): power for power, unit in enumerate(_UNITS)}}
    if found is None or found[2].lower() not in units:
        raise ValueError(text)
    return int(int(found[1]) * 1024 ** units[found[2].lower()])
