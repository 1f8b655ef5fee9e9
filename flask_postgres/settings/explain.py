"""Show a resolution: every setting, where its value comes from, and what it shadows.

No password is shown: URIs mask themselves by component; other text is masked wherever it looks like a
password, and the messages of faults wherever they contain a secret of any source.
"""

from __future__ import annotations

import json
import os
import typing as t

from ..redaction import Redactor
from .masking import masked
from .resolution import Entry, Resolution, Value
from .sources import PRECEDENCE
from .tomlfile import NOT_FOUND, FileStatus


def as_text(resolution: Resolution, *, only_changed: bool = False, driver: str | None = None) -> str:
    """Return the resolution for people, one line a value.

    :param driver: the driver that administers.
    """
    hide = _redactor(resolution)
    lines = []
    for entry in _entries(resolution, only_changed=only_changed):
        lines.append(f"{entry.name} = {_line(entry.values[0], hide)}")
        lines.extend(f"    shadows {_line(value, hide)}" for value in entry.shadowed)
    lines += _section("Driver", [driver] if driver else [])
    lines += _section("Files", _file_lines(resolution.files))
    lines += _section("Not a setting, so without effect", resolution.unused)
    lines += _section("Faults", [hide(fault) for fault in resolution.general_faults])
    return "\n".join(lines).strip("\n")


def as_json(resolution: Resolution, *, only_changed: bool = False, driver: str | None = None) -> str:
    """Return the resolution for programs. The paths in ``files`` are absolute.

    :param driver: the driver that administers.
    """
    hide = _redactor(resolution)
    document = {
        "settings": [
            {
                "name": entry.name,
                **_as_data(entry.values[0], hide),
                "shadowed": [_as_data(value, hide) for value in entry.shadowed],
            }
            for entry in _entries(resolution, only_changed=only_changed)
        ],
        "driver": driver,
        "files": [{"path": str(file.path), "status": file.status} for file in resolution.files],
    }
    return json.dumps(document, indent=2)


def _redactor(resolution: Resolution) -> Redactor:
    redactor = Redactor()
    redactor.add(resolution.secrets(), shown=resolution.shown_names())
    return redactor


def _entries(resolution: Resolution, *, only_changed: bool) -> list[Entry]:
    return [entry for entry in resolution.entries if not only_changed or entry.source != PRECEDENCE[-1]]


def _line(value: Value, hide: Redactor) -> str:
    shown = f"FAULT: {hide(value.error)}" if value.error is not None else _literal(_plain(value.value))
    return f"{shown}  ({value.source}: {value.origin})"


def _literal(plain: t.Any) -> str:
    """Write a value as TOML does, with control characters escaped, because they could steer a terminal."""
    if plain is None:
        return "not set"
    text = json.dumps(plain, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(plain)


def _as_data(value: Value, hide: Redactor) -> dict[str, t.Any]:
    data: dict[str, t.Any] = {
        "value": _plain(value.value),
        "source": value.source,
        "origin": value.origin,
    }
    return data if value.error is None else {**data, "error": hide(value.error)}


def _plain(value: t.Any) -> t.Any:
    """Return a value in JSON's types, masked."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, tuple):
        return [masked(item) for item in value]
    if hasattr(value, "secrets"):
        return str(value)
    return masked(os.fspath(value))


def _file_lines(files: t.Sequence[FileStatus]) -> list[str]:
    """List the files. Missing ones share a line, because there are two in every folder upwards."""
    lines = [f"{file.path}: {file.status}" for file in files if file.status != NOT_FOUND]
    missing = [str(file.path) for file in files if file.status == NOT_FOUND]
    return lines + ([f"{NOT_FOUND}: {', '.join(missing)}"] if missing else [])


def _section(title: str, lines: t.Sequence[str]) -> list[str]:
    return ["", f"{title}:", *(f"    {line}" for line in lines)] if lines else []
