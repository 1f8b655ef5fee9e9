"""The template of the tests' databases, filled as ``flask psql setup`` fills a new database."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ..app.discovery import BindKey, Extension
from ..app.engines import release_all
from ..app.initialize import initialize
from ..app.redirect import redirect
from ..app.seeds.declared import AppCommand, Function, Seed, read
from ..embedded import service
from ..plans import engine
from ..plans.context import StepContext
from ..plans.engine import Task
from ..plans.plan import Request
from ..postgres import marks
from ..postgres.admin import Connector
from ..postgres.batch import create_tables
from ..settings.schema import Settings
from ..uri import PostgresUri
from .server import Throwaway

if t.TYPE_CHECKING:
    from flask import Flask


@dataclasses.dataclass
class Filling:
    """What fills the templates of an app's databases, all of them or none.

    :param address: of the server.
    :param templates: their names, by bind key.
    """

    app: Flask
    extension: Extension
    address: PostgresUri
    templates: t.Mapping[BindKey, str]
    settings: Settings
    did: str | None = None

    def fill(self, throwaway: Throwaway | None) -> None:
        """Create and fill them.

        :param throwaway: the server, where it is the tests' own.
        :raises FlaskPostgresError: why that failed; nothing is left of them then.
        """
        seeds = read(self.settings.seed) if self.settings.test_init == "init" else ()
        make_extensions = throwaway and functools.partial(service.create_extension, throwaway.info)
        tasks = [
            Task(
                Request(
                    command="setup",
                    dbname=uri.dbname,
                    schemas=self.settings.schemas,
                    extensions=self.settings.extensions,
                    seeds=seeds if key is None else (),
                    among_others=len(self.templates) > 1,
                ),
                StepContext(
                    connector=Connector(uri=uri, token=marks.new_token()),
                    initialize=self._initialize,
                    run_seed=self._run_seed,
                    release=release_all,
                    make_extensions=make_extensions,
                ),
            )
            for key, uri in self._uris.items()
        ]
        engine.run(tasks, program=False)

    @property
    def _uris(self) -> dict[BindKey, PostgresUri]:
        return {key: self.address.with_dbname(name) for key, name in self.templates.items()}

    def _initialize(self, *, whole: bool) -> str:  # noqa: ARG002
        """Let the app fill all of them at once: the first plan that comes to it does it for all."""
        if self.did is None:
            settings = self.settings
            with redirect(self.extension, self.app, self._uris):
                self.did = initialize(
                    self.app,
                    self.extension,
                    create_tables=create_tables,
                    how="create_all" if settings.test_init == "schema" else settings.init_with,
                    metadata=settings.metadata,
                    binds=tuple(self.templates),
                )
        return self.did

    def _run_seed(self, seed: Seed) -> None:
        from ..cli.app_commands import run_command

        with redirect(self.extension, self.app, self._uris):
            if isinstance(seed, AppCommand):
                run_command(self.app, seed)
            elif isinstance(seed, Function):
                seed.run(self.app, self.extension.db)
