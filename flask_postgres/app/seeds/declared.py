"""What the ``seed`` setting names, found and checked before anything is created."""

from __future__ import annotations

import dataclasses
import glob
import importlib
import os
import re
import shlex
import typing as t
from pathlib import Path

from ...errors import AppError
from .. import faults
from ..callbacks import run_function

if t.TYPE_CHECKING:
    from flask import Flask

FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
COMMAND = "flask "


@dataclasses.dataclass(frozen=True, slots=True)
class SqlFile:
    """A file of SQL, in UTF-8."""

    path: Path

    def __str__(self) -> str:
        return faults.shown_path(str(self.path))


@dataclasses.dataclass(frozen=True, slots=True)
class CsvFile:
    """A file of rows, in UTF-8, whose first line names columns; its own name is that of the table."""

    path: Path

    def __str__(self) -> str:
        return faults.shown_path(str(self.path))

    @property
    def table(self) -> tuple[str, ...]:
        """The name of the table, perhaps after that of its schema: ``audit.event.csv``."""
        return tuple(self.path.name.removesuffix(".csv").split("."))


@dataclasses.dataclass(frozen=True, slots=True)
class Function:
    """A function of the app's, which takes ``app`` and ``db`` as an init callback does."""

    reference: str

    def __str__(self) -> str:
        return self.reference

    def run(self, app: Flask, db: t.Any) -> bool:
        """Run it in the app's context.

        :returns: whether ``db.session`` has changes that were not committed, and are lost.
        """
        return run_function(self.load(app), app, db, what=f"the seed {self.reference}")

    def load(self, app: Flask) -> t.Callable[..., t.Any]:
        """Import the function.

        :raises AppError: if it cannot be imported, or is none.
        """
        module, _, attribute = self.reference.partition(":")
        try:
            with app.app_context():
                found = importlib.import_module(module)
            for name in attribute.split("."):
                found = getattr(found, name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            place = faults.at(faults.where(error, root=app.root_path))
            message = f"the seed {self.reference} cannot be imported: {faults.describe(error)}{place}"
            raise AppError(message) from error
        if not callable(found):
            raise AppError(f"the seed {self.reference} is no function.")
        return t.cast("t.Callable[..., t.Any]", found)


@dataclasses.dataclass(frozen=True, slots=True)
class AppCommand:
    """A command that the app has for ``flask`` already, with its arguments."""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return COMMAND + shlex.join(self.words)


Seed = SqlFile | CsvFile | Function | AppCommand


def read(declarations: t.Sequence[str]) -> tuple[Seed, ...]:
    """Return what is declared, patterns expanded, the files of each in the order of their names.

    :raises AppError: if a pattern matches no file, or a file is neither SQL nor CSV.
    """
    found: list[Seed] = []
    for text in declarations:
        if text.startswith(COMMAND):
            try:
                found.append(AppCommand(tuple(shlex.split(text.removeprefix(COMMAND)))))
            except ValueError as error:
                raise AppError(f"the seed {text} cannot be read: {error}.") from None
        elif FUNCTION.fullmatch(text):
            found.append(Function(text))
        else:
            found += (file for file in _files(text) if file not in found)
    return tuple(found)


def _files(pattern: str) -> t.Iterator[SqlFile | CsvFile]:
    paths = sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
    if not paths:
        raise AppError(f"the seed {faults.shown_path(pattern)} matches no file.")
    for path in paths:
        if path.endswith(".sql"):
            yield SqlFile(Path(path))
        elif path.endswith(".csv"):
            yield CsvFile(Path(path))
        else:
            message = f"the seed {faults.shown_path(path)} is neither a .sql nor a .csv file."
            raise AppError(message)
