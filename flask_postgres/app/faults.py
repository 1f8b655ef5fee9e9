"""What went wrong in the app's own code, in one line: type, message, and the user's file and line."""

from __future__ import annotations

import functools
import site
import sys
import sysconfig
import textwrap
import typing as t
from pathlib import Path

LONGEST_MESSAGE = 400
"""Characters of a foreign message that are shown: an error may quote a whole SQL script."""

_PACKAGE = Path(__file__).resolve().parent.parent


def describe(error: BaseException) -> str:
    """Return the type and message of an error in one line.

    What SQLAlchemy appends to a driver's message (statement, parameters, link) is left out: it holds
    the user's data, and it is in the traceback.
    """
    if isinstance(error, SystemExit):
        return _describe_exit(error)
    name = type(error).__name__
    # The text of a SyntaxError ends with its place, which is told for all errors alike.
    text = _one_line(error.msg if isinstance(error, SyntaxError) else str(error))
    return f"{name}: {text}" if text else name


def where(error: BaseException, *, root: str | None = None) -> str | None:
    """Return ``file:line`` of the last step in the user's own code, or None if none took part.

    :param root: the app's folder. It counts as the user's even where libraries are installed.
    """
    found = None
    if isinstance(error, SyntaxError) and error.filename and _is_users(error.filename, root):
        return f"{shown_path(error.filename)}:{error.lineno or 1}"
    step = error.__traceback__
    while step is not None:
        filename = step.tb_frame.f_code.co_filename
        if _is_users(filename, root):
            found = f"{shown_path(filename)}:{step.tb_lineno}"
        step = step.tb_next
    return found


def at(place: str | None) -> str:
    """Return `` (file:line)`` for the end of a sentence, or nothing."""
    return f" ({place})" if place else ""


def is_connection_failure(error: BaseException | None) -> bool:
    """Tell failed connecting from a failed statement: the latter names its statement."""
    sqlalchemy = sys.modules.get("sqlalchemy.exc")
    return sqlalchemy is not None and isinstance(error, sqlalchemy.DBAPIError) and error.statement is None


def shown_path(filename: str) -> str:
    """Return a path as the user would type it: relative when it is below the working directory."""
    path = Path(filename).resolve()
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def _describe_exit(error: SystemExit) -> str:
    """Name what preceded ``sys.exit``: a library that exits has usually just caught the real error."""
    code = error.code
    ending = f"sys.exit({'' if code is None else repr(code)})"
    if error.__context__ is not None:
        return f"{ending} after {describe(error.__context__)}"
    return ending


def _one_line(text: str) -> str:
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(("[SQL:", "[parameters:", "(Background on this error")):
            break
        lines.append(line.strip())
    said, hint, advice = " ".join(lines).partition(" HINT: ")
    return _shortened(said) + (hint + _shortened(advice) if hint else "")


def _shortened(text: str) -> str:
    # It ends with a whole word: half of a password would not be known for one.
    return textwrap.shorten(
        text, LONGEST_MESSAGE, placeholder="…", break_long_words=False, break_on_hyphens=False
    )


def _is_users(filename: str, root: str | None) -> bool:
    if filename.startswith("<"):
        return False
    path = Path(filename).resolve()
    homes = [folder for folder in _library_folders() if path.is_relative_to(folder)]
    # Also those of another interpreter, or on PYTHONPATH.
    homes += [folder for folder in path.parents if folder.name in ("site-packages", "dist-packages")]
    if not homes:
        return True
    if root is None:
        return False
    base = Path(root).resolve()
    return path.is_relative_to(base) and any(base != home and base.is_relative_to(home) for home in homes)


@functools.lru_cache(maxsize=1)
def _library_folders() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    paths: t.Iterable[str | None] = (
        *(sysconfig.get_path(name) for name in names),
        *(site.getsitepackages() if hasattr(site, "getsitepackages") else ()),
        site.getusersitepackages(),
    )
    return (_PACKAGE, *{Path(path).resolve() for path in paths if path})
