"""One process of a run of tests: its databases, made once from a template and given to each test."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pathlib
import typing as t
import uuid

from ..app.discovery import BindKey, Extension, find_extension
from ..app.engines import is_postgresql
from ..app.redirect import redirect
from ..errors import AppError, FlaskPostgresError, UsageError
from ..postgres import catalogue, ddl, marks
from ..postgres.admin import Connector
from ..postgres.marks import Mark, State
from ..postgres.session import Session
from ..settings.merge import resolve
from ..settings.schema import Settings
from ..uri import PostgresUri
from . import server
from .guard import Guard, same
from .isolation import Whole, rolled_back
from .shared import Shared
from .template import Filling

if t.TYPE_CHECKING:
    from flask import Flask

ISOLATIONS = ("rollback", "copy")


@contextlib.contextmanager
def running(root: str) -> t.Iterator[Run]:
    """Yield what gives databases to the tests of this process.

    :param root: the folder of the tests' configuration, where the search for settings begins.
    """
    shared = Shared(os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex)
    guard = Guard()
    with guard.active():
        run = Run(shared, guard, pathlib.Path(root))
        try:
            yield run
        finally:
            run.close()


class Run:
    """The databases of one process."""

    def __init__(self, shared: Shared, guard: Guard, root: pathlib.Path) -> None:
        self.guard = guard
        self._shared = shared
        self._root = root
        self._token = hashlib.sha256(shared.folder.name.encode()).hexdigest()[:8]
        """The same in every process of the run; each has a session of that name for as long as it lives."""
        self._made: dict[tuple[PostgresUri, ...], _Databases] = {}
        with shared.alone():
            first = not shared.folder.exists()
            shared.join()
            if first:
                server.watch(shared)

    @functools.cache  # noqa: B019 - one for the whole run
    def load_app(self) -> Flask:
        """Load the app that the ``flask`` command would load."""
        from flask.cli import ScriptInfo, load_dotenv

        load_dotenv()
        return ScriptInfo(app_import_path=os.environ.get("FLASK_APP")).load_app()

    @contextlib.contextmanager
    def database(self, app: Flask, *, isolation: str) -> t.Iterator[t.Any]:
        """Yield the app's extension in an app context, on databases of this test.

        :param isolation: ``rollback`` or ``copy``.
        :raises UsageError: if it is neither.
        """
        if isolation not in ISOLATIONS:
            raise UsageError(f'isolation is "{isolation}"; it can be {" or ".join(ISOLATIONS)}.')
        extension = find_extension(app)
        made = self._databases(app, extension)
        own = made.rolled_back if isolation == "rollback" else made.copied
        with own(extension), app.app_context():
            yield extension.db

    def close(self) -> None:
        """Drop what this process has made; the last one of the run ends its server."""
        for made in self._made.values():
            made.close()
        with self._shared.alone():
            if self._shared.leave():
                for made in self._made.values():
                    made.drop_templates()
                server.end(self._shared)
        for made in self._made.values():
            made.session.close()

    def refuse(self, app: t.Any) -> None:
        """Refuse the databases of an app, whether or not its test takes one of ours."""
        with contextlib.suppress(FlaskPostgresError):
            self.guard.add(*_own(find_extension(app)).values())

    def _databases(self, app: Flask, extension: Extension) -> _Databases:
        own = _own(extension)
        if not own:
            raise AppError("the app has no PostgreSQL database, so there is nothing to make for tests.")
        known = tuple(own.values())
        if known not in self._made:
            self.guard.add(*known)
            settings = _settings(app, self._root)
            if settings.test_uri is not None and any(same(settings.test_uri, each) for each in known):
                raise UsageError(f'test_uri is the app\'s own database "{settings.test_uri.dbname}".')
            with self._shared.alone():
                self._made[known] = _Databases.make(self._shared, self._token, app, extension, own, settings)
        return self._made[known]


class _Databases:
    """A database for each of the app's binds, and the templates that they are copies of."""

    def __init__(
        self, app: Flask, session: Session, token: str, address: PostgresUri, templates: dict[BindKey, str]
    ) -> None:
        self.app = app
        self.session = session
        self._token = token
        self._address = address
        self._templates = templates
        self._server = catalogue.read(session, next(iter(templates.values()))).server
        self._connections: dict[tuple[BindKey, str], t.Any] = {}
        self._own = self._copies()

    @classmethod
    def make(
        cls,
        shared: Shared,
        token: str,
        app: Flask,
        extension: Extension,
        own: dict[BindKey, PostgresUri],
        settings: Settings,
    ) -> _Databases:
        """Make the templates, unless another process of the run has."""
        throwaway = None
        if settings.test_uri is None:
            throwaway = server.of_the_run(shared, bin_dir=settings.server_bin_dir)
        address = settings.test_uri or throwaway.uri  # type: ignore[union-attr]
        templates = {key: marks.name_for_test(uri.dbname, token) for key, uri in own.items()}
        names = hashlib.sha256("/".join(sorted(templates.values())).encode()).hexdigest()
        made = shared.folder / f"templates-{names[:8]}"
        reach = Connector(uri=address.with_dbname(next(iter(templates.values()))), token=token)
        session = reach.admin()
        if not made.exists():
            for uri in own.values():
                _sweep(session, uri.dbname)
            Filling(app, extension, address, templates, settings).fill(throwaway)
            databases = cls(app, session, token, address, templates)
            for name in templates.values():
                databases.mark(name)
            made.touch()
            return databases
        return cls(app, session, token, address, templates)

    def mark(self, name: str) -> None:
        """Say of a database that it is one of tests."""
        query = "SELECT CAST(oid AS bigint) FROM pg_catalog.pg_database WHERE datname = :name"
        oid, of = self.session.value(query, name=name), name[: name.rindex("~test~")]
        mark = Mark(State.TEST, of, self._token, oid=oid, server=self._server)
        self.session.run(ddl.CommentOnDatabase(name, mark.under(None)), doing=f'mark "{name}"')

    @contextlib.contextmanager
    def rolled_back(self, extension: Extension) -> t.Iterator[None]:
        """Let the app use the databases of this process, and roll back what it does to them."""
        used: list[Whole] = []
        with contextlib.ExitStack() as stack:
            stack.callback(self._replace_unless_rolled_back, used)
            for key, engines in extension.all_engines().items():
                if key not in self._own:
                    continue
                for one in engines:
                    if one.dialect.is_async:
                        raise UsageError(
                            "an engine that speaks asyncio cannot be rolled back from outside.",
                            remedy='Mark the test with @pytest.mark.postgres(isolation="copy")',
                        )
                    used.append(stack.enter_context(rolled_back(one, self._connection(extension, key))))
            yield

    def _replace_unless_rolled_back(self, used: t.Sequence[Whole]) -> None:
        """Copy the template again where a test has left something in the databases of this process."""
        if all(each.rolled_back for each in used):
            return
        self.close()
        self._connections.clear()
        self._own = self._copies()

    @contextlib.contextmanager
    def copied(self, extension: Extension) -> t.Iterator[None]:
        """Let the app use fresh databases, which are dropped afterwards."""
        fresh = self._copies()
        try:
            with redirect(extension, extension.app, self._uris(fresh)):
                yield
        finally:
            self._drop(fresh)

    def close(self) -> None:
        """Drop the databases of this process."""
        for connection in self._connections.values():
            with contextlib.suppress(Exception):
                connection.close()
        self._drop(self._own)

    def drop_templates(self) -> None:
        """Drop what all processes of the run have copied."""
        self._drop(self._templates)

    def _connection(self, extension: Extension, key: BindKey) -> t.Any:
        """Return the connection on which tests are rolled back, opened by the app's own engine."""
        found = extension.engine(key)
        known = (key, found.dialect.driver)
        connection = self._connections.get(known)
        if connection is None or getattr(connection, "closed", False):
            with redirect(extension, extension.app, self._uris(self._own)):
                raw = found.raw_connection()
                connection = raw.dbapi_connection
                raw.detach()
            assert connection is not None, "it was opened just now"
            connection.rollback()
            self._connections[known] = connection
        return connection

    def _copies(self) -> dict[BindKey, str]:
        made = {}
        for key, template in self._templates.items():
            name = marks.name_for_test(template[: template.rindex("~test~")], marks.new_token())
            create = ddl.CreateDatabase(name, {"database_template": template})
            self.session.run(create, doing=f'create database "{name}"')
            self.mark(name)
            made[key] = name
        return made

    def _uris(self, names: t.Mapping[BindKey, str]) -> dict[BindKey, PostgresUri]:
        return {key: self._address.with_dbname(name) for key, name in names.items()}

    def _drop(self, names: t.Mapping[BindKey, str]) -> None:
        for name in names.values():
            drop = ddl.DropDatabase(name, force=True, if_exists=True)
            self.session.run(drop, doing=f'drop database "{name}"')


def _sweep(session: Session, dbname: str) -> None:
    """Drop what a run has left that was killed."""
    for item in catalogue.read(session, dbname).tests:
        if item.owned and not item.maker_alive:
            session.run(ddl.DropDatabase(item.name, force=True, if_exists=True), doing=f'drop "{item.name}"')


def _own(extension: Extension) -> dict[BindKey, PostgresUri]:
    return {key: PostgresUri(found.url) for key, found in extension.engines().items() if is_postgresql(found)}


def _settings(app: Flask, root: pathlib.Path) -> Settings:
    return resolve(
        cli={},
        app_config=app.config,
        cwd=root,
        root_path=pathlib.Path(app.root_path),
        debug=app.debug,
        config_file=None,
        engine_url=lambda: None,
    ).settings
