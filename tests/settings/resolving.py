"""Resolve settings from nothing but what a test names."""

from __future__ import annotations

import typing as t
from pathlib import Path

from flask_postgres.settings.merge import Resolution, resolve

NOWHERE = Path("/nonexistent/folder")


def resolved(**given: t.Any) -> Resolution:
    """Resolve with the given arguments; all others say nothing."""
    nothing: dict[str, t.Any] = {
        "cli": {},
        "app_config": {},
        "environ": {},
        "cwd": NOWHERE,
        "root_path": None,
        "debug": False,
        "config_file": None,
        "engine_url": lambda: None,
    }
    return resolve(**{**nothing, **given})
