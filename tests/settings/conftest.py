from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

# No database: the folder of the tests may not be writable. No deadline: the machine may be busy.
hypothesis.settings.register_profile("flask-postgres", database=None, deadline=None)
hypothesis.settings.load_profile("flask-postgres")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder at which the search upwards ends."""
    (tmp_path / ".git").mkdir()
    return tmp_path
