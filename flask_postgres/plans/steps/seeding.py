"""The step that runs seeds."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import itertools
import typing as t
from pathlib import Path

from ...app.faults import shown_path
from ...app.seeds.declared import CsvFile, Seed, SqlFile
from ...app.seeds.script import Statement, statements
from ...errors import AppError, Refused, ServerError
from ...postgres import tables
from ...postgres.facts import Facts
from ...postgres.failures import ScriptFailed, of_the_apps_statements
from ...postgres.marks import State
from ...postgres.session import Session
from ...remedies import Option
from .. import preflight
from ..context import StepContext
from .base import FILL, Faults, Step


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSeeds(Step):
    """Run seeds, in their order: files by a session of ours, functions and commands by the app's own means.

    Files that follow each other are loaded in one transaction.

    :param replace: whether the tables that files fill are emptied first.
    :param transient: whether the plan undoes everything when this fails.
    :param said: whether that it was done is an outcome of its own.
    """

    name: str
    seeds: tuple[Seed, ...]
    replace: bool = False
    transient: bool = True
    said: bool = False
    phase: int = FILL
    undoable: t.ClassVar[bool] = False

    def describe(self) -> str:
        return f'run the seeds in "{self.name}": {", ".join(map(str, self.seeds))}'

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that files fill, as they are written in SQL.

        :raises AppError: if a file cannot be read.
        """
        found: list[str] = []
        for seed in self.seeds:
            if isinstance(seed, CsvFile):
                found.append(tables.quoted(*seed.table))
            elif isinstance(seed, SqlFile):
                found += [one.table for one in _statements(seed) if one.table is not None]
        return tuple(dict.fromkeys(found))

    def faults(self, facts: Facts) -> Faults:
        for seed in self.seeds:
            if isinstance(seed, SqlFile):
                try:
                    _statements(seed)
                except AppError as error:
                    yield error
            elif isinstance(seed, CsvFile):
                try:
                    _columns(seed)
                except AppError as error:
                    yield error
        if self.replace:
            yield from self._not_replaced()
        if self.replace and facts.target is not None and facts.target.state is State.PROTECTED:
            yield preflight.protected(self.name)

    def _not_replaced(self) -> Faults:
        """Yield why the tables cannot be emptied first: that must be what the files fill, and no more."""
        if not self.tables:
            yield Refused("no file among the seeds fills a table: there is nothing to empty.")
            return
        order = [of_files for of_files, _ in itertools.groupby(self.seeds, _is_file)]
        if order not in ([True], [True, False]):
            yield Refused(
                "--replace needs the files before the functions and commands: it would empty theirs.",
                remedy=Option("Name the files alone: {}", "seed", "seeds/*.csv"),
            )
        for seed in self.seeds:
            found = _statements(seed) if isinstance(seed, SqlFile) else ()
            short = [one.table for one in found if one.table is not None and "." not in one.table]
            if short and any(one.moves for one in found):
                yield Refused(
                    f"{seed} sets the search_path, so that nobody can tell which {short[0]} to empty.",
                    remedy="Write the schemas of its tables",
                )

    def run(self, context: StepContext) -> None:
        context.release()
        emptied: tuple[str, ...] = self.tables if self.replace else ()
        committed = False
        with context.reporter.progress(f'seeding database "{self.name}"'):
            for of_files, group in itertools.groupby(self.seeds, _is_file):
                try:
                    if of_files:
                        self._from_files(context, t.cast("t.Iterator[SqlFile | CsvFile]", group), emptied)
                    else:
                        self._by_the_app(context, group)
                except BaseException:
                    if not self.transient and (committed or not of_files):
                        context.remarks.append(f'What seeds had committed to "{self.name}" stays.')
                    raise
                emptied, committed = () if of_files else emptied, True
        if self.said:
            context.outcomes.append(f'database "{self.name}" was seeded')

    def _from_files(
        self, context: StepContext, seeds: t.Iterator[SqlFile | CsvFile], emptied: t.Sequence[str]
    ) -> None:
        with context.connector.open(self.name, own_search_path=False, as_app=True) as session:
            _load(session, seeds, emptied)

    def _by_the_app(self, context: StepContext, seeds: t.Iterator[Seed]) -> None:
        assert context.run_seed is not None, "the plan was built to run seeds"
        try:
            for seed in seeds:
                context.reporter.detail(f"seed: {seed}")
                context.run_seed(seed)
                context.check()
        finally:
            context.release()


def _is_file(seed: Seed) -> bool:
    return isinstance(seed, (SqlFile, CsvFile))


def _load(session: Session, seeds: t.Iterator[SqlFile | CsvFile], emptied: t.Sequence[str]) -> None:
    """Load files, all of them or none.

    :raises ServerError: with the file and the line at which it failed.
    """
    with session.transaction(doing="load the seeds"):
        if emptied:
            session.script(f"TRUNCATE {', '.join(emptied)} RESTART IDENTITY")
        for kind, group in itertools.groupby(seeds, lambda one: (type(one), one.path.parent)):
            if kind[0] is SqlFile:
                for seed in t.cast("t.Iterator[SqlFile]", group):
                    _load_sql(session, seed)
                continue
            of_folder = t.cast("t.Iterator[CsvFile]", group)
            files = {tables.quoted(*seed.table): seed for seed in of_folder}
            for table in tables.in_order(session, [*files]):
                _load_csv(session, table, files[table])


def _load_sql(session: Session, seed: SqlFile) -> None:
    search_path = session.value("SELECT current_setting('search_path')")
    for statement in _statements(seed):
        data = None if statement.data is None else io.StringIO(statement.data)
        after = statement.text.count("\n") + 1 if statement.data is not None else 0
        with _named(str(seed), statement.line + after):
            session.script(statement.text, data)
    # A dump sets what the next file does not expect.
    session.script("RESET ALL")
    session.rows("SELECT set_config('search_path', :path, false)", path=search_path)


def _load_csv(session: Session, table: str, seed: CsvFile) -> None:
    columns = _columns(seed)
    with _opened(seed.path) as file, _named(str(seed)):
        session.script(tables.copying(table, columns), file)
    tables.advance_sequences(session, table, columns)


def _columns(seed: CsvFile) -> list[str]:
    """Return the columns that a file names.

    :raises AppError: if it names none, or cannot be read.
    """
    with _opened(seed.path) as file:
        columns = tables.header(file)
    if not columns:
        raise AppError(f"{seed}:1: the first line names no column.")
    return columns


@contextlib.contextmanager
def _named(file: str, first: int | None = None) -> t.Iterator[None]:
    """Put the file and the line into an error.

    :param first: the line of the file that is the first one to the server; None where it is the file's own,
        and no line is said unless the server names one.
    """
    try:
        yield
    except ScriptFailed as error:
        line = error.line if first is None else first + (error.line or 1) - 1
        place = file if line is None else f"{file}:{line}"
        known = of_the_apps_statements(error.__cause__, role=None)
        failed = ServerError(f"{place}: {error.message}", remedy=known, sqlstate=error.sqlstate)
        raise failed from error.__cause__


def _statements(seed: SqlFile) -> tuple[Statement, ...]:
    """Return the statements of a file; it is read again only when it has changed since it was checked."""
    try:
        found = seed.path.stat()
    except OSError as error:
        raise AppError(f"the seed {seed} cannot be read: {error.strerror}.") from None
    return _parsed(seed, found.st_mtime_ns, found.st_size)


@functools.cache
def _parsed(seed: SqlFile, *_: int) -> tuple[Statement, ...]:
    with _opened(seed.path) as file:
        text = file.read()
    return tuple(statements(text, name=str(seed)))


@contextlib.contextmanager
def _opened(path: Path) -> t.Iterator[io.TextIOWrapper]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError:
        raise AppError(f"the seed {shown_path(str(path))} is not in UTF-8.") from None
    except OSError as error:
        raise AppError(f"the seed {shown_path(str(path))} cannot be read: {error.strerror}.") from None
