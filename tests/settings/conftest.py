from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder at which the search upwards ends."""
    (tmp_path / ".git").mkdir()
    return tmp_path
