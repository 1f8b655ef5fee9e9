"""Send the app's connections to the target while init runs, when that is not the app's own database.

Replacing engines would not do: sessions, and whatever the app captured while it was imported, hold on
to the engines they know. So the engines stay, and their connections go elsewhere.
"""

from __future__ import annotations

import contextlib
import typing as t

from sqlalchemy import Engine, event, make_url
from sqlalchemy.engine import URL

from ..postgres.admin import is_ours
from ..uri import PostgresUri
from . import engines as app_engines
from .targets import Detour, for_driver

if t.TYPE_CHECKING:
    from flask import Flask

    from .discovery import BindKey, Extension

Listener = t.Callable[[t.Any, t.Any, list[t.Any], dict[str, t.Any]], t.Any]


@contextlib.contextmanager
def redirect(extension: Extension, app: Flask, targets: t.Mapping[BindKey, PostgresUri]) -> t.Iterator[None]:
    """Let the app meet the targets, by bind key, as if they were its own databases.

    - Connections of the app's engines go to the target of their bind. So do those of any engine that
      is made in between for the address of the app's own database, as by an ``env.py`` that calls the
      app's factory again. Our own administration is left alone.
    - ``engine.url`` and the URIs in the app's config name the target, password included.
    - Pools and sessions are closed before and after.

    Binds that are not named stay as they are. Afterwards all is as before.

    :raises AppError: if the app has no such bind, or its engine is not for PostgreSQL, or opens its
        connections by a ``creator``.
    """
    rules = list(_rules(extension, targets))
    with contextlib.ExitStack() as stack:
        stack.enter_context(_closed_around())
        stack.enter_context(_config_naming(app, targets))
        for engine, rule in rules:
            stack.enter_context(_listening(engine, _sender(rule)))
            stack.enter_context(_url_naming(engine, rule.url))
        stack.enter_context(_listening(Engine, _sender_for_new_engines(rules)))
        yield


def _rules(
    extension: Extension, targets: t.Mapping[BindKey, PostgresUri]
) -> t.Iterator[tuple[Engine, Detour]]:
    engines = extension.all_engines()
    for key, uri in targets.items():
        for engine in engines.get(key) or (extension.engine(key),):
            # Also runs the app's do_connect listeners: one that connects by itself cannot be redirected.
            app_engines.connect_args(engine)
            yield engine, Detour(engine, uri)


@contextlib.contextmanager
def _closed_around() -> t.Iterator[None]:
    app_engines.release_all()
    try:
        yield
    finally:
        app_engines.release_all()


def _sender(rule: Detour) -> Listener:
    def send(dialect: t.Any, record: t.Any, cargs: list[t.Any], cparams: dict[str, t.Any]) -> t.Any:
        return _connect(send, dialect, record, rule.rewritten(dialect, cargs, cparams))

    return send


def _sender_for_new_engines(rules: t.Sequence[tuple[Engine, Detour]]) -> Listener:
    known = {id(engine.dialect) for engine, _ in rules}

    def send(dialect: t.Any, record: t.Any, cargs: list[t.Any], cparams: dict[str, t.Any]) -> t.Any:
        if id(dialect) in known or dialect.name != "postgresql" or is_ours(dialect):
            return None
        fitting = next((rule for _, rule in rules if rule.is_for(cparams)), None)
        if fitting is None:
            return None
        return _connect(send, dialect, record, fitting.rewritten(dialect, cargs, cparams))

    return send


def _connect(
    listener: Listener, dialect: t.Any, record: t.Any, arguments: tuple[list[t.Any], dict[str, t.Any]]
) -> t.Any:
    """Go on from a listener as SQLAlchemy would, with other arguments: later listeners, then the driver.

    Changing the arguments in place would be simpler. But older releases of SQLAlchemy 2.0 hand out the
    engine's own dictionary, and the engine would stay on the target for ever.
    """
    args, params = arguments
    listeners = list(dialect.dispatch.do_connect)
    for later in listeners[listeners.index(listener) + 1 :]:
        connection = later(dialect, record, args, params)
        if connection is not None:
            return connection
    return dialect.connect(*args, **params)


@contextlib.contextmanager
def _listening(target: Engine | type[Engine], listener: Listener) -> t.Iterator[None]:
    event.listen(target, "do_connect", listener)
    try:
        yield
    finally:
        event.remove(target, "do_connect", listener)


@contextlib.contextmanager
def _url_naming(engine: Engine, url: URL) -> t.Iterator[None]:
    """Let ``engine.url`` name the target: Flask-Migrate's env.py builds Alembic's URL from it."""
    before = engine.url
    engine.url = url
    try:
        yield
    finally:
        engine.url = before


@contextlib.contextmanager
def _config_naming(app: Flask, targets: t.Mapping[BindKey, PostgresUri]) -> t.Iterator[None]:
    changed = _changed_config(app, targets)
    missing = object()
    before = {key: app.config.get(key, missing) for key in changed}
    app.config.update(changed)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is missing:
                app.config.pop(key, None)
            else:
                app.config[key] = value


def _changed_config(app: Flask, targets: t.Mapping[BindKey, PostgresUri]) -> dict[str, t.Any]:
    """Return the config entries that name a redirected database, naming its target instead."""
    changed: dict[str, t.Any] = {}
    default = targets.get(None)
    if default is not None:
        own = app.config.get("SQLALCHEMY_DATABASE_URI")
        changed["SQLALCHEMY_DATABASE_URI"] = _renamed(own, default) if own else _text(default.url)
        options = app.config.get("SQLALCHEMY_ENGINE_OPTIONS")
        if isinstance(options, dict) and "url" in options:
            changed["SQLALCHEMY_ENGINE_OPTIONS"] = _renamed(options, default)
    for name in ("SQLALCHEMY_BINDS", "SQLALCHEMY_ENGINES", "SQLALCHEMY_ASYNC_ENGINES"):
        entries = app.config.get(name)
        if not isinstance(entries, dict):
            continue
        default_name = None if name == "SQLALCHEMY_BINDS" else "default"
        changed[name] = {
            key: _renamed(value, uri)
            if (uri := targets.get(None if key == default_name else key)) is not None
            else value
            for key, value in entries.items()
        }
    return changed


def _renamed(value: t.Any, uri: PostgresUri) -> t.Any:
    """Return a config value in the form it has (text, URL, or a dict of options), naming the target."""
    if isinstance(value, dict) and "url" in value:
        return {**value, "url": _renamed(value["url"], uri)}
    own = URL.create(**value) if isinstance(value, dict) else make_url(value)
    if own.get_backend_name() != "postgresql":
        return value
    url = for_driver(uri, own.drivername)
    return url if isinstance(value, URL) else _text(url)


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
