"""Find the app's ``db`` instance, whichever extension it is of: one adapter for each."""

from __future__ import annotations

import contextlib
import sys
import typing as t

from ..errors import ExtensionNotFound

if t.TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine, MetaData, Table
    from sqlalchemy.engine import URL

BindKey = t.Optional[str]  # noqa: UP045 - evaluated at run time
"""The name of one of the app's databases; None is the default one."""


class Extension:
    """The app's extension and its databases, by bind key; None is the default one."""

    name: t.ClassVar[str]
    class_module: t.ClassVar[str]

    def __init__(self, app: Flask, db: t.Any) -> None:
        self.app = app
        self.db = db

    def engines(self) -> dict[BindKey, Engine]:
        """Return one engine for each bind. That of an async bind is its synchronous face."""
        return {key: engines[0] for key, engines in self.all_engines().items()}

    def all_engines(self) -> dict[BindKey, tuple[Engine, ...]]:
        """Return every engine of each bind: it can have an async one beside the other."""
        raise NotImplementedError

    def metadata(self, bind_key: BindKey = None) -> MetaData | None:
        """Return the extension's own metadata of a bind, if it has any."""
        raise NotImplementedError

    def engine(self, bind_key: BindKey = None) -> Engine:
        """Return the engine of a bind.

        :raises ExtensionNotFound: if the app has no such bind; the message lists those it has.
        """
        engines = self.engines()
        if bind_key not in engines:
            raise self._no_such_bind(bind_key, engines)
        return engines[bind_key]

    def engine_url(self, bind_key: BindKey = None) -> URL:
        """Return the URL that an engine was made with, password included."""
        return self.engine(bind_key).url

    def tables(self, bind_key: BindKey = None) -> tuple[Table, ...]:
        """Return the tables of a bind, referenced ones first."""
        metadata = self.metadata(bind_key)
        return tuple(metadata.sorted_tables) if metadata is not None else ()

    def connect_args(self, bind_key: BindKey = None) -> dict[str, t.Any]:
        """Return the driver's arguments that the app adds to the bind's URL.

        :raises AppError: if the engine opens its connections by a ``creator``.
        """
        from . import engines

        return engines.connect_args(self.engine(bind_key))

    @contextlib.contextmanager
    def _context(self) -> t.Iterator[None]:
        with self.app.app_context():
            yield

    def _no_such_bind(self, bind_key: BindKey, known: t.Iterable[BindKey]) -> ExtensionNotFound:
        names = ", ".join(sorted(key for key in known if key is not None)) or "none"
        what = "no default database" if bind_key is None else f'no bind "{bind_key}"'
        return ExtensionNotFound(f"the app's {self.name} has {what}; its binds: {names}.")


class FlaskSQLAlchemy(Extension):
    """Flask-SQLAlchemy 3."""

    name = "Flask-SQLAlchemy"
    class_module = "flask_sqlalchemy"

    def all_engines(self) -> dict[BindKey, tuple[Engine, ...]]:
        with self._context():
            return {key: (engine,) for key, engine in self.db.engines.items()}

    def metadata(self, bind_key: BindKey = None) -> MetaData | None:
        return t.cast("MetaData | None", self.db.metadatas.get(bind_key))


class FlaskSQLAlchemyLite(Extension):
    """Flask-SQLAlchemy-Lite. Its default bind is called "default", and models are not its business."""

    name = "Flask-SQLAlchemy-Lite"
    class_module = "flask_sqlalchemy_lite"

    def all_engines(self) -> dict[BindKey, tuple[Engine, ...]]:
        found: dict[BindKey, tuple[Engine, ...]] = {}
        with self._context():
            pairs = [
                *self.db.engines.items(),
                *((name, engine.sync_engine) for name, engine in self.db.async_engines.items()),
            ]
        for name, engine in pairs:
            key = None if name == "default" else name
            found[key] = (*found.get(key, ()), engine)
        return found

    def metadata(self, bind_key: BindKey = None) -> MetaData | None:  # noqa: ARG002
        return None


ADAPTERS: tuple[type[Extension], ...] = (FlaskSQLAlchemy, FlaskSQLAlchemyLite)


def find_extension(app: Flask) -> Extension:
    """Return the app's extension.

    :raises ExtensionNotFound: if it has none; the message says what was looked at.
    """
    registered = app.extensions.get("sqlalchemy")
    for candidate in (registered, *app.extensions.values()):
        for adapter in ADAPTERS:
            if _is_instance(candidate, adapter.class_module):
                return adapter(app, candidate)
    raise _not_found(app, registered)


def _is_instance(candidate: t.Any, class_module: str) -> bool:
    """Check the class without importing an extension that the app does not use."""
    module = sys.modules.get(class_module)
    return module is not None and isinstance(candidate, module.SQLAlchemy)


def _not_found(app: Flask, registered: t.Any) -> ExtensionNotFound:
    name = app.import_name
    if registered is not None:
        kind = f"{type(registered).__module__}.{type(registered).__qualname__}"
        message = f'the extension "sqlalchemy" of the app "{name}" is a {kind}, which is not known here.'
        return ExtensionNotFound(message, remedy="Flask-SQLAlchemy 3 or Flask-SQLAlchemy-Lite is needed.")
    present = ", ".join(sorted(app.extensions)) or "none"
    message = f'the app "{name}" has no Flask-SQLAlchemy instance (its extensions: {present}).'
    if any(adapter.class_module in sys.modules for adapter in ADAPTERS):
        return ExtensionNotFound(message, remedy="Call db.init_app(app), or SQLAlchemy(app).")
    return ExtensionNotFound(
        message, remedy="Install Flask-SQLAlchemy or Flask-SQLAlchemy-Lite and set it up."
    )
