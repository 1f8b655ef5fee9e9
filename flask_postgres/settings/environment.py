"""The environment as environs reads it: ``NAME``, or ``NAME_FILE`` that names a file with the value.

environs, with marshmallow behind it, takes longer to load than all other settings code together, so it
loads where a variable is set, and not before.
"""

from __future__ import annotations

import os
import re
import typing as t
from pathlib import Path

from . import files

if t.TYPE_CHECKING:
    import environs

FILE = "_FILE"


def is_set(name: str) -> bool:
    """Tell whether the environment has a variable."""
    return name in os.environ


def text(name: str) -> str:
    """Return the text of a variable that is set."""
    return str(_environment().str(name))


def content(name: str, *, cwd: Path) -> str:
    """Return what the file holds that a variable names, without one line break at its end.

    :raises ValueError: if it cannot be read; the message says why.
    """
    try:
        data = files.content(files.located(cwd, str(_environment().path(name)))).decode()
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8 text") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ValueError(f"the file cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return re.sub(r"\r?\n\Z", "", data)


def _environment() -> environs.Env:
    import environs

    return environs.Env(expand_vars=False)
