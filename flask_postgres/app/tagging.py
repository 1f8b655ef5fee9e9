"""Name the app's connections while a command works, so that they can be told from anybody else's."""

from __future__ import annotations

import contextlib
import typing as t

from sqlalchemy import event

from ..postgres.drivers import LIBPQ_DRIVERS

if t.TYPE_CHECKING:
    from .discovery import Extension


@contextlib.contextmanager
def tagged(extension: Extension, application_name: str) -> t.Iterator[None]:
    """Give new connections of the app's engines an ``application_name``, unless the app gives one."""

    def tag(dialect: t.Any, record: t.Any, cargs: t.Any, cparams: dict[str, t.Any]) -> None:  # noqa: ARG001
        if dialect.driver in LIBPQ_DRIVERS:
            cparams.setdefault("fallback_application_name", application_name)

    engines = [engine for of_bind in extension.all_engines().values() for engine in of_bind]
    with contextlib.ExitStack() as stack:
        for engine in engines:
            # First of all: another listener, such as that of ``redirect``, may connect and end the row.
            event.listen(engine, "do_connect", tag, insert=True)
            stack.callback(event.remove, engine, "do_connect", tag)
        yield
