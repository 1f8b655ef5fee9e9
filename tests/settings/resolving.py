"""Resolve settings from nothing but what a test names."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path
from unittest import mock

from flask_postgres.settings.merge import Resolution, resolve

NOWHERE = Path("/nonexistent/folder")


def resolved(*, environ: t.Mapping[str, str] | None = None, **given: t.Any) -> Resolution:
    """Resolve with the given arguments and environment; all others say nothing."""
    nothing: dict[str, t.Any] = {
        "cli": {},
        "app_config": {},
        "cwd": NOWHERE,
        "root_path": None,
        "debug": False,
        "config_file": None,
        "engine_url": lambda: None,
    }
    with mock.patch.object(os, "environ", dict(environ or {})):  # a dict, because it takes any text
        return resolve(**{**nothing, **given})
