"""What the rows work with: the contenders' commands, each on a database of its own."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import typing as t

from . import apps, suites
from .environments import Environment, Environments
from .measure import Contender
from .server import Server

OURS, THEIRS, FLOOR, DSLR = "ours", "0.2.5", "floor", "DSLR"
FLOOR_SCRIPT = pathlib.Path(__file__).with_name("floor.py")

Command = t.Literal["create", "init", "setup", "reset"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything that is set up before the first row.

    :param runs: how often a start-up row is measured; others take fewer, because they take longer.
    """

    environments: Environments
    server: Server
    folder: pathlib.Path
    empty_app: pathlib.Path
    app_of_tables: pathlib.Path
    driver: str
    runs: int

    @property
    def command_runs(self) -> int:
        return max(3, self.runs // 2)

    @property
    def slow_runs(self) -> int:
        return max(3, self.runs // 8)

    def flask(self, name: str, environment: Environment, *arguments: str) -> Contender:
        """Return ``flask …`` in the app that has no database."""
        return Contender(name=name, command=environment.flask(*arguments), cwd=self.empty_app, env={})

    def loading(self, name: str, environment: Environment) -> Contender:
        """Return ``flask routes`` in the app with one table: it loads the app, and connects to nothing."""
        return Contender(
            name=name,
            command=environment.flask("routes"),
            cwd=self.app_of_tables,
            env=self._env("none", tables=1, port=None),
        )

    def psql(self, command: Command, *, tables: int = 1, port: int | None = None) -> list[Contender]:
        """Return ``flask psql COMMAND`` of ours and of the predecessor, and the floor.

        ``create`` and ``setup`` find no database, the others find one with all tables.

        :param port: that of a proxy.
        """
        return [
            self._psql(OURS, self.environments.ours, command, tables=tables, port=port),
            self._psql(THEIRS, self.environments.theirs, command, tables=tables, port=port),
            self._floor(command, tables=tables, port=port),
        ]

    def save(self, fill: str) -> list[Contender]:
        """Return ``flask psql snapshot save`` and DSLR's, of a database with what ``fill`` puts into it."""
        ours = ("psql", "snapshot", "save", "before")
        return [
            self._snapshot(OURS, ours, fill=fill),
            self._snapshot(DSLR, ("snapshot", "before"), fill=fill),
        ]

    def restore(self, fill: str) -> list[Contender]:
        """Return the same for restoring what was saved."""
        ours = ("psql", "snapshot", "restore", "before", "--force")
        return [
            dataclasses.replace(self._snapshot(name, words, fill=fill), prepare=made.run)
            for name, words, made in zip(
                (OURS, DSLR), (ours, ("restore", "before")), self.save(fill), strict=True
            )
        ]

    def _snapshot(self, name: str, words: tuple[str, ...], *, fill: str) -> Contender:
        if name == OURS:
            command = self.environments.ours.flask(*words)
        else:
            command = (str(self.environments.dslr.folder / "bin" / "dslr"), *words)
        return Contender(
            name=name,
            command=command,
            cwd=self.app_of_tables,
            env=self._env(name, tables=1, port=None)
            if name == OURS
            else {"DATABASE_URL": f"{self.server.address()}/{database_of(name)}"},
            prepare=functools.partial(self._fill_anew, name, fill),
        )

    def _fill_anew(self, name: str, fill: str) -> None:
        """Make a database of that size, and drop every snapshot of earlier rounds."""
        pattern = "bench_ours~%" if name == OURS else "dslr_%"
        for (found,) in self.server.execute(
            f"SELECT datname FROM pg_database WHERE datname LIKE '{pattern}'"
        ):
            self.server.drop(f'"{found}"')
        self.server.drop(database_of(name))
        self._prepare(name, "reset", 1)
        self.server.execute(fill, dbname=database_of(name))

    def suite(self, name: str, *, tables: int, tests: int) -> Contender:
        """Return a run of pytest whose tests get their database in one way; see ``suites.py``."""
        folder = suites.write(self.folder / f"suite-{name.replace('/', '-')}", name)
        own = f"{self.server.address(scheme='postgresql+psycopg')}/bench_suite"
        return Contender(
            name=name,
            command=(self.environments.testing.python, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            cwd=folder,
            env={
                "DATABASE_URL": own if name != OURS else f"{own}_app",
                "FLASK_POSTGRES_TEST_URI": own,
                "TABLES": str(tables),
                "TESTS": str(tests),
            },
            prepare=self._empty_suite,
        )

    def _empty_suite(self) -> None:
        self.server.drop("bench_suite")
        self.server.execute("CREATE DATABASE bench_suite")

    def _psql(
        self, name: str, environment: Environment, command: Command, *, tables: int, port: int | None
    ) -> Contender:
        flags = ("--force",) if command == "reset" else ()
        return Contender(
            name=name,
            command=environment.flask("psql", command, *flags),
            cwd=self.app_of_tables,
            env=self._env(name, tables=tables, port=port),
            prepare=functools.partial(self._prepare, name, command, tables),
        )

    def _floor(self, command: Command, *, tables: int, port: int | None) -> Contender:
        uri = f"{self.server.address(port=port)}/{database_of(FLOOR)}"
        file = () if command in ("create", "init") else (str(apps.statements(self.folder, tables)),)
        script = (self.environments.theirs.python, str(FLOOR_SCRIPT))
        return Contender(
            name=FLOOR,
            command=(*script, self.driver, command, uri, *file),
            cwd=self.folder,
            env={},
            prepare=functools.partial(self._prepare, FLOOR, command, tables),
        )

    def _env(self, name: str, *, tables: int, port: int | None) -> dict[str, str]:
        address = self.server.address(scheme=f"postgresql+{self.driver}", port=port)
        return {"DATABASE_URL": f"{address}/{database_of(name)}", "TABLES": str(tables)}

    def _prepare(self, name: str, command: Command, tables: int) -> None:
        dbname = database_of(name)
        if command in ("create", "setup"):
            self.server.drop(dbname)
        elif self._tables_of(dbname) != tables:
            self.server.drop(dbname)
            self.server.execute(f"CREATE DATABASE {dbname}")
            self.server.execute(apps.statements(self.folder, tables).read_text(), dbname=dbname)

    def _tables_of(self, dbname: str) -> int | None:
        if not self.server.exists(dbname):
            return None
        query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        count: int = self.server.execute(query, dbname=dbname)[0][0]
        return count


def database_of(name: str) -> str:
    """Return the database of a contender; the predecessor does not quote names."""
    return {OURS: "bench_ours", THEIRS: "bench_theirs", FLOOR: "bench_floor", DSLR: "bench_dslr"}.get(
        name, "bench_none"
    )
