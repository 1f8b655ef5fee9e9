"""Find the TOML file, and read its table."""

from __future__ import annotations

import dataclasses
import os
import re
import stat
import typing as t
from pathlib import Path

import tomli

from . import files
from .masking import masked

OWN_FILE = "flask_postgres.toml"
SHARED_FILE = "pyproject.toml"
TABLE = "flask_postgres"
HEADER = f"[tool.{TABLE}]"
NOT_FOUND = "not found"

_VARIABLE = re.compile(r"\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FileStatus:
    """A file that was looked for, and whether it was read."""

    path: Path
    status: str
    note: bool = False
    """Whether every command prints it, and not only ``config --show``."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """What the search found.

    :param table: the raw table; None when no file was read.
    :param fault: why the file that should have been read could not be.
    """

    path: Path | None = None
    table: t.Mapping[str, t.Any] | None = None
    files: tuple[FileStatus, ...] = ()
    fault: str | None = None

    @property
    def place(self) -> str:
        """Where the table is, as an origin names it."""
        shared = self.path is not None and self.path.name == SHARED_FILE
        return f"{self.path} {HEADER}" if shared else str(self.path)


class Unreadable(Exception):
    """A TOML file is there and cannot be read; the message names it."""


def locate(*, named: str | None, named_by: str, cwd: Path, root_path: Path | None) -> Located:
    """Find the file and read its table.

    :param named: the file that ``--config`` or ``FLASK_POSTGRES_CONFIG`` names; None to search.
    :param named_by: which of the two, for the message.
    """
    if named is not None:
        try:
            return _read_named(files.located(cwd, named), named_by=named_by)
        except ValueError as error:
            return Located(fault=f"{named_by}: {masked(named)}: {error}")
    looked: list[FileStatus] = []
    seen: set[Path] = set()
    for start in (cwd, *([root_path] if root_path else [])):
        for folder in _upwards(start.absolute()):
            if folder in seen:
                break
            seen.add(folder)
            located = _read_folder(folder, upwards=folder != start.absolute())
            looked.extend(located.files)
            if located.path is not None:
                return dataclasses.replace(located, files=tuple(looked))
    return Located(files=tuple(looked))


def expand(text: str, environ: t.Mapping[str, str]) -> str:
    """Replace ``${NAME}`` and ``${NAME:-fallback}``.

    As in a shell, the fallback also stands in for a variable that is set and empty.

    :raises ValueError: if a variable is not set and has no fallback.
    """

    def value(match: re.Match[str]) -> str:
        name, fallback = match.groups()
        if name is None or "${" in (fallback or ""):
            raise ValueError("a ${ must be ${NAME} or ${NAME:-fallback}, and none within another")
        found = environ.get(name)
        if fallback is not None:
            return found or fallback
        if found is None:
            raise ValueError(
                f"names the environment variable {name}, which is not set; "
                f"set it, or write ${{{name}:-fallback}}"
            )
        return found

    return _VARIABLE.sub(value, text)


def _read_named(path: Path, *, named_by: str) -> Located:
    try:
        table = _table_of(path, parsed(path))
    except FileNotFoundError:
        shown = masked(str(path))  # it may be a URI, typed in the wrong place
        missing = FileStatus(path=Path(shown), status=NOT_FOUND)
        return Located(path=path, fault=f"{named_by}: there is no file {shown}", files=(missing,))
    except Unreadable as error:
        return _failed(path, str(error))
    if table is None:
        return _failed(path, f"{named_by}: {path} has no table {HEADER}")
    return Located(path=path, table=table, files=(FileStatus(path=path, status="read"),))


def _upwards(start: Path) -> t.Iterator[Path]:
    for folder in (start, *start.parents):
        yield folder
        if os.path.lexists(folder / ".git"):
            return


def _read_folder(folder: Path, *, upwards: bool) -> Located:
    """Read the folder's own file, else the table of its pyproject.toml."""
    own = _read_found(folder / OWN_FILE, upwards=upwards)
    shared = folder / SHARED_FILE
    if own.path is None:
        read = _read_found(shared, upwards=upwards)
        return dataclasses.replace(read, files=own.files + read.files)
    if shared.is_file() and _mentions_table(shared):
        beside = FileStatus(path=shared, status=f"not read: {OWN_FILE} beside it wins")
        return dataclasses.replace(own, files=(*own.files, beside))
    return own


def _read_found(path: Path, *, upwards: bool) -> Located:
    """Read a file of the search. The search goes on where the result has no path."""
    refusal = _refusal(path, upwards=upwards)
    if refusal is not None:
        return Located(files=(refusal,))
    try:
        document = parsed(path)
    except (Unreadable, FileNotFoundError) as error:
        if path.name == OWN_FILE or _mentions_table(path):
            return _failed(path, str(error))
        return Located(files=(_unread(path, str(error)),))
    try:
        table = _table_of(path, document)
    except Unreadable as error:
        return _failed(path, str(error))
    if table is None:
        return Located(files=(FileStatus(path=path, status=f"has no {HEADER}"),))
    return Located(path=path, table=table, files=(FileStatus(path=path, status="read"),))


def _refusal(path: Path, *, upwards: bool) -> FileStatus | None:
    """Say why the file is not even opened: it is not there, or another user may have put it there."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return FileStatus(path=path, status=NOT_FOUND)
    except (OSError, ValueError) as error:
        return FileStatus(path=path, status=f"not read: {_reason(error)}", note=True)
    if not stat.S_ISREG(found.st_mode):
        return FileStatus(path=path, status="not read: it is not a file")
    reason = files.distrust(path, upwards=upwards)
    if reason is None:
        return None
    if path.name == SHARED_FILE and not _mentions_table(path):
        return FileStatus(path=path, status=f"has no {HEADER}")
    status = f"not read: {reason}; name it with --config to use it all the same"
    return FileStatus(path=path, status=status, note=True)


def _mentions_table(path: Path) -> bool:
    """Tell whether the table may be in a file that is not, or cannot be, parsed. If in doubt, it is."""
    try:
        return TABLE.encode() in files.content(path)
    except (OSError, ValueError):
        return True


def parsed(path: Path) -> dict[str, t.Any]:
    """Return what a TOML file holds.

    :raises FileNotFoundError: if there is none.
    :raises Unreadable: if it cannot be read, or is no TOML.
    """
    try:
        data = files.content(path)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: cannot be read: {_reason(error)}") from None
    text = ""
    try:
        text = data.decode("utf-8-sig")
        return tomli.loads(text)
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path}: is not UTF-8 text (byte {error.start + 1})") from None
    except RecursionError:
        raise Unreadable(f"{path}: is nested too deeply") from None
    except ValueError as error:  # tomli's own, and Python's for numbers of thousands of digits
        raise Unreadable(_syntax_fault(path, text, str(error))) from None


def _syntax_fault(path: Path, text: str, message: str) -> str:
    """Move the position from the end of tomli's message to where editors look for it."""
    at = _POSITION.search(message)
    if at is None:
        return f"{path}: {message}"
    line, column = at[1] or text.count("\n") + 1, at[2] or len(text) - text.rfind("\n")
    return f"{path}:{line}:{column}: {message[: at.start()]}"


def _table_of(path: Path, document: dict[str, t.Any]) -> t.Mapping[str, t.Any] | None:
    """Return the settings in a document; None when it is a pyproject.toml without them."""
    tool = document.get("tool")
    table = tool.get(TABLE) if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise Unreadable(f"{path}: tool.{TABLE} must be a table")
    if misspelt := _misspelt_table(document):
        raise Unreadable(f"{path}: there is no table [{masked(misspelt)}]; write {HEADER}")
    if path.name == SHARED_FILE:
        return table
    others = {key: value for key, value in document.items() if key != "tool"}
    if isinstance(tool, dict):
        others |= {f"tool.{key}": value for key, value in tool.items() if key != TABLE}
    elif tool is not None:
        others["tool"] = tool
    if twice := sorted(others.keys() & (table or {}).keys()):
        raise Unreadable(f"{path}: {twice[0]} is set twice, at the top level and in {HEADER}")
    return {**others, **(table or {})}


def _misspelt_table(document: dict[str, t.Any]) -> str | None:
    """Return a misspelt name of our table, if there is one: a guard in it must not be ignored silently."""
    tool = document.get("tool")
    tools = {f"tool.{key}": key for key in tool if key != TABLE} if isinstance(tool, dict) else {}
    names = {key: key for key in document} | tools
    wanted = TABLE.replace("_", "")
    return next((name for name, key in names.items() if re.sub(r"[-_. ]", "", key).lower() == wanted), None)


def _failed(path: Path, fault: str) -> Located:
    return Located(path=path, fault=fault, files=(_unread(path, fault),))


def _unread(path: Path, fault: str) -> FileStatus:
    return FileStatus(path=path, status=f"not read: {fault.removeprefix(f'{path}:').strip()}")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
